"""Augments a data folder: asks, reads the answers, and writes what training reads.

Every step can be killed and gone on with: answers are kept as they come (`answer_file`), and each
file of the folder is written whole or not at all.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mmssl_jax.augmentation import asking, endpoint, outputs, parts, prompts
from mmssl_jax.augmentation import folder as folders
from mmssl_jax.augmentation.answer_file import AnswerFile
from mmssl_jax.augmentation.folder import Part
from mmssl_jax.augmentation.options import (
    ATTRIBUTES,
    ENDPOINT,
    NONE,
    PARTS,
    PROFILES,
    AugmentOptions,
)
from mmssl_jax.augmentation.prompts import Question
from mmssl_jax.augmentation.subjects import Subjects
from mmssl_jax.data.checks.wording import counted
from mmssl_jax.data.encoding.item_table import Warn
from mmssl_jax.data.encoding.rows import Progress, silent
from mmssl_jax.errors import InputError

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


def plan(folder: Path, subjects: Subjects, options: AugmentOptions) -> Plan:
    """What a call would ask; nothing is sent or written."""
    examples: dict[str, Question] = {}
    counts, tokens = Counter[str](), [0, 0]
    for question in _open(subjects, options, AnswerFile.read(folder / folders.OWN)):
        examples.setdefault(question.part, question)
        counts[question.part] += 1
        for place, count in enumerate(asking.estimated(question.request)):
            tokens[place] += count
    return Plan(list(examples.values()), dict(counts), (tokens[0], tokens[1]))


def augment(
    folder: Path,
    subjects: Subjects,
    options: AugmentOptions,
    warn: Warn,
    progress: Progress = silent,
) -> Report:
    """Gets answers, or with --provider none writes the questions, and writes what is answered.

    Args:
      folder: of the data, which gets the files.
      subjects: what is asked about.
      options: what is asked, and of whom.
      warn: is told what is suspicious, a line each.
      progress: is told how far it is.

    Raises:
      InputError: the endpoint fails, or a file cannot be written.
    """
    failed, out_of_budget, prompt_file = Counter[str](), False, None
    texts = outputs.Texts(options, progress)
    with AnswerFile.open(folder / folders.OWN) as answers:
        _warn_of_answers(folder, subjects, options, answers, warn)
        still_open = sum(1 for _ in _open(subjects, options, answers))
        if options.provider == ENDPOINT and still_open:
            if {PROFILES, ATTRIBUTES} & set(options.asked):
                texts.load()  # before anything is paid for what could then not be used
            with progress("answers", 0, still_open) as tell:
                questions = _open(subjects, options, answers)
                done = asking.ask(questions, endpoint.address(), answers, options, tell)
            failed, out_of_budget = done.failed, done.out_of_budget
            still_open = sum(1 for _ in _open(subjects, options, answers))
        (folder / folders.OWN / PROMPTS).unlink(missing_ok=True)
        if options.provider == NONE and still_open:
            prompt_file = folder / folders.OWN / PROMPTS
            _write_prompts(prompt_file, _open(subjects, options, answers))
        found, tokens = [], (answers.tokens[0], answers.tokens[1])
        for part in options.asked:
            found.append(parts.made(folder, part, subjects, options, answers, texts, warn))
            folders.note(folder, options, found[-1:], tokens)
    return Report(found, tokens, still_open, failed, out_of_budget, prompt_file)


def _warn_of_answers(
    folder: Path, subjects: Subjects, options: AugmentOptions, answers: AnswerFile, warn: Warn
) -> None:
    """Says which answers have no part in what follows."""
    if lines := answers.unreadable:
        count = counted(len(lines), "line holds", "lines hold")
        warn(f"{folder / folders.OWN}: {count} no answer, the first is {lines[0]}")
    others = set(PARTS) - set(options.asked)
    left = {key for key in answers.questions() if key.partition("-")[0] not in others}
    for part in options.asked:
        left -= {question.key for question in prompts.questions(part, subjects, options)}
    if left:
        warn(
            f"{folder / folders.OWN}: {len(left)} answered questions are not asked now: they "
            "are of another model, --body, run or prompt"
        )


def _open(subjects: Subjects, options: AugmentOptions, answers: AnswerFile) -> Iterator[Question]:
    """The questions that are still to be asked, each once."""
    tries = options.tries if options.provider == ENDPOINT else None
    seen: set[str] = set()
    for part in options.asked:
        for question in prompts.questions(part, subjects, options):
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
