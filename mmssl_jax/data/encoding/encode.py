"""Makes features of the items' texts and images.

What is made so far is kept in a hidden file of the folder, so that after a kill the same command
goes on and ends with the same bytes.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmssl_jax.data.checks.wording import counted, worded
from mmssl_jax.data.encoding import encoders, item_table, rows
from mmssl_jax.data.encoding.item_table import Items, Warn
from mmssl_jax.data.encoding.rows import Job, Progress, silent
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.layouts import canonical
from mmssl_jax.data.layouts.splits_json import read_json_object
from mmssl_jax.data.tables import id_spelling
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic, checksums, durable

TEXT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
IMAGE_MODEL = "sentence-transformers/clip-ViT-B-32"


@dataclasses.dataclass(frozen=True)
class EncodeOptions:
    """What is encoded, and how; the flags of `mmssl encode` are called the same.

    Raises InputError for what cannot be, or has no meaning.
    """

    to: Path  # the data folder that gets the features; may be new
    items: Path | None = None  # a table of items; None is items.tsv of the folder
    text: tuple[str, ...] = ()  # columns of it that are encoded, joined
    images: Path | None = None  # a folder of images that are encoded, named by raw item id
    id_column: str | None = None  # of raw ids; None is the first
    no_header: bool = False  # the first line of items is an item; columns are called 1, 2, ...
    text_model: str = TEXT_MODEL
    text_name: str = "text"
    image_model: str = IMAGE_MODEL
    image_name: str = "image"
    batch_size: int = 32
    device: str | None = None  # such as cpu or cuda:0; None is a GPU if there is one

    def __post_init__(self) -> None:
        if not (self.text or self.images):
            raise InputError("nothing to encode; give --text COLUMN, --images FOLDER, or both")
        if not 1 <= self.batch_size <= 10_000:
            raise InputError(f"--batch-size is {self.batch_size}; it must be from 1 to 10000")
        names = (self.text_name, self.image_name)
        for name in names:
            if not features.is_name(name):
                raise InputError(f"{name!r} cannot name a modality; take letters, digits, _ and -")
        if names[0] == names[1]:
            raise InputError(
                f"--text-name and --image-name are both '{names[0]}'; they must differ"
            )


class Encoded(NamedTuple):
    """A modality that was written: its file, how many items have it, and its width."""

    path: Path
    items: int
    present: int
    width: int
    model: str


def encode(options: EncodeOptions, warn: Warn, progress: Progress = silent) -> Iterator[Encoded]:
    """Writes <modality>_feat.npy, and <modality>_present.npy where items lack the modality.

    Args:
      options: what is encoded, and how.
      warn: is told what is suspicious, a line each.
      progress: is told how far it is.

    Yields:
      Each modality, when its files are written: texts first.

    Raises:
      InputError: the items or a model cannot be read, no item has the modality, or the folder
        cannot be written.
    """
    folder = options.to
    atomic.check_writable(folder / item_table.FILE)
    items = item_table.read(
        folder, options.items, options.id_column, options.text, not options.no_header, warn
    )
    jobs = list(_jobs(options, items, warn))
    ready = [encoders.load(job.modality, job.model, job.batch_size, options.device) for job in jobs]
    for job, encoder in zip(jobs, ready, strict=True):
        with rows.made(folder, job, encoder, progress) as values:
            encoded = _write(folder, job, values, items, warn)
        yield encoded


def _jobs(options: EncodeOptions, items: Items, warn: Warn) -> Iterator[Job]:
    """What is asked for; InputError where no item has it."""
    size = options.batch_size
    if options.text:
        texts = [text.strip() or None for text in items.texts]
        job = Job(options.text_name, "text", options.text_model, size, texts, str)
        listed = ", ".join(options.text)
        _check_some(job, f"no item has text in {listed}; give another column", warn)
        yield job
    if options.images:
        found = encoders.find_images(options.images)
        stems, images = list(found), list(found.values())
        places = id_spelling.places(stems, items.ids)
        for message in id_spelling.said_of_matches(options.images, stems, items.ids, places):
            warn(message)
        paths = [images[place] if place >= 0 else None for place in places]
        name, model = options.image_name, options.image_model
        job = Job(name, "image", model, size, paths, encoders.read_image)
        suffixes = ", ".join(encoders.SUFFIXES)
        _check_some(
            job,
            f"{options.images}: has no image of any item; files are named by raw item id, such as "
            f"{items.ids[0][:40]!r}, and one of {suffixes}",
            warn,
        )
        yield job


def _check_some(job: Job, refusal: str, warn: Warn) -> None:
    lacking = sum(each is None for each in job.inputs)
    if lacking == len(job.inputs):
        raise InputError(refusal)
    if lacking:
        have = worded(lacking, "has", "have")
        warn(
            f"{lacking} of {len(job.inputs)} items {have} no {job.modality}: missing in {job.name}"
        )


def _write(folder: Path, job: Job, values: np.ndarray, items: Items, warn: Warn) -> Encoded:
    """Writes what training reads; after a kill between two of the files, all are written again."""
    present = ~np.isnan(values[:, 0])
    unread = [each for each, there in zip(job.inputs, present, strict=True) if each and not there]
    if unread:
        examples = ", ".join(repr(path.name[:40]) for path in unread[:3])
        images = counted(len(unread), "image")
        warn(f"{images} cannot be read: missing in {job.name}, such as {examples}")
    path = folder / f"{job.name}{features.SUFFIX}"
    mask = folder / f"{job.name}{features.MASK_SUFFIX}"
    about = folder / canonical.ABOUT
    values[~present] = 0
    with checksums.changing(folder, [path.name, mask.name, about.name]):
        if items.titles is not None:
            _write_items(folder, items)
        if path.exists():  # neither a kill nor a power cut leaves old ones under a new mask
            path.unlink()
            durable.sync(folder)
        if present.all():
            mask.unlink(missing_ok=True)
        else:
            atomic.write_array(mask, present)
        atomic.write_array(path, values)
        _note(about, job, values)
    return Encoded(path, len(present), int(present.sum()), values.shape[1], job.model)


def _write_items(folder: Path, items: Items) -> None:
    """Writes items.tsv for a folder that has none."""
    columns = [items.ids, items.titles] if any(items.titles or ()) else [items.ids]
    rows = zip(map(str, range(len(items.ids))), *columns, strict=True)
    lines = ["\t".join(row) for row in rows]
    atomic.write_text(folder / item_table.FILE, "\n".join(lines) + "\n")


def _note(about: Path, job: Job, values: np.ndarray) -> None:
    """Enters the features in dataset.json, where there is one."""
    if about.is_file():
        content = read_json_object(about)
        known = content.get("features")
        entry = {"shape": list(values.shape), "dtype": str(values.dtype), "model": job.model}
        content["features"] = (known if isinstance(known, dict) else {}) | {job.name: entry}
        atomic.write_json(about, content)
