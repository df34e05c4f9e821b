"""Augments a data folder: asks, reads the answers, and writes what training reads.

Every step can be killed and gone on with: answers are kept as they come (`answer_file`), and each
file of the folder is written whole or not at all.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmssl_jax.augmentation import asking, endpoint, outputs, parts, prompts, subjects
from mmssl_jax.augmentation.answer_file import AnswerFile
from mmssl_jax.augmentation.options import (
    ENDPOINT,
    NONE,
    PAIRS,
    AugmentOptions,
)
from mmssl_jax.augmentation.parts import FOLDER, Part
from mmssl_jax.augmentation.prompts import Asked, Question
from mmssl_jax.data.encoding.item_table import Warn
from mmssl_jax.data.encoding.rows import Progress, silent
from mmssl_jax.errors import InputError
from mmssl_jax.training.session import Trained

PROMPTS = "prompts.jsonl"


class Report(NamedTuple):
    """What an augmentation has done."""

    parts: list[Part]
    tokens: tuple[int, int]  # in, out: of all answers in the folder
    open: int  # questions that are still to be asked
    failed: Counter[str]  # reason -> requests of this call
    out_of_budget: bool
    prompts: Path | None  # where the open ones are, for --provider none


class Plan(NamedTuple):
    """What a call would do."""

    examples: list[Question]  # one of each part
    counts: dict[str, int]  # part -> questions to be asked
    tokens: tuple[int, int]  # in, out: at most, when no answer is refused


def asked_of(trained: Trained, options: AugmentOptions, warn: Warn) -> Asked:
    """All that questions are made of.

    Raises:
      InputError: nothing is known of the items in words, or there are too few of them.
    """
    dataset = trained.dataset
    items, users = subjects.items_of(dataset, options, warn), subjects.users_of(dataset)
    candidates = np.zeros((0, 0), np.int32)
    if PAIRS in options.asked:
        candidates = subjects.candidates(trained, users, options.candidates)
    return Asked(dataset, items, users, candidates)


def plan(folder: Path, asked: Asked, options: AugmentOptions) -> Plan:
    """What a call would ask; nothing is sent or written but an empty file of answers."""
    examples: dict[str, Question] = {}
    counts, tokens = Counter[str](), [0, 0]
    with AnswerFile.open(folder / FOLDER) as answers:
        for question in _open(asked, options, answers):
            examples.setdefault(question.part, question)
            counts[question.part] += 1
            for place, count in enumerate(asking.estimated(question.request)):
                tokens[place] += count
    return Plan(list(examples.values()), dict(counts), (tokens[0], tokens[1]))


def augment(
    folder: Path, asked: Asked, options: AugmentOptions, warn: Warn, progress: Progress = silent
) -> Report:
    """Gets answers, or with --provider none writes the questions, and writes what is answered.

    Args:
      folder: of the data, which gets the files.
      asked: from `asked_of`.
      options: what is asked, and of whom.
      warn: is told what is suspicious, a line each.
      progress: is told how far it is.

    Raises:
      InputError: the endpoint fails, or a file cannot be written.
    """
    failed, out_of_budget, prompt_file = Counter[str](), False, None
    with AnswerFile.open(folder / FOLDER) as answers:
        if answers.unreadable:
            warn(f"{folder / FOLDER}: {answers.unreadable} lines of answers are none; ignored")
        still_open = sum(1 for _ in _open(asked, options, answers))
        if options.provider == ENDPOINT and still_open:
            with progress("answers", 0, still_open) as tell:
                questions = _open(asked, options, answers)
                done = asking.ask(questions, endpoint.address(), answers, options, tell)
            failed, out_of_budget = done.failed, done.out_of_budget
            still_open = sum(1 for _ in _open(asked, options, answers))
        if options.provider == NONE:
            prompt_file = folder / FOLDER / PROMPTS
            _write_prompts(prompt_file, _open(asked, options, answers))
        texts = outputs.Texts(options, progress)
        found = [parts.made(folder, part, asked, options, answers, texts) for part in options.asked]
        tokens = (answers.tokens[0], answers.tokens[1])
        parts.note(folder, options, found, tokens)
    return Report(found, tokens, still_open, failed, out_of_budget, prompt_file)


def _open(asked: Asked, options: AugmentOptions, answers: AnswerFile) -> Iterator[Question]:
    """The questions that are still to be asked, each once."""
    tries = options.tries if options.provider == ENDPOINT else None
    seen: set[str] = set()
    for part in options.asked:
        for question in prompts.questions(part, asked, options):
            if question.key not in seen and asking.is_open(question, answers, tries):
                seen.add(question.key)
                yield question


def _write_prompts(path: Path, questions: Iterator[Question]) -> None:
    """The questions as batch services and vLLM's run-batch take them, a line each."""
    partial = path.with_suffix(".partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            for question in questions:
                line = {
                    "custom_id": question.key,
                    "method": "POST",
                    "url": "/v1/chat/completions",
                    "body": question.request,
                }
                file.write(json.dumps(line) + "\n")
        partial.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; make room for it") from error
