"""Around the application: which hosts it answers for, how long bodies are, and what is counted."""

import time
from collections.abc import Callable, Collection
from typing import Any

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A browser fetches nothing from elsewhere for the page of the description, shows it in no other
# page, and takes no answer for another type than its own.
_SAFE = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
)


class Guard:
    """An ASGI application around another."""

    def __init__(
        self,
        app: ASGIApp,
        most_bytes: int,
        count: Callable[[str, int, float], None],
        hosts: Collection[str] | None = None,
    ):
        """Puts it around `app`.

        Args:
          app: what answers.
          most_bytes: of a body.
          count: is told path, status and seconds of each request.
          hosts: names by which it is called; None is any. A page of another name, which its owner
            lets lead to this machine, is read by nobody then.
        """
        self._app, self._most, self._count, self._hosts = app, most_bytes, count, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status, taken = time.perf_counter(), 500, 0
        headers = dict(scope["headers"])
        said = headers.get(b"content-length", b"0")
        announced = int(said) if said.isdigit() else 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_SAFE]
            await send(message)

        async def limited() -> Message:
            nonlocal taken
            if announced <= self._most:
                message = await receive()
                taken += len(message.get("body", b""))
            if max(announced, taken) > self._most:
                raise HTTPException(413, f"the body has more than {self._most} bytes")
            return message

        answers: Any = self._app
        host = _host(headers.get(b"host", b""))
        if self._hosts is not None and host and host not in self._hosts:
            detail = f"this service is not called {host[:60]!a}; see mmssl serve --allow-host"
            answers = JSONResponse({"detail": detail}, 400)
        try:
            await answers(scope, limited, counted)
        finally:
            self._count(scope["path"], status, time.perf_counter() - start)


def _host(header: bytes) -> str:
    """The name in a header Host, without its port."""
    text = header.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].removesuffix(".")
