"""Gets answers to questions from an endpoint: several at a time, within a budget."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from mmssl_jax.augmentation import endpoint as endpoints
from mmssl_jax.augmentation.answer_file import AnswerFile, Reply
from mmssl_jax.augmentation.answers import Refused
from mmssl_jax.augmentation.endpoint import KEY, URL, Endpoint, Failed
from mmssl_jax.augmentation.options import LIMITS, AugmentOptions
from mmssl_jax.augmentation.prompts import Question
from mmssl_jax.errors import InputError

# Of a token, at least, in texts of Latin letters; a message has a few tokens of its own.
_BYTES, _OF_A_MESSAGE = 3, 10
_ANSWER = 500  # tokens of an answer whose length the request does not limit
# Failed questions in a row after which the endpoint is given up: before any answer, and later.
_AT_FIRST, _LATER = 3, 20


class Accepted(NamedTuple):
    """What an answer says, and how many others were refused."""

    value: Any  # None where none is accepted
    refused: Counter[str]  # reason -> answers


def accepted(question: Question, texts: Iterable[str]) -> Accepted:
    """The last of the answers to a question that can be used: a person may have corrected one."""
    value, refused = None, Counter[str]()
    for text in texts:
        try:
            value = question.read(text)
        except Refused as error:
            refused[str(error)] += 1
    return Accepted(value, refused)


def is_open(question: Question, answers: AnswerFile, tries: int | None) -> bool:
    """Whether a question is to be asked: it has no answer to use, and fewer than `tries` others."""
    texts = answers.of(question.key)
    tried = tries is not None and len(texts) >= tries
    return not tried and accepted(question, texts).value is None


def estimated(request: dict[str, Any]) -> tuple[int, int]:
    """Tokens that a request and its answer take: for texts in Latin letters rather too many."""
    asked = [message["content"].encode() for message in request["messages"]]
    tokens = sum(len(text) // _BYTES + _OF_A_MESSAGE for text in asked)
    limits = [request[name] for name in LIMITS if name in request]
    return tokens, max(limits, default=_ANSWER)


class Round:
    """The state of a round of questions, shared by those who ask."""

    def __init__(self, answers: AnswerFile, options: AugmentOptions, tell: Callable[[int], object]):
        self._answers, self._options, self._tell = answers, options, tell
        self._reserved = 0  # tokens of the requests under way
        self._ended = asyncio.Event()  # one of them
        self._in_a_row, self._answered, self._done = 0, False, 0
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
                tokens = await self._reserve(question)
                if tokens is None:
                    return
                try:
                    reply = await endpoint.ask(question.request)
                except Failed as error:
                    self._fail(error)
                    break
                finally:
                    self._reserved -= sum(tokens)
                    self._ended.set()
                self._in_a_row, self._answered = 0, True
                reply = Reply(reply.text, reply.tokens or tokens)
                self._answers.add(question.key, reply, str(self._options.model))
            self._done += 1
            self._tell(self._done)

    async def _reserve(self, question: Question) -> tuple[int, int] | None:
        """Sets the tokens of a request aside; None where the budget has no room for it.

        While requests under way take up the room, it waits: they may cost less than was set aside.
        """
        tokens = estimated(question.request)
        while self._exceeded_by(sum(tokens)):
            if not self._reserved:
                self.out_of_budget = True
                return None
            self._ended.clear()
            await self._ended.wait()
        self._reserved += sum(tokens)
        return tokens

    def _exceeded_by(self, tokens: int) -> bool:
        after = sum(self._answers.tokens) + self._reserved + tokens
        return self._options.budget is not None and after > self._options.budget

    def _fail(self, error: Failed) -> None:
        """Counts a question without an answer.

        Raises:
          InputError: there is nothing to be hoped for the others.
        """
        self.failed[str(error)] += 1
        self._in_a_row += 1
        most = _LATER if self._answered or error.of_one else _AT_FIRST
        if error.of_all and not self._answered:
            raise InputError(f"the endpoint answers with {error}; correct {URL}, {KEY} or --model")
        if self._in_a_row >= most:
            raise InputError(
                f"{self._in_a_row} requests in a row have failed, the last with {error}; see to "
                "the endpoint and give the same command again: what is answered is kept"
            )


def ask(
    questions: Iterator[Question],
    url: str,
    answers: AnswerFile,
    options: AugmentOptions,
    tell: Callable[[int], object],
) -> Round:
    """Asks the endpoint at a URL; what came of it is in `answers` and in the result.

    Raises:
      InputError: the endpoint refuses everything, or fails again and again.
    """
    state = Round(answers, options, tell)

    async def run() -> None:
        connection = endpoints.connected(url, options.timeout, options.concurrency)
        async with connection as endpoint:
            await state.run(questions, endpoint)

    asyncio.run(run())
    return state
