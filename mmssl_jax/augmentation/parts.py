"""What comes of each part: its answers read, its files written."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mmssl_jax.augmentation import asking, outputs, prompts
from mmssl_jax.augmentation.answer_file import AnswerFile
from mmssl_jax.augmentation.options import (
    ATTRIBUTES,
    PAIRS,
    PROFILES,
    STAND_IN,
    AugmentOptions,
)
from mmssl_jax.augmentation.outputs import Texts
from mmssl_jax.augmentation.prompts import Asked
from mmssl_jax.data import loading
from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.features import side
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic
from mmssl_jax.ranking import ranked_lists
from mmssl_jax.training.session import Trained

FOLDER = "augmentation"  # in the data folder


class Part(NamedTuple):
    """What came of a part: how many subjects it asks about, and how many have what is asked for."""

    name: str
    subjects: int
    answered: int
    refused: Counter[str]  # reason -> answers
    written: tuple[Path, ...] = ()


def folder_of(trained: Trained) -> Path:
    """The data folder of a run; InputError where it was trained on none."""
    path = trained.dataset.source.get("path", "")
    if path in ("", loading.DEMO, loading.IN_MEMORY):
        raise InputError(
            "the run was trained on data that are in no folder, and augmentations are written "
            "beside the data; import them into a folder and train on that"
        )
    folder = loading.existing(path)
    return loading.top(loading.find(folder, Findings()), folder)


def made(
    folder: Path,
    part: str,
    asked: Asked,
    options: AugmentOptions,
    answers: AnswerFile,
    texts: Texts,
) -> Part:
    """Reads the answers of a part, and writes its files if there are any.

    Raises:
      InputError: a file cannot be written, or there is no encoder for texts.
    """
    values: dict[int, Any] = {}
    refused: Counter[str] = Counter()
    count = 0
    for question in prompts.questions(part, asked, options):
        count += 1
        found = asking.accepted(question, answers.of(question.key))
        refused += found.refused
        if found.value is not None:
            values[question.subject] = found.value
    write = {PAIRS: _write_pairs, PROFILES: _write_profiles, ATTRIBUTES: _write_attributes}[part]
    written = write(folder, values, asked, options, texts) if values else ()
    return Part(part, count, len(values), refused, tuple(written))


def note(folder: Path, options: AugmentOptions, found: list[Part], tokens: tuple[int, int]) -> None:
    """Notes how the files of the folder were made."""
    about = {
        "provider": options.provider,
        "model": options.model,
        "tokens": tokens,
        "parts": {
            part.name: {
                "subjects": part.subjects,
                "answered": part.answered,
                "refused": dict(part.refused),
            }
            for part in found
        },
    }
    if options.provider == STAND_IN:
        about["modality"] = options.profile_modality
    atomic.write_json(folder / FOLDER / "about.json", about)


def _write_pairs(
    folder: Path, pairs: dict[int, Any], asked: Asked, options: AugmentOptions, texts: Texts
) -> Iterator[Path]:
    yield outputs.write_pairs(folder, pairs)


def _write_profiles(
    folder: Path, profiles: dict[int, Any], asked: Asked, options: AugmentOptions, texts: Texts
) -> Iterator[Path]:
    users, _ = ranked_lists.user_and_item_ids(asked.dataset)
    lines = [(users[user], profile) for user, profile in profiles.items()]
    outputs.write_texts(folder / FOLDER / "profiles.tsv", ("user", "profile"), lines)
    everyone = [profiles.get(user, "") for user in range(asked.dataset.num_users)]
    yield texts.write(folder, f"{side.USER}{side.PROFILE}", everyone)


def _write_attributes(
    folder: Path, attributes: dict[int, Any], asked: Asked, options: AugmentOptions, texts: Texts
) -> Iterator[Path]:
    """The fields that describe the items, and what was asked for where these say nothing."""
    count = asked.dataset.num_items
    columns = {re.sub(r"[^\w-]", "_", name): list(own) for name, own in asked.items.fields.items()}
    for name in options.attributes:
        own = columns.get(name, [""] * count)
        columns[name] = [
            own[item] or attributes.get(item, {}).get(name, "") for item in range(count)
        ]
    _, items = ranked_lists.user_and_item_ids(asked.dataset)
    lines = list(zip(items, *columns.values(), strict=True))
    outputs.write_texts(folder / FOLDER / "attributes.tsv", ("item", *columns), lines)
    for name, column in columns.items():
        if any(column):
            yield texts.write(folder, f"{side.ATTRIBUTE}{name}", column)
