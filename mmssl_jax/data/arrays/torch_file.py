"""The tensor in a file of torch.save, without torch and without running its pickle.

Such a file is a zip archive: data.pkl says what the tensors are, data/0 and so on hold their
values, uncompressed. The pickle goes through the allow-list of `pickles`.
"""

import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmssl_jax.data.arrays.pickled_array import array
from mmssl_jax.data.arrays.pickles import ARRAYS, Allowed, Record, Refused, interpret

_MAX_PICKLE, _MAX_MEMBERS = 1 << 20, 10_000
_BFLOAT16 = "bfloat16"
_STORAGES = {"FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2"}
_ALLOWED = (
    ARRAYS
    | {f"torch.{name}": Allowed(code) for name, code in _STORAGES.items()}
    | {
        "torch.BFloat16Storage": Allowed(_BFLOAT16),
        "torch._utils._rebuild_tensor_v2": Allowed("tensor", "REDUCE"),
        "torch._utils._rebuild_parameter": Allowed("parameter", "REDUCE"),
        "collections.OrderedDict": Allowed("hooks", "REDUCE"),
    }
)


def read(path: Path) -> np.ndarray:
    """The one 2-d tensor of floats in the file, bfloat16 as float32.

    Raises Refused where there is none or more than that; a damaged file can raise any Exception.
    """
    if not zipfile.is_zipfile(path):
        raise Refused(
            "it is no archive as torch.save writes it since torch 1.6; save the tensor again, or "
            "its numpy() as .npy"
        )
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        if len(members) > _MAX_MEMBERS:
            raise Refused(f"it has {len(members)} members, more than {_MAX_MEMBERS}")
        pickles = [name for name in members if name.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1 or members[pickles[0]].file_size > _MAX_PICKLE:
            raise Refused("it has no data.pkl of a single tensor")
        root = pickles[0].removesuffix("data.pkl")
        order = members.get(f"{root}byteorder")
        if order is not None and order.file_size > len("little"):
            raise Refused("its byteorder is neither little nor big")
        big = order is not None and archive.read(order) == b"big"
        record = _single(interpret(archive.read(pickles[0]), _ALLOWED, persistent=True))
        if record.kind != "tensor":
            return array(record, "array", dimensions=2)
        storage, offset, shape, stride = _parts(record)
        kind, key, count = storage
        dtype = np.dtype("u2" if kind == _BFLOAT16 else kind)
        dtype = dtype.newbyteorder(">" if big else "<")
        member = members.get(f"{root}data/{key}")
        if member is None or member.compress_type != zipfile.ZIP_STORED:
            raise Refused("it has no values of its tensor, or has them compressed")
        # Uncompressed it cannot be longer than the file, whatever the archive says.
        if member.file_size != count * dtype.itemsize or member.file_size > path.stat().st_size:
            raise Refused(f"its tensor does not hold the {count} values it announces")
        size = shape[0] * shape[1]
        if offset + size > count:
            raise Refused("its tensor is larger than its values")
        flat: np.ndarray = np.frombuffer(archive.read(member), dtype)[offset : offset + size]
    values = flat.reshape(shape, order=_order(shape, stride))
    if kind == _BFLOAT16:  # the upper half of a float32
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values


def _single(found: Any) -> Record:
    """The tensor or array that was saved alone, or in a dict that has nothing else."""
    if isinstance(found, dict) and len(found) == 1:
        (found,) = found.values()
    if isinstance(found, Record) and found.kind == "parameter" and found.args:
        found = found.args[0]
    if not isinstance(found, Record):
        raise Refused("it holds no single tensor; save that of this modality alone")
    return found


def _parts(tensor: Record) -> tuple[tuple[str, str, int], int, tuple[int, int], tuple[int, int]]:
    """Storage (kind, key, number of values), offset, shape and stride of a recorded tensor."""
    if len(tensor.args) < 4:
        raise Refused("its tensor has no parts")
    persistent, offset, shape, stride = tensor.args[:4]
    for pair in (shape, stride):
        if not (isinstance(pair, tuple) and all(_is_length(length) for length in pair)):
            raise Refused("its tensor has a shape of something else than lengths")
    if len(stride) != len(shape):
        raise Refused("its tensor has strides that do not fit its shape")
    if len(shape) != 2:
        raise Refused(f"its tensor has the shape {shape}; features are 2-d, one row for each item")
    if not isinstance(persistent, Record) or persistent.kind != "persistent":
        raise Refused("its tensor has no values")
    parts = persistent.args[0]
    if not (isinstance(parts, tuple) and len(parts) == 5 and parts[0] == "storage"):
        raise Refused("its tensor has no values")
    _, kind, key, _, count = parts
    if not (isinstance(kind, Allowed) and kind.kind in (*_STORAGES.values(), _BFLOAT16)):
        raise Refused("its tensor holds something other than floats")
    if not (isinstance(key, str) and _is_length(count) and _is_length(offset)):
        raise Refused("its tensor has no values")
    return (kind.kind, key, count), offset, shape, stride


def _order(shape: tuple[int, int], stride: tuple[int, int]) -> Literal["C", "F"]:
    """How the values lie; only without gaps, as any other strides repeat values without end."""

    def lies(dense: tuple[int, int]) -> bool:
        return all(n == 1 or a == b for n, a, b in zip(shape, stride, dense, strict=True))

    if lies((shape[1], 1)):
        return "C"
    if lies((1, shape[0])):
        return "F"
    raise Refused(f"its tensor has strides {stride}; save tensor.contiguous()")


def _is_length(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 40
