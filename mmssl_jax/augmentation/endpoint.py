"""A chat endpoint of the OpenAI protocol, on this machine or elsewhere; the only user of openai."""

import contextlib
import json
import logging
import os
import time
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any

from mmssl_jax.augmentation.answer_file import Reply, reply_of
from mmssl_jax.errors import InputError, printable

URL, KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY"
_NO_KEY = "none"
RETRIES = 5  # with pauses of .5, 1, 2, 4, 8 s, or what a server asks for up to two minutes
_MOST_BYTES = 2_000_000  # of an answer
_OF_ALL = {401, 403, 404, 405}  # a wrong key, model or place, so the same for each question
_OF_ONE = {400, 413, 422}  # a prompt that is too long, or not to the server's liking


class Failed(Exception):
    """No answer to this question; the text is the reason, the same for all of a kind."""

    def __init__(self, reason: str, *, of_all: bool = False, of_one: bool = False):
        super().__init__(reason)
        self.of_all, self.of_one = of_all, of_one  # questions, as the server says


class Endpoint:
    """Where questions go, by a client of openai."""

    def __init__(self, client: Any):
        self._client = client

    async def ask(self, request: dict[str, Any]) -> Reply:
        """The answer to a request; raises Failed where there is none."""
        import httpx2
        import openai

        fields = dict(request)
        model, messages = fields.pop("model"), fields.pop("messages")
        chat = self._client.chat.completions.with_raw_response  # what it parses may be anything
        try:
            raw = await chat.create(model=model, messages=messages, extra_body=fields)
        except openai.APIStatusError as error:
            status, said = error.status_code, printable(self._without_key(error.message))[:200]
            raise Failed(
                f"status {status}: {said}",
                of_all=status in _OF_ALL or status < 400,
                of_one=status in _OF_ONE,
            ) from error
        except openai.APITimeoutError as error:
            raise Failed("no answer in time") from error
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, httpx2.DecodingError):
                raise Failed("an answer that is too long") from error
            raise Failed("no connection, or one that broke off") from error
        except openai.APIError as error:
            raise Failed("an answer that is no chat completion") from error
        response = raw.http_response
        if response.headers.get("content-encoding", "identity") != "identity":
            raise Failed("an answer that is packed")
        try:
            reply = reply_of(json.loads(response.content))
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise Failed("an answer that is no chat completion") from error
        return reply._replace(text=self._without_key(reply.text))

    def _without_key(self, text: str) -> str:
        """What a server says, should it repeat the key."""
        key = self._client.api_key
        return str(text).replace(key, "***") if len(key) > len(_NO_KEY) else str(text)


def address() -> str:
    """Where the requests go; InputError where the environment names nothing that can be used.

    There is no default: nothing leaves the machine unless somebody says where to.
    """
    url = os.environ.get(URL, "")
    if not url:
        raise InputError(
            f"--provider endpoint needs the environment variable {URL}, such as "
            "http://localhost:8000/v1, and "
            f"{KEY} where the endpoint wants a key"
        )
    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable():
        raise InputError(f"{URL} is no URL of http or https; correct it")
    if parts.username is not None or parts.query or parts.fragment:
        raise InputError(
            f"{URL} has a name, password or query in it, and is printed; put the key into {KEY}"
        )
    return url


@contextlib.asynccontextmanager
async def connected(url: str, timeout: int, concurrency: int) -> AsyncIterator[Endpoint]:
    """The endpoint at a URL, with the key of the environment.

    Args:
      url: from `address`.
      timeout: seconds for one try of a request, from the first byte sent to the last received.
      concurrency: requests at a time.

    Raises:
      InputError: the extra `augment` is not installed, or the key cannot be sent.
    """
    try:
        import openai
    except ImportError as error:
        raise InputError(
            "--provider endpoint needs the extra: pip install 'mmssl_jax[augment]'"
        ) from error
    key = os.environ.get(KEY) or _NO_KEY  # servers of one's own want none, but the client does
    if not key.isascii() or not key.isprintable():
        raise InputError(f"{KEY} has characters that cannot be sent; correct it")

    logging.getLogger("openai").setLevel(logging.ERROR)
    http = _http_client(timeout, concurrency)
    async with openai.AsyncOpenAI(
        base_url=url, api_key=key, timeout=timeout, max_retries=RETRIES, http_client=http
    ) as client:
        yield Endpoint(client)


def _http_client(timeout: int, concurrency: int) -> Any:
    """A client that takes bounded answers, and sends to no other place than it is told."""
    import httpx2
    import openai

    class Bounded(httpx2.AsyncByteStream):  # type: ignore[misc, unused-ignore]  # without the extra
        """The bytes of a response, not too many and not for ever."""

        def __init__(self, stream: Any):
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            count, end = 0, time.monotonic() + timeout
            async for part in self._stream:
                count += len(part)
                if count > _MOST_BYTES:
                    raise httpx2.DecodingError("the answer is too long")
                if time.monotonic() > end:
                    raise httpx2.ReadTimeout("the answer does not end")
                yield part

        async def aclose(self) -> None:
            await self._stream.aclose()

    async def bound(response: httpx2.Response) -> None:
        response.stream = Bounded(response.stream)

    return openai.DefaultAsyncHttpxClient(
        follow_redirects=False,  # what is sent goes to the address that was said, and nowhere else
        event_hooks={"response": [bound]},
        headers={"Accept-Encoding": "identity"},  # a small answer must not unpack into a huge one
        limits=httpx2.Limits(max_connections=concurrency),
        timeout=timeout,
    )
