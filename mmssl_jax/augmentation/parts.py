"""What comes of each part: its answers read, its files written."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmssl_jax.augmentation import asking, outputs, prompts
from mmssl_jax.augmentation import folder as folders
from mmssl_jax.augmentation.answer_file import AnswerFile
from mmssl_jax.augmentation.folder import Part
from mmssl_jax.augmentation.options import (
    ATTRIBUTES,
    PAIRS,
    PROFILES,
    AugmentOptions,
    column_name,
)
from mmssl_jax.augmentation.outputs import Texts
from mmssl_jax.augmentation.subjects import Subjects
from mmssl_jax.data.arrays import npy
from mmssl_jax.data.encoding.item_table import Warn
from mmssl_jax.data.features import side
from mmssl_jax.ranking import ranked_lists


def made(
    folder: Path,
    part: str,
    subjects: Subjects,
    options: AugmentOptions,
    answers: AnswerFile,
    texts: Texts,
    warn: Warn,
) -> Part:
    """Reads the answers of a part, and writes its files unless earlier ones have more.

    Raises:
      InputError: a file cannot be written, or there is no encoder for texts.
    """
    values: dict[int, Any] = {}
    refused: Counter[str] = Counter()
    count = 0
    for question in prompts.questions(part, subjects, options):
        count += 1
        found = asking.accepted(question, answers.of(question.key))
        refused += found.refused
        if found.value is not None:
            values[question.subject] = found.value
    if not values:
        return Part(part, count, 0, refused)
    if kept := folders.kept(folder, part, options, len(values)):
        warn(kept)
        return Part(part, count, len(values), refused)
    folders.claim(folder, part, options)
    write = {PAIRS: _write_pairs, PROFILES: _write_profiles, ATTRIBUTES: _write_attributes}[part]
    written = tuple(write(folder, values, subjects, options, texts))
    if part == ATTRIBUTES and (said := _other_widths(folder)):
        warn(said)
    return Part(part, count, len(values), refused, written)


def _other_widths(folder: Path) -> str:
    """What is to be said where the attributes of a folder are of several encoders."""
    found = sorted(folder.glob(f"{side.ATTRIBUTE}?*{side.SUFFIX}"))
    widths = {path.name: npy.read_header(path)[1] for path in found}
    if len(set(widths.values())) < 2:
        return ""
    listed = ", ".join(f"{name} {width}" for name, width in widths.items())
    return f"the attributes have different widths ({listed}); LLMRec needs one: remove some"


def _write_pairs(
    folder: Path, pairs: dict[int, Any], subjects: Subjects, options: AugmentOptions, texts: Texts
) -> Iterator[Path]:
    yield outputs.write_pairs(folder, pairs)


def _write_profiles(
    folder: Path,
    profiles: dict[int, Any],
    subjects: Subjects,
    options: AugmentOptions,
    texts: Texts,
) -> Iterator[Path]:
    users, _ = ranked_lists.user_and_item_ids(subjects.dataset)
    lines = [(users[user], profile) for user, profile in profiles.items()]
    outputs.write_texts(folder / folders.OWN / "profiles.tsv", ("user", "profile"), lines)
    everyone = [profiles.get(user, "") for user in range(subjects.dataset.num_users)]
    yield texts.write(folder, f"{side.USER}{side.PROFILE}", everyone)


def _write_attributes(
    folder: Path,
    attributes: dict[int, Any],
    subjects: Subjects,
    options: AugmentOptions,
    texts: Texts,
) -> Iterator[Path]:
    """The fields that describe the items, and what was asked for where these say nothing."""
    count = subjects.dataset.num_items
    columns = {column_name(name): list(own) for name, own in subjects.items.fields.items()}
    for name in options.attributes:
        own = columns.get(name, [""] * count)
        columns[name] = [
            own[item] or attributes.get(item, {}).get(name, "") for item in range(count)
        ]
    _, items = ranked_lists.user_and_item_ids(subjects.dataset)
    lines = list(zip(items, *columns.values(), strict=True))
    outputs.write_texts(folder / folders.OWN / "attributes.tsv", ("item", *columns), lines)
    for name, column in columns.items():
        if any(column):
            yield texts.write(folder, f"{side.ATTRIBUTE}{name}", column)
