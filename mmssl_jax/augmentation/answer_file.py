"""Answers on disk, a line each: what was asked once is not asked again, whatever is killed."""

import contextlib
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from mmssl_jax.errors import InputError
from mmssl_jax.files import locks

NAME, PATTERN = "answers.jsonl", "answers*.jsonl"
_LONGEST = 1_000_000  # bytes of a line; longer ones are no answers
_MOST_TOKENS = 10_000_000  # that a server can be believed to have used for one answer


class Reply(NamedTuple):
    """An answer, and the tokens that it cost, as the server counts them."""

    text: str
    tokens: tuple[int, int] | None  # in, out; None where the server does not say


class AnswerFile:
    """The answers in a folder by the key of their question, in the order that they came."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._answers: dict[str, list[str]] = defaultdict(list)
        self.tokens = [0, 0]  # in and out, of all answers
        self.unreadable = 0  # lines

    @classmethod
    @contextlib.contextmanager
    def open(cls, folder: Path) -> Iterator["AnswerFile"]:
        """Reads every answers*.jsonl of a folder; `add` appends to answers.jsonl.

        A line is {"custom_id": key, "answer": text}, or a result of a batch service, with the
        answer in response.body. Lines that are none are counted as unreadable.

        Raises:
          InputError: the folder cannot be written, or another process does.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / NAME).open("a+b") as file:
                locks.lock(file.fileno())
                _end_the_line(file)
                answers = cls(file)
                for path in sorted(folder.glob(PATTERN)):
                    answers._read(path)
                yield answers
        except BlockingIOError as error:
            raise InputError(f"another process is augmenting into {folder}; wait for it") from error
        except OSError as error:
            raise InputError(
                f"cannot write {folder}: {error.strerror}; choose a place that can be written"
            ) from error

    def of(self, key: str) -> list[str]:
        """The answers to a question, the first first."""
        return self._answers.get(key, [])

    def add(self, key: str, reply: Reply, model: str) -> None:
        """Keeps an answer; it is on the disk when this returns."""
        line = {"custom_id": key, "answer": reply.text, "tokens": reply.tokens, "model": model}
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._keep(key, reply)

    def _keep(self, key: str, reply: Reply) -> None:
        self._answers[key].append(reply.text)
        for place, count in enumerate(reply.tokens or ()):
            self.tokens[place] += count

    def _read(self, path: Path) -> None:
        with path.open("rb") as file:
            while line := file.readline(_LONGEST):
                if not line.endswith(b"\n") and len(line) == _LONGEST:
                    while line and not line.endswith(b"\n"):
                        line = file.readline(_LONGEST)
                    self.unreadable += 1
                elif line.strip():
                    self._keep_line(line)

    def _keep_line(self, line: bytes) -> None:
        try:
            content = json.loads(line)
            key, answer = content["custom_id"], content.get("answer")
            if answer is None:  # of a batch service
                reply = reply_of(content["response"]["body"])
            else:
                reply = Reply(answer, _tokens(content.get("tokens")))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            self.unreadable += 1
            return
        if isinstance(key, str) and isinstance(reply.text, str):
            self._keep(key, reply)
        else:
            self.unreadable += 1


def reply_of(body: Any) -> Reply:
    """The answer in the body of a chat completion.

    Raises ValueError, LookupError or TypeError for any other body.
    """
    text = body["choices"][0]["message"]["content"]
    if not isinstance(text, str):
        raise TypeError("the answer is no text")
    usage = body.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return Reply(text, _tokens([counts.get("prompt_tokens"), counts.get("completion_tokens")]))


def _tokens(counts: Any) -> tuple[int, int] | None:
    match counts:
        case [int(given), int(taken)] if min(given, taken) >= 0 and given + taken <= _MOST_TOKENS:
            return given, taken
    return None


def _end_the_line(file: BinaryIO) -> None:
    """Adds a line break after what a kill has cut short, or a person has left without one."""
    if end := file.seek(0, os.SEEK_END):
        file.seek(end - 1)
        if file.read(1) != b"\n":
            file.write(b"\n")
            file.flush()
