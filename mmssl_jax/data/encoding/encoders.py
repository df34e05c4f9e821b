"""Pretrained encoders of text and images; the only module that knows sentence-transformers."""

import hashlib
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmssl_jax.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")  # the first counts where an item has several
# What a small hostile file could make of itself: by its pixels, and when its shorter side is
# scaled up to what the encoder takes. An encoder sees a few hundred pixels of the longest side.
MAX_PIXELS, MAX_RATIO, LONGEST_SIDE = 80_000_000, 50, 1024


class Encoder(NamedTuple):
    """A model that is ready: `encode` maps texts or images to float32 [n, width].

    `fingerprint` is of its weights and its settings.
    """

    encode: Callable[[Sequence[Any]], np.ndarray]
    width: int
    fingerprint: str


def load(modality: str, name: str, batch_size: int, device: str | None) -> Encoder:
    """An encoder of 'text' or 'image': a local folder, else a name on the Hugging Face hub.

    Raises InputError where it cannot be loaded, or does not take this modality.
    """
    try:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging
    except ImportError as error:
        raise _not_installed(error) from error
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        torch.empty(1, device=device)
    except Exception as error:
        raise InputError(f"--device {device!r} cannot be used ({_one_line(error)})") from error
    try:
        model = _load(SentenceTransformer, name, device)
    except Exception as error:  # its libraries raise many kinds
        raise InputError(
            f"cannot load the {modality} model '{name}' ({_one_line(error)}); give a local folder "
            f"with --{modality}-model, or a name on the Hugging Face hub and a connection to it"
        ) from error
    if not model.supports(modality):
        raise InputError(
            f"the model '{name}' takes {', '.join(model.modalities)} and no {modality}; give "
            f"another --{modality}-model"
        )

    def encode(inputs: Sequence[Any]) -> np.ndarray:
        try:
            rows = model.encode(list(inputs), batch_size=batch_size, show_progress_bar=False)
        except Exception as error:  # a full device, or a model that does not fit its own settings
            raise InputError(
                f"the {modality} model '{name}' failed ({_one_line(error)}); try a smaller "
                "--batch-size, another --device, or another model"
            ) from error
        return np.asarray(rows, np.float32)

    width = encode([_example(modality)]).shape[1]  # first, as it fails where the device is none
    state = hashlib.sha256(str(model).encode())
    for key, tensor in model.state_dict().items():
        state.update(key.encode())
        state.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return Encoder(encode, width, state.hexdigest())


def find_images(folder: Path) -> dict[str, Path]:
    """The images directly in a folder by their names without the suffix.

    The names come from the folder, so whatever is looked up here lies in it. Raises InputError
    where it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read as a folder ({error.strerror})") from error
    found: dict[str, tuple[int, str]] = {}
    for name in names:
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in SUFFIXES:
            ranked = (SUFFIXES.index(suffix.lower()), name)
            found[stem] = min(found.get(stem, ranked), ranked)
    return {stem: folder / name for stem, (_, name) in found.items()}


def read_image(path: Path) -> Any | None:
    """A PIL image in RGB, or None where the file is damaged, or out of bounds; see `MAX_PIXELS`."""
    try:
        from PIL import Image
    except ImportError as error:
        raise _not_installed(error) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd files, and of pixels, which are bounded here
            with Image.open(path, formats=("JPEG", "PNG", "WEBP")) as image:
                width, height = image.size
                if width * height > MAX_PIXELS or max(image.size) > MAX_RATIO * min(image.size):
                    return None
                image.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # a JPEG can be read smaller
                small = image.convert("RGB")
                small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))  # never makes it larger
                return small
    except Exception:  # a damaged file can fail anywhere
        return None


def _load(model_class: type, name: str, device: str | None) -> Any:
    """From disk where it is there, and only else from the hub, if that answers at all."""
    if Path(name).is_dir():
        return model_class(name, device=device, local_files_only=True)
    try:
        return model_class(name, device=device, local_files_only=True)
    except Exception:  # what it finds there may be unfinished in many ways
        from huggingface_hub import constants, get_session

        get_session().head(constants.ENDPOINT, timeout=20)  # loading would try for a minute
        return model_class(name, device=device)


def _example(modality: str) -> Any:
    from PIL import Image

    return "example" if modality == "text" else Image.new("RGB", (64, 64))


def _not_installed(error: ImportError) -> InputError:
    return InputError(
        f"encoding needs packages that are not installed ({error.name}); "
        'run pip install ".[encode]"'
    )


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return (text.partition(". ")[0] or type(error).__name__)[:200]
