"""The data folder that an augmentation goes to: what is there, and how it was made."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from mmssl_jax.augmentation.options import (
    PAIRS,
    PARTS,
    PROFILES,
    STAND_IN,
    AugmentOptions,
    column_name,
)
from mmssl_jax.data import loading
from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.features import side
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic
from mmssl_jax.training.session import Trained

OWN, _ABOUT = "augmentation", "about.json"  # in the data folder, and in that
_PICKLES = (side.PAIRS, side.PROFILES, side.ATTRIBUTES)  # LLMRec's own, in the order of PARTS


class Part(NamedTuple):
    """What came of a part: how many subjects it asks about, and how many have what is asked for."""

    name: str
    subjects: int
    answered: int
    refused: Counter[str]  # reason -> answers
    written: tuple[Path, ...] = ()


def of_run(trained: Trained) -> Path:
    """The data folder of a run.

    Raises:
      InputError: it was trained on data in no folder, or on all pairs.
    """
    if trained.dataset.final:
        raise InputError(
            "the run was trained on all pairs (--final), so that augmentations would give away the "
            "pairs of val and test; take a run that was trained on the training pairs alone"
        )
    path = trained.dataset.source.get("path", "")
    if path in ("", loading.DEMO, loading.IN_MEMORY):
        raise InputError(
            "the run was trained on data that are in no folder, and augmentations are written "
            "beside the data; import them into a folder and train on that"
        )
    folder = loading.existing(path)
    return loading.top(loading.find(folder, Findings()), folder)


def check_free(folder: Path, options: AugmentOptions) -> None:
    """Refuses to replace, or to hide, side information that this command has not made.

    Raises:
      InputError: there is some.
    """
    ours = about(folder)["parts"]
    pickles = dict(zip(PARTS, _PICKLES, strict=True))
    for part in options.asked:
        made = ours.get(part, {}).get("provider", options.provider)
        known = ours.get(part, {}).get("files", [])
        for path in filter(Path.exists, _files(folder, part, options)):
            if options.provider == STAND_IN != made:
                raise InputError(f"{path} is of a language model; remove it to make stand-ins")
            if path.name not in known:
                raise InputError(
                    f"{path} is there already, and mmssl augment did not make it; move it away, or "
                    f"leave {part} out"
                )
        if not known and (folder / pickles[part]).exists():
            raise InputError(
                f"{folder / pickles[part]} would be hidden by new {part}; import the folder first, "
                f"or leave {part} out"
            )


def about(folder: Path) -> dict[str, Any]:
    """How the files of a folder were made, as `note` has noted it.

    Raises:
      InputError: the note cannot be read.
    """
    path = folder / OWN / _ABOUT
    if not path.exists():
        return {"tokens": [0, 0], "parts": {}}
    content = atomic.read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("parts"), dict):
        raise InputError(f"{path}: is no note of mmssl augment; remove it")
    return content


def claim(folder: Path, part: str, options: AugmentOptions) -> None:
    """Notes which files a part is about to write, so that they are known as ours after a kill."""
    content = about(folder)
    own = content["parts"].setdefault(part, {"answered": 0})
    names = {path.name for path in _files(folder, part, options)}
    own["files"] = sorted({*own.get("files", []), *names})
    atomic.write_json(folder / OWN / _ABOUT, content)


def note(folder: Path, options: AugmentOptions, found: list[Part], tokens: tuple[int, int]) -> None:
    """Notes how files were made; what is known of those that were not written stays."""
    content = about(folder) | {"tokens": tokens}
    for part in found:
        if part.written:
            content["parts"][part.name] = {
                "provider": options.provider,
                "model": options.model,
                "subjects": part.subjects,
                "answered": part.answered,
                "refused": dict(part.refused),
                "files": content["parts"].get(part.name, {}).get("files", []),  # as claimed
            }
            if options.provider == STAND_IN:
                content["parts"][part.name]["modality"] = options.profile_modality
    atomic.write_json(folder / OWN / _ABOUT, content)


def kept(folder: Path, part: str, options: AugmentOptions, answered: int) -> str:
    """Which files stay, and why, as they have more answers of a language model; '' for none."""
    before = about(folder)["parts"].get(part, {})
    asked = _files(folder, part, options)[-len(options.attributes) :]  # of fields nothing is asked
    there = [path.name for path in asked if path.exists()]
    if not there or before.get("provider") == STAND_IN or before.get("answered", 0) <= answered:
        return ""
    return (
        f"{', '.join(there)}: kept from an earlier call, which had {before['answered']} answers; "
        f"now there are {answered} (remove the files to take these)"
    )


def _files(folder: Path, part: str, options: AugmentOptions) -> list[Path]:
    """What a part may write."""
    if part == PAIRS:
        return [folder / side.AUGMENTED]
    if part == PROFILES:
        return [folder / f"{side.USER}{side.PROFILE}{side.SUFFIX}"]
    fields = [column_name(name) for name in options.fields or ("title",)]
    return [
        folder / f"{side.ATTRIBUTE}{name}{side.SUFFIX}" for name in (*fields, *options.attributes)
    ]
