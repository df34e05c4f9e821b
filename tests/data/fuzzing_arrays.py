"""Matrices and features in pickles, archives and tables, and what can be wrong in them."""

import contextlib
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import data_layouts_writers as writers
import numpy as np
import polars as pl
import scipy.sparse

from mmssl_jax.data import Dataset
from mmssl_jax.data.dataset import SPLITS
from mmssl_jax.data.importing import added_features

Rng = np.random.Generator

KINDS = ("coo", "csr", "csc", "coo", "csr", "csc", "lil", "dok", "bsr", "dia")
PROTOCOLS = (0, 1, 2, 3, 4, 5, 2, 3, 4, 5)


def matrices(dataset: Dataset, folder: Path) -> Path:
    """A folder of matrices as save_npz writes them, of another family, with dislikes."""
    writers.write_diffmm(dataset, folder)
    for path in folder.glob("*.pkl"):
        path.unlink()
    for split in SPLITS:
        matrix = scipy.sparse.csr_array(getattr(dataset, split))
        matrix.data[::5] = -1
        scipy.sparse.save_npz(folder / f"{split}_mat.npz", matrix)
    return folder


def features(dataset: Dataset, top: Path) -> dict[str, tuple[Path, Callable[[], None]]]:
    """A feature file of every kind, some with ids, and what reads it."""
    values = np.random.default_rng(2).normal(size=(8, 3)).astype(np.float32)
    rows = [",".join(map(str, row)) for row in values.tolist()]
    named = [f"{raw},{row}" for raw, row in zip(dataset.item_ids or (), rows, strict=True)]
    frame = pl.DataFrame({f"c{place}": values[:, place] for place in range(3)})
    contents = {
        "sound.npz": saved(lambda file: np.savez(file, values)),
        "sound.pt": tensor_file(values.tobytes()),
        "sound.pkl": pickle.dumps(values, 5),
        "sound.csv": "\n".join(rows).encode(),
        "named.csv": "\n".join(["item_id,a,b,c", *named]).encode(),
        "sound.tsv": "\n".join(named).replace(",", "\t").encode(),
        "sound.parquet": saved(frame.write_parquet),
    }
    found = {}
    for name, content in contents.items():
        path = top / name
        path.write_bytes(content)
        found[name] = path, _reading(dataset, path)
    return found


def _reading(dataset: Dataset, path: Path) -> Callable[[], None]:
    def read() -> None:
        added = added_features.add(
            dataset, path.parent, {"sound": path}, None, False, choice="keep"
        )
        values = added.features["sound"]
        assert values.shape[0] == added.num_items == len(added.item_ids or ())
        assert np.isfinite(values).all()
        for warning in added.warnings:
            assert warning.isprintable(), warning

    return read


# What is done to them


def spoiled(rng: Rng, name: str, good: bytes) -> bytes | None:
    """A file of the kind of `name` with odd parts; None where no other kind of file is meant."""
    suffix = name.rpartition(".")[2]
    stem = name.rpartition("/")[2].partition(".")[0]
    if suffix == "npz":
        return _matrix_archive(rng, good) if "_mat" in stem else _archive(rng)
    if suffix == "pt":
        return _tensor(rng)
    if suffix == "pkl" and stem == "sound":
        return pickle.dumps(_values(rng), _pick(rng, PROTOCOLS))
    if stem in ("sound", "named") and suffix in ("csv", "tsv"):
        return _numbers(rng, good)
    if suffix == "parquet" and stem == "sound":
        return _columns(rng)
    return None


def matrix(rng: Rng, good: bytes) -> bytes:
    """A pickled matrix of any kind, often with odd parts, as scipy itself would write it."""
    shape = _pick(rng, [(5, 8), (5, 9), (6, 8), (8, 5), (1, 1), (2**31, 2), (1_000_000, 8)])
    count = rng.integers(9)
    cells = rng.integers(_pick(rng, [1, 5, 9]), size=(2, count))
    values = _pick(rng, [np.ones(count), rng.integers(-2, 6, size=count), rng.random(count)])
    values = values.astype(_pick(rng, ["f8", "f4", "?", "i8", "i1", "c16"]))
    made = scipy.sparse.coo_array((5, 8))
    with contextlib.suppress(pickle.UnpicklingError):
        made = scipy.sparse.coo_array(pickle.loads(good))  # which we have written
    if not rng.integers(3):
        with contextlib.suppress(ValueError):  # a cell outside
            made = scipy.sparse.coo_array((values, cells), (5, 8))
    kind, form = _pick(rng, KINDS), _pick(rng, ["matrix", "array"])
    made = getattr(scipy.sparse, f"{kind}_{form}")(made)
    state = dict(vars(made)) if kind == "dok" else vars(made)  # which cannot be pickled when odd
    match rng.integers(10):
        case 0:
            state["_shape"] = shape
        case 1:
            state["_shape"] = _pick(rng, [None, (5,), (-1, 8), (5.0, 8), "58", (5, 8, 1)])
        case 2:
            name = _pick(rng, [name for name in state if name != "maxprint"])
            state[name] = _pick(rng, [np.arange(3), np.array([1, None]), [0], {}, 2**70, b"x" * 99])
        case 3 if isinstance(state.get("data"), np.ndarray):
            state["data"] = np.full(len(state["data"]), _pick(rng, [np.nan, 0, np.inf, -1]))
        case 4 if "indices" in state:
            state["indices"] = state["indices"].astype(_pick(rng, ["i8", "i4", "i2", "u4", ">i4"]))
    protocol = 4 if kind == "dok" else _pick(rng, PROTOCOLS)
    outside = [].append if protocol == 5 and not rng.integers(5) else None
    return pickle.dumps(made, protocol, buffer_callback=outside)


def _values(rng: Rng) -> Any:
    """Something that may be features."""
    shape = _pick(rng, [*[(8, 3)] * 12, (8,), (), (0, 3), (8, 0), (7, 3), (9, 3), (8, 3, 1)])
    kind = _pick(rng, [*["f4"] * 9, "f8", "f2", ">f4", "i4", "?", "c8", "O", "U3", "M8[s]"])
    values = np.full(shape, _pick(rng, [0, 1, 2])).astype(kind)
    if kind in ("f4", "f8") and values.size:
        values.flat[-1] = _pick(rng, [*[1] * 6, np.nan, np.inf, 1e38])
    wrap = _pick(rng, [*[None] * 6, "order", "view", "list", "dict", "tuple"])
    if wrap == "order":
        return np.asfortranarray(values)
    if wrap == "view":
        return np.concatenate([values, values])[::2] if values.ndim else values
    return {"list": [values], "dict": {"a": values}, "tuple": (values,)}.get(wrap, values)


def _archive(rng: Rng) -> bytes:
    """An archive with one or several arrays that may be features."""
    values = [_values(rng) for _ in range(_pick(rng, [*[1] * 9, 2, 0]))]
    save = _pick(rng, [np.savez, np.savez_compressed])
    with_objects = saved(lambda file: save(file, *values))
    return with_objects if rng.integers(9) else _renamed(rng, with_objects)


def _matrix_archive(rng: Rng, good: bytes) -> bytes:
    """A matrix of save_npz with one of its arrays replaced, or gone."""
    with np.load(io.BytesIO(good)) as archive:
        arrays = dict(archive)
    name = _pick(rng, sorted(arrays))
    match rng.integers(6):
        case 0:
            del arrays[name]
        case 1 if arrays[name].dtype.kind != "S":
            arrays[name] = arrays[name].astype(_pick(rng, ["i8", "i4", "f8", "S4", "?"]), copy=True)
        case 2 if arrays[name].size and arrays[name].dtype.kind in "if":
            arrays[name] = arrays[name].copy()
            arrays[name].flat[rng.integers(arrays[name].size)] = _pick(rng, [-1, 0, 1, 7, 8, 2**30])
        case 3:
            arrays["data"] = arrays["data"].astype(_pick(rng, ["i8", "f8", "i1", "f2", "c16"]))
        case 4:
            values = [np.arange(3), np.array(b"coo"), np.array("csc"), np.array([]), np.array(7)]
            arrays[name] = _pick(rng, values)
    return saved(lambda file: np.savez_compressed(file, **arrays))


def _renamed(rng: Rng, good: bytes) -> bytes:
    """The same archive under other names, some of which lead outside."""
    names = [
        "../../canary",
        "/etc/passwd",
        "a" * 300 + ".npy",
        "",
        "\x1b[2J.npy",
        "a.npy",
        "x/y.npy",
    ]
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(out, "w") as new:
        for member in old.infolist():
            new.writestr(zipfile.ZipInfo(_pick(rng, names)), old.read(member))
    return out.getvalue()


def _tensor(rng: Rng) -> bytes:
    """A file of torch.save with odd parts."""
    lengths = [0, 1, 2, 3, 8, 24, 25, -1, 2**31, 2**62, 10**30, 3.0, None, True]
    shape, stride = _pick(rng, [((8, 3), (3, 1))] * 4 + [((8, 3), (1, 8)), ((3, 8), (8, 1))])
    parts = {"count": 24, "offset": 0, "shape": shape, "stride": stride}
    if rng.integers(2):
        odd = tuple(_pick(rng, lengths) for _ in range(rng.integers(4)))
        name = _pick(rng, sorted(parts))
        parts[name] = odd if name in ("shape", "stride") else _pick(rng, lengths)
    kinds = ["FloatStorage"] * 9 + ["DoubleStorage", "HalfStorage", "BFloat16Storage", "IntStorage"]
    data = rng.normal(size=24).astype(_pick(rng, [*["f4"] * 9, "f8", "f2"])).tobytes()
    if not rng.integers(5):
        data = rng.bytes(len(data))
    return tensor_file(
        data,
        tensor(kind=_pick(rng, kinds), key=_pick(rng, [*["0"] * 9, "1", "../0", ""]), **parts),
        _pick(rng, [zipfile.ZIP_STORED] * 9 + [zipfile.ZIP_DEFLATED]),
        _pick(rng, [*[b"little"] * 9, b"big", b"\xff", bytes(1 << 26), None]),
    )


def _numbers(rng: Rng, good: bytes) -> bytes:
    """A table with a cell, a line, the separator or the header changed."""
    cells = [
        *[b"%d.5" % place for place in range(9)],
        b"",
        b"x",
        b"nan",
        b"1e400",
        b"-1",
        b"0",
        b"7",
        b'"1"',
        b'"',
        b"1,2",
        b"\xff",
        b"\0",
    ]
    lines = [line.split(b"\t" if b"\t" in good else b",") for line in good.split(b"\n")]
    row = rng.integers(len(lines))
    match rng.integers(7):
        case 0:
            lines[row][rng.integers(len(lines[row]))] = _pick(rng, cells)
        case 1:
            lines.insert(row, lines[rng.integers(len(lines))])
        case 2:
            lines.insert(0, [b"%d" % place for place in range(len(lines[0]))])
        case 3:
            lines = [[b"%d" % (place * 3 % 8), *line] for place, line in enumerate(lines)]
        case 4:
            del lines[row]
        case 5:
            rng.shuffle(lines)
    separators = [b"\t", b"\t", b","] if b"\t" in good else [b",", b",", b",", b"\t", b" ", b";"]
    return b"\n".join(map(_pick(rng, separators).join, lines))


def _columns(rng: Rng) -> bytes:
    """Parquet with odd columns."""
    columns = {
        "asin": [f"B{place:09}" for place in range(8)],
        "twice": ["B000000001"] * 8,
        "index": list(range(8)),
        "x": [float(place) for place in range(8)],
        "none": [None] * 8,
        "e": [[1.0, 2.0]] * 8,
        "ragged": [[1.0] * place for place in range(8)],
        "nested": [[[1.0]]] * 8,
        "flag": [True] * 8,
        "huge": [2**62] * 8,
    }
    chosen = rng.choice(sorted(columns), size=_pick(rng, [1, 1, 2, 3]), replace=False)
    return saved(pl.DataFrame({name: columns[name] for name in chosen}).write_parquet)


def hostile(calls: list) -> dict[str, list[bytes]]:
    """Archives that would run something, or take a lot of memory or time."""
    objects = np.array([calls[:1]], object)
    zeros = np.zeros((1 << 10, 1 << 15), np.float32)  # 128 MB
    programs = [pickle.dumps(call, protocol) for call in calls for protocol in (2, 4)]
    values = bytes(96)
    constant = pl.select(**{f"c{place}": pl.repeat(0.5, 1 << 16) for place in range(999)})
    return {
        "npz": [
            saved(lambda file: np.savez(file, objects)),
            saved(lambda file: np.savez_compressed(file, zeros)),
            _many(5000),
        ],
        "pt": [
            *(tensor_file(values, program) for program in programs),
            tensor_file(values, tensor(shape=(1 << 31, 1 << 31), stride=(0, 0))),
            tensor_file(values, tensor(count=1 << 40)),
            tensor_file(values, b"\x80\x02" + b"(" * 900_000 + b"."),
            tensor_file(bytes(1 << 26), tensor(count=1 << 24), zipfile.ZIP_DEFLATED),
            _many(20_000),
        ],
        "parquet": [saved(constant.write_parquet)],
        "table": [b"1," * 200_000 + b"1\n", b"1\n" * 300_000, b"1e9999," * 900 + b"1\n"],
    }


def _many(count: int) -> bytes:
    """An archive of very many members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for number in range(count):
            file.writestr(zipfile.ZipInfo(f"x/data/{number}"), b"")
    return out.getvalue()


def tensor_file(
    data: bytes,
    program: bytes | None = None,
    packing: int = zipfile.ZIP_STORED,
    order: bytes | None = b"little",
) -> bytes:
    """A file as torch.save writes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as file:
        file.writestr(zipfile.ZipInfo("x/data.pkl"), tensor() if program is None else program)
        if order is not None:
            file.writestr(zipfile.ZipInfo("x/byteorder"), order)
        member = zipfile.ZipInfo("x/data/0")
        member.compress_type = packing
        file.writestr(member, data)
    return out.getvalue()


def tensor(
    count: Any = 24,
    shape: Any = (8, 3),
    stride: Any = (3, 1),
    offset: Any = 0,
    kind: str = "FloatStorage",
    key: str = "0",
) -> bytes:
    """The pickle of a tensor, without torch."""
    persistent = b"(" + _text("storage") + f"ctorch\n{kind}\n".encode() + _text(key) + _text("cpu")
    persistent += pickle.dumps(count, 2)[2:-1] + b"tQ"
    rest = b"".join(pickle.dumps(part, 2)[2:-1] for part in (offset, shape, stride, False))
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + persistent + rest + hooks + b"tR."


def _text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def saved(write: Callable) -> bytes:
    """What `write` writes to a file."""
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def _pick(rng: Rng, values) -> Any:
    return values[rng.integers(len(values))]
