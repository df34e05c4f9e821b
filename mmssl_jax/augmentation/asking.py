"""Gets answers to questions from an endpoint: several at a time, within a budget."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from mmssl_jax.augmentation import endpoint as endpoints
from mmssl_jax.augmentation.answer_file import AnswerFile, Reply
from mmssl_jax.augmentation.answers import Refused
from mmssl_jax.augmentation.endpoint import Endpoint, Failed
from mmssl_jax.augmentation.options import AugmentOptions
from mmssl_jax.augmentation.prompts import Question
from mmssl_jax.errors import InputError

# What is estimated is rather too much: a token is of three bytes or more in most languages, and a
# message has a few of its own.
_BYTES, _OF_A_MESSAGE = 3, 10
_ANSWER = 500  # tokens of an answer whose length the request does not limit
# Failed questions in a row after which the endpoint is given up: before any answer, and later.
_AT_FIRST, _LATER = 3, 20


class Accepted(NamedTuple):
    """What an answer says, and how many before it were refused."""

    value: Any  # None where none is accepted
    refused: Counter[str]  # reason -> answers


def accepted(question: Question, texts: Iterable[str]) -> Accepted:
    """The first of the answers to a question that can be used."""
    refused: Counter[str] = Counter()
    for text in texts:
        try:
            return Accepted(question.read(text), refused)
        except Refused as error:
            refused[str(error)] += 1
    return Accepted(None, refused)


def is_open(question: Question, answers: AnswerFile, tries: int | None) -> bool:
    """Whether a question is to be asked: it has no answer to use, and fewer than `tries` others."""
    texts = answers.of(question.key)
    tried = tries is not None and len(texts) >= tries
    return not tried and accepted(question, texts).value is None


def estimated(request: dict[str, Any]) -> tuple[int, int]:
    """Tokens that a request and its answer take, at most."""
    asked = [message["content"].encode() for message in request["messages"]]
    tokens = sum(len(text) // _BYTES + _OF_A_MESSAGE for text in asked)
    limit = request.get("max_tokens") or request.get("max_completion_tokens")
    return tokens, limit if isinstance(limit, int) else _ANSWER


class Asking:
    """The state of a round of questions, shared by those who ask."""

    def __init__(self, answers: AnswerFile, options: AugmentOptions, tell: Callable[[int], object]):
        self._answers, self._options, self._tell = answers, options, tell
        self._reserved = 0  # tokens of the requests under way
        self._in_a_row, self._most_in_a_row = 0, _AT_FIRST
        self._done = 0
        self.failed: Counter[str] = Counter()  # reason -> questions
        self.out_of_budget = False

    async def run(self, questions: Iterator[Question], endpoint: Endpoint) -> None:
        """Asks until there is no question, or no budget; InputError where the endpoint fails."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._options.concurrency):
                    group.create_task(self._work(questions, endpoint))
        except* InputError as errors:
            raise errors.exceptions[0] from None

    async def _work(self, questions: Iterator[Question], endpoint: Endpoint) -> None:
        for question in questions:
            while is_open(question, self._answers, self._options.tries):
                tokens = self._reserve(question)
                if tokens is None:
                    return
                try:
                    reply = await endpoint.ask(question.request)
                except Failed as error:
                    self._fail(str(error))
                    break
                finally:
                    self._reserved -= sum(tokens)
                self._in_a_row, self._most_in_a_row = 0, _LATER
                reply = Reply(reply.text, reply.tokens or tokens)
                self._answers.add(question.key, reply, str(self._options.model))
            self._done += 1
            self._tell(self._done)

    def _reserve(self, question: Question) -> tuple[int, int] | None:
        """The tokens set aside for a request; None where the budget has no room for it."""
        tokens = estimated(question.request)
        after = sum(self._answers.tokens) + self._reserved + sum(tokens)
        if self._options.budget is not None and after > self._options.budget:
            self.out_of_budget = True
        if self.out_of_budget:
            return None
        self._reserved += sum(tokens)
        return tokens

    def _fail(self, reason: str) -> None:
        self.failed[reason] += 1
        self._in_a_row += 1
        if self._in_a_row >= self._most_in_a_row:
            raise InputError(
                f"{self._in_a_row} requests in a row have failed, the last with {reason}; see to "
                "the endpoint and give the same command again: what is answered is kept"
            )


def ask(
    questions: Iterator[Question],
    url: str,
    answers: AnswerFile,
    options: AugmentOptions,
    tell: Callable[[int], object],
) -> Asking:
    """Asks the endpoint at a URL; what came of it is in `answers` and in the result.

    Raises:
      InputError: the endpoint refuses everything, or fails again and again.
    """
    asking = Asking(answers, options, tell)

    async def run() -> None:
        connection = endpoints.connected(url, options.timeout, options.concurrency)
        async with connection as endpoint:
            await asking.run(questions, endpoint)

    asyncio.run(run())
    return asking
