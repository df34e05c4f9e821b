"""Answers on disk, a line each: what was asked once is not asked again, whatever is killed."""

import contextlib
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from mmssl_jax.errors import InputError
from mmssl_jax.files import durable, locks

NAME, PATTERN = "answers.jsonl", "answers*.jsonl"
_LONGEST = 1_000_000  # bytes of a line; longer ones are no answers
_MOST_TOKENS = 10_000_000  # that a server can be believed to have used for one answer


class Reply(NamedTuple):
    """An answer, and the tokens that it cost, as the server counts them."""

    text: str
    tokens: tuple[int, int] | None  # in, out; None where the server does not say


class AnswerFile:
    """The answers in a folder by the key of their question: ours, then those of other files."""

    def __init__(self, file: BinaryIO | None = None):
        self._file = file
        self._answers: dict[str, list[str]] = defaultdict(list)
        self.tokens = [0, 0]  # in and out, of all answers
        self.unreadable: list[str] = []  # file and number of each line that holds no answer

    @classmethod
    @contextlib.contextmanager
    def open(cls, folder: Path) -> Iterator["AnswerFile"]:
        """Reads every answers*.jsonl of a folder; `add` appends to answers.jsonl, which is locked.

        A line is {"custom_id": key, "answer": text}, or a result of a batch service, with the
        answer in response.body.

        Raises:
          InputError: the folder cannot be written, or another process does.
        """
        try:
            durable.make_folder(folder)
            file = (folder / NAME).open("a+b")
            durable.sync(folder)
        except OSError as error:
            raise _cannot_write(folder / NAME, error) from error
        with file:
            try:
                locks.lock(file.fileno())
                _end_the_line(file)
            except BlockingIOError as error:
                raise InputError(f"another process is augmenting {folder}; wait for it") from error
            except OSError as error:
                raise _cannot_write(folder / NAME, error) from error
            yield cls.read(folder, file)

    @classmethod
    def read(cls, folder: Path, file: BinaryIO | None = None) -> "AnswerFile":
        """The answers of a folder, which may be missing; without `file` none can be added.

        Raises:
          InputError: a file cannot be read.
        """
        answers = cls(file)
        others = sorted(path for path in folder.glob(PATTERN) if path.name != NAME)
        for path in (folder / NAME, *others):
            if path.is_file():
                try:
                    answers._read(path)
                except OSError as error:
                    raise InputError(f"cannot read {path}: {error.strerror}") from error
        return answers

    def of(self, key: str) -> list[str]:
        """The answers to a question."""
        return self._answers.get(key, [])

    def questions(self) -> set[str]:
        """The keys of all questions that have an answer."""
        return set(self._answers)

    def add(self, key: str, reply: Reply, model: str) -> None:
        """Keeps an answer; it is on the disk when this returns.

        Raises:
          InputError: it cannot be written.
        """
        assert self._file is not None
        line = {"custom_id": key, "answer": reply.text, "tokens": reply.tokens, "model": model}
        try:
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise InputError(
                f"cannot write {self._file.name}: {error.strerror}; make room and give the same "
                "command again: what is answered is kept"
            ) from error
        self._keep(key, reply)

    def _keep(self, key: str, reply: Reply) -> None:
        self._answers[key].append(reply.text)
        for place, count in enumerate(reply.tokens or ()):
            self.tokens[place] += count

    def _read(self, path: Path) -> None:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LONGEST):
                number += 1
                rest = line
                while len(rest) == _LONGEST and not rest.endswith(b"\n"):
                    rest = file.readline(_LONGEST)
                if line.strip() and not (rest is line and self._keep_line(line)):
                    self.unreadable.append(f"{path.name}, line {number}")

    def _keep_line(self, line: bytes) -> bool:
        """Whether a line holds an answer, which is then kept."""
        try:
            content = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
            key, answer = content["custom_id"], content.get("answer")
            if isinstance(answer, dict):  # as a person would write it
                answer = json.dumps(answer)
            if answer is None:  # of a batch service
                reply = reply_of(content["response"]["body"])
            else:
                reply = Reply(answer, _tokens(content.get("tokens")))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return False
        if isinstance(key, str) and isinstance(reply.text, str):
            self._keep(key, reply)
            return True
        return False


def reply_of(body: Any) -> Reply:
    """The answer in the body of a chat completion; '' where it has none, such as a refusal.

    Raises ValueError, LookupError or TypeError for any other body.
    """
    text = body["choices"][0]["message"]["content"]
    if not (text is None or isinstance(text, str)):
        raise TypeError("the answer is no text")
    usage = body.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    tokens = _tokens([counts.get("prompt_tokens"), counts.get("completion_tokens")])
    return Reply(text or "", tokens)


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


def _cannot_write(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot write {path}: {error.strerror}; choose a place that can be written")
