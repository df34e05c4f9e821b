"""Feeds damaged and hostile files to every reader of data, in a process of its own.

    POLARS_MAX_THREADS=1 PYTHONPATH=. python tests/data/fuzzing.py FOLDER SEED COUNT [FIRST [ONLY]]

where ONLY is part of the names of the files to spoil, such as .pkl, or several with commas. Prints
one JSON object. Input number i of a seed is always the same file, whatever COUNT is, so
that a single failure is run again with COUNT 1 and FIRST i. What must hold for every input: the
reader returns or raises InputError with one printable line; the doctor reports an error where
training refuses; nothing of the file is run, nothing is written, and memory and time stay small.
"""

import functools
import gzip
import io
import json
import os
import pickle
import re
import resource
import signal
import sys
import tempfile
import time
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import data_layouts_writers as writers
import fuzzing_arrays
import fuzzing_lists
import fuzzing_splits
import numpy as np
import polars as pl

from mmssl_jax.data import Dataset, load
from mmssl_jax.data.checks import doctor
from mmssl_jax.data.checks.findings import ERROR
from mmssl_jax.data.dataset import assemble
from mmssl_jax.data.encoding import item_table
from mmssl_jax.data.importing import added_features
from mmssl_jax.data.tables import id_spelling, likes, parquet_trial, titles, unpacked
from mmssl_jax.data.tables import interactions as tables
from mmssl_jax.errors import InputError

MEMORY = 512 << 20  # bytes that reading one tiny file may take
SECONDS = 20  # of computing; of waiting, where others compute as well, some more
_WAITING = 6
TEMPORARY = tempfile.gettempdir()  # asked for here, as that opens a file

Rng = np.random.Generator


class Target(NamedTuple):
    """A file, and the folder or file that is read when it is spoilt."""

    file: Path
    read: Callable[[], None]


# The readers


def targets(top: Path) -> dict[str, Target]:
    """Valid data in every layout below `top`; every file of it is a target."""
    dataset = _dataset()
    found = {}
    for layout, writer in {**writers.WRITERS, "matrices": fuzzing_arrays.matrices}.items():
        folder = writer(dataset, top / layout)
        if layout in ("canonical", "mmssl"):
            np.save(folder / "image_present.npy", np.arange(8) != 3)
        if layout == "mmssl":
            lines = [f'{index},19{index:02},"Title, {index}"\n' for index in range(8)]
            (folder / "item_attribute.csv").write_text("".join(lines))
        if layout == "canonical":  # recorded sums would refuse most of what is changed
            about = json.loads((folder / "dataset.json").read_text())
            del about["sha256"]
            (folder / "dataset.json").write_text(json.dumps(about))
        for path in sorted(folder.rglob("*.*")) + sorted(folder.glob("train_mat")):
            if path.is_file():
                name = f"{layout}/{path.relative_to(folder)}"
                found[name] = Target(path, functools.partial(_read_folder, folder))
    for path in _tables(top):
        found[path.name] = Target(path, functools.partial(_read_table, path))
    for name, (folder, path) in fuzzing_lists.parts(dataset, top).items():
        found[name] = Target(path, functools.partial(_read_folder, folder))
    read_by = fuzzing_arrays.features(dataset, top) | fuzzing_splits.targets(top)
    read_by |= fuzzing_lists.targets(dataset, top)
    for name, (path, read) in read_by.items():
        found[name] = Target(path, read)
    order, items, features = top / "order.txt", top / "items.csv", top / "added.npy"
    order.write_text("".join(f"{raw}\n" for raw in reversed(dataset.item_ids)))
    items.write_text("".join(f'{raw},"Text, {raw}"\n' for raw in ("asin", *dataset.item_ids)))
    np.save(features, np.ones((8, 2), np.float32))
    found["order.txt"] = Target(order, functools.partial(_add, dataset, order, features))
    found["added.npy"] = Target(features, functools.partial(_add, dataset, order, features))
    named = top / "titles.csv"
    named.write_text("asin,title\n" + items.read_text().partition("\n")[2])
    found["titles.csv"] = Target(named, functools.partial(_add_titles, dataset, named))
    found["items.csv"] = Target(items, functools.partial(_read_items, top / "canonical", items))
    return found


def _dataset() -> Dataset:
    rng = np.random.default_rng(0)
    users, items = np.divmod(rng.permutation(5 * 8), 8)
    pairs = {
        split: (users[part], items[part])
        for split, part in (
            ("train", slice(0, 20)),
            ("val", slice(20, 24)),
            ("test", slice(24, 30)),
        )
    }
    features = {
        "image": rng.normal(size=(8, 3)).astype(np.float32),
        "text": rng.normal(size=(8, 2)).astype(np.float32),
    }
    ids = {
        "user_ids": tuple(f"U{index}" for index in range(5)),
        "item_ids": tuple(f"B{index:09}" for index in range(8)),
        "item_titles": tuple(f"Title {index}" for index in range(8)),
    }
    return assemble("fuzz", "fuzz", (5, 8), pairs, features, **ids)


def _tables(top: Path) -> list[Path]:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "user_id": [f"U{number}" for number in rng.integers(5, size=40)],
            "item_id": [f"B{number:03}" for number in rng.integers(8, size=40)],
            "rating": rng.integers(1, 6, size=40).astype(float),
            "timestamp": rng.integers(1 << 30, size=40),
            "event": [("view", "buy")[number] for number in rng.integers(2, size=40)],
            "item_title": [f"Title {number}" for number in rng.integers(8, size=40)],
        }
    )
    kinds = ("csv", "tsv", "parquet", "jsonl", "json", "csv.gz", "jsonl.gz")
    paths = [top / f"table.{kind}" for kind in kinds]
    frame.write_csv(paths[0])
    frame.write_csv(paths[1], separator="\t")
    frame.write_parquet(paths[2])
    frame.write_ndjson(paths[3])
    paths[4].write_text(json.dumps(frame.to_dicts()))
    for packed, plain in ((paths[5], paths[0]), (paths[6], paths[3])):
        packed.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    return paths


def _read_folder(folder: Path) -> None:
    """Reads a folder as training does; the doctor must agree."""
    try:
        refused = None
        warnings = list(load(str(folder)).warnings)
    except InputError as error:
        refused, warnings = error, []
    dataset, findings = doctor.examine(folder, "")
    errors = findings.messages(ERROR)
    assert bool(errors) == (refused is not None), (refused, errors)
    for message in errors + findings.messages("warning") + warnings:
        assert message.isprintable(), message
    if refused is not None:
        assert str(refused) == errors[0], (refused, errors)
        raise refused
    assert dataset is not None
    doctor.facts(dataset)


def _read_table(path: Path) -> None:
    """Reads a table with all that can be asked of it, and with nothing."""
    columns: dict[str, str | None] = dict.fromkeys(("user", "item", "time", "rating"))
    rules = tables.Rules(likes.Rule(1.0, likes.LATEST), id_spelling.KEEP, id_spelling.KEEP)
    for asked, rule in ((columns, rules), (dict.fromkeys(("user", "item")), tables.Rules())):
        table = tables.read(path, asked, rules=rule, k_core=1)
        assert len(table.users) == len(table.items) == len(table.rows)
        for message in table.warnings:
            assert message.isprintable(), message
        for title in table.titles or ():
            assert title.isprintable() or title.split() == title.split(" "), title


def _add(dataset: Dataset, order: Path, features: Path) -> None:
    added = added_features.add(dataset, order, {"sound": features}, order, zeros_missing=True)
    assert added.features["sound"].shape[0] == dataset.num_items


def _add_titles(dataset: Dataset, named: Path) -> None:
    added = titles.add(dataset, named, named, None, id_spelling.JOIN)
    assert added.item_titles is not None
    assert len(added.item_titles) == dataset.num_items
    assert not any(set(title) & set("\t\n\r\x1b") for title in added.item_titles)
    assert all(message.isprintable() for message in added.warnings)


def _read_items(folder: Path, items: Path) -> None:
    warnings: list[str] = []
    item_table.read(folder, items, None, (), header=True, warn=warnings.append)
    assert all(warning.isprintable() for warning in warnings)


# What is done to the files


def spoil(rng: Rng, name: str, good: bytes, others: list[bytes], canary: Path) -> bytes:
    """The bytes `good` of the target `name`, damaged or replaced."""
    suffix = name.rpartition(".")[2]
    kind = {"pkl": "pickle", "jsonl": "rows"}.get(suffix, suffix)
    kind = "rows" if name == "table.json" else kind
    if kind not in ("json", "npy", "pickle", "parquet", "rows", "gz", "npz", "pt"):
        kind = "pickle" if name.endswith("train_mat") else "table"
    bad = hostile(str(canary))
    ways: list[Callable[[], bytes]] = [
        lambda: good[: rng.integers(len(good))],
        lambda: _flipped(rng, good),
        lambda: _spliced(rng, good, rng.bytes(rng.integers(1, 30))),
        lambda: _spliced(rng, good, _pick(rng, TOKENS)),
        lambda: rng.bytes(rng.integers(200)),
        lambda: _pick(rng, others),
        lambda: _pick(rng, bad[kind]),
        lambda: _pick(rng, bad[_pick(rng, list(bad))]),
    ]
    own: dict[str, Callable[[], bytes]] = {
        "json": lambda: _json(rng, good),
        "npy": lambda: _npy(rng, good),
        "pickle": lambda: fuzzing_arrays.matrix(rng, good),
        "table": lambda: _cell(rng, good),
        "parquet": lambda: _flipped(rng, good),
        "rows": lambda: _objects(rng, good),
        "gz": lambda: _packed(rng, name, good, others, canary),
        "npz": lambda: _flipped(rng, good),
        "pt": lambda: _flipped(rng, good),
    }
    odd = fuzzing_arrays.spoiled(rng, name, good)
    odd = fuzzing_lists.spoiled(rng, name, good) if odd is None else odd
    return _pick(rng, [*ways, *[own[kind] if odd is None else lambda: odd] * 6])()


def _pick(rng: Rng, values: list) -> Any:
    return values[rng.integers(len(values))]


def _flipped(rng: Rng, good: bytes) -> bytes:
    raw = bytearray(good)
    for _ in range(rng.integers(1, 4)):
        raw[rng.integers(len(raw))] ^= 1 << rng.integers(8)
    return bytes(raw)


def _spliced(rng: Rng, good: bytes, piece: bytes) -> bytes:
    """`piece` in the place of a few bytes."""
    start = rng.integers(len(good) + 1)
    return good[:start] + piece + good[start + rng.integers(2) * rng.integers(30) :]


NUMBERS = [
    -1,
    0,
    1,
    7,
    8,
    999_999,
    1_000_000,
    49_999_999,
    2**31 - 2,
    2**31,
    2**63 - 1,
    2**63,
    10**30,
]
TOKENS = [
    *(str(number).encode() for number in [*NUMBERS, *range(9)]),
    *(b"1.0", b"1e999", b"NaN", b"Infinity", b"true", b"null", b'""', b"007", b"+1", b" 1"),
    *(b"\0", b"\x1b[2J", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n", b"\n\n", b"\t", b",", b'"', b"'"),
    *(b"../../canary", b"/etc/passwd", b"C:\\x", b"x" * 5000, b"9" * 5000, "٣é\u202e".encode()),
    *(b"\t" * 3000, b"," * 3000, b"[" * 3000, b"\n" * 3000),
]


def _cell(rng: Rng, good: bytes) -> bytes:
    """A table or list with one of its cells, or a line of it, changed."""
    lines = good.split(b"\n")
    place = rng.integers(len(lines))
    cells = re.split(rb"([\t,])", lines[place])
    match rng.integers(5):
        case 0:
            lines.insert(place, lines[rng.integers(len(lines))])
        case 1:
            del lines[place]
        case 2:
            lines[place] += _pick(rng, [b"\t", b",", b"\tx", b",x", b"\r"])
        case _:
            cells[rng.integers((len(cells) + 1) // 2) * 2] = _pick(rng, TOKENS)
            lines[place] = b"".join(cells)
    return b"\n".join(lines)


def _json(rng: Rng, good: bytes) -> bytes:
    """JSON with one of its values or keys replaced."""
    values = [
        *NUMBERS,
        *range(9),
        -1.5,
        1e308,
        None,
        True,
        "",
        "1",
        "x",
        "\x1b[2J",
        [],
        [0],
        {},
        {"0": [1]},
    ]
    content = json.loads(good)
    keys = sorted(content)
    key, value = _pick(rng, keys), _pick(rng, values)
    match rng.integers(4):
        case 0:
            content[key] = value
        case 1:
            content[str(value)] = content.pop(key)
        case 2 if isinstance(content[key], list):
            content[key].insert(rng.integers(len(content[key]) + 1), value)
        case _:
            content[str(value)] = _pick(rng, [[1], [7], [], value, content[key]])
    return json.dumps(content).encode()


def _objects(rng: Rng, good: bytes) -> bytes:
    """JSON objects, an object a line or a list, with a value or key replaced, or a line spoilt."""
    if good.startswith(b"["):
        rows = json.loads(good)
        place = rng.integers(len(rows))
        row = json.loads(_json(rng, json.dumps(rows[place]).encode()))
        rows[place] = _pick(rng, [row, row, row, [row], None, 7, {}])
        return json.dumps(rows, indent=_pick(rng, [None, 1])).encode()
    lines = good.splitlines()
    place = rng.integers(len(lines))
    spoilt = [b"", b"{", b"[]", b"[" * 9000, b'{"user_id": ' * 9000, b"\xff"]
    ways = [lambda: _json(rng, lines[place])] * 3 + [
        lambda: _pick(rng, spoilt),
        lambda: _spliced(rng, lines[place], b""),
    ]
    lines[place] = _pick(rng, ways)()
    repeat = _pick(rng, [1, 1, 1, 20])  # so that one bad line is one of many
    return b"\n".join(lines + lines[:place] * repeat + lines[place + 1 :] * repeat)


def _packed(rng: Rng, name: str, good: bytes, others: list[bytes], canary: Path) -> bytes:
    """What is packed is spoilt and packed again, or is very much."""
    if not rng.integers(8):
        return _bomb(16 + zlib.MAX_WBITS)
    plain = spoil(rng, name.removesuffix(".gz"), gzip.decompress(good), others, canary)
    return gzip.compress(plain, mtime=0) + _pick(rng, [b"", b"", b"", b"\0" * 9, b"more"])


def _npy(rng: Rng, good: bytes) -> bytes:
    """An array of another type or shape, or a header that lies."""
    kinds = [
        "<f4",
        "<f2",
        ">f8",
        "<i8",
        "|b1",
        "|O",
        "<c8",
        "<U9",
        "|V0",
        "<M8[s]",
        "<f16",
        "x",
        "|S0",
    ]
    shapes = [(8, 3), (8,), (), (0, 3), (8, 0), (7, 3), (9, 3), (1_000_001, 1), (2**31, 2**31)]
    odd = [
        "(-8, 3)",
        "(8, 3.0)",
        "(True, 3)",
        "8",
        "[8, 3]",
        "(8, 3, 1)",
        "(2**99, 1)",
        "(10**30, 0)",
    ]
    if rng.integers(2):
        kind = _pick(rng, ["f2", "f4", "f4", "f8", "i4", "?", "O", "U3"])
        shape = _pick(rng, [*[(8, 3)] * 6, *shapes[:7]])
        file = io.BytesIO()
        np.save(file, np.full(shape, _pick(rng, [0, 1, 1e-300])).astype(kind), allow_pickle=True)
        raw = bytearray(file.getvalue())
        if kind in ("f4", "f8") and len(raw) > 140:
            raw[-4:] = _pick(rng, [b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f"])
        return bytes(raw)
    header = (
        f"{{'descr': {_pick(rng, kinds)!r}, 'fortran_order': {_pick(rng, [True, False, 3])}, "
        f"'shape': {_pick(rng, [*shapes, *odd])}, {_pick(rng, ['', '', chr(39) * 2 + ': 1'])}}}"
    )
    if not rng.integers(6):
        header = _pick(rng, ["(" * 5000, "__import__('os').system('x')", "{}", "1", "9" * 9000])
    length = _pick(rng, [len(header), len(header), 0, 0xFFFF])
    version = _pick(rng, [b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\xff\xff"])
    width = 2 if version[0] == 1 else 4
    start = good[:6] + version + length.to_bytes(width, "little") + header.encode()
    return start + rng.bytes(_pick(rng, [0, 8, 32, 96, 96, 192]))


@functools.cache
def hostile(canary: str) -> dict[str, list[bytes]]:
    """Whole files that would run something, or take a lot of memory or time, by kind of file."""
    command = f"touch {canary}"
    calls = [
        _Call(os.system, (command,)),
        _Call(eval, (f"open({canary!r}, 'w')",)),
        _Call(exec, (f"open({canary!r}, 'w')",)),
        _Call(os.popen, (command,)),
        _Call(np.load, (canary,)),
        _Call(np.zeros, ((1 << 40,),)),
        _Call(bytearray, (1 << 40,)),
    ]
    doubling = b"".join(b"h\0h\0\x86q\0" for _ in range(200))
    pickles = [
        *(pickle.dumps(call, protocol) for call in calls for protocol in (0, 2, 4)),
        b"\x80\x04Nr\xff\xff\xff\x7f.",
        b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.",
        b"\x80\x04\x95" + b"\xff" * 8 + b"N.",
        b"\x80\x04)q\0" + doubling + b".",
        b"\x80\x04})q\0" + doubling + b"Ns.",
        b"\x80\x04" + b"(" * 100_000 + b".",
        b"\x80\x04N" + b"\x85" * 100_000 + b".",
        b"\x80\x04" + b"]" * 100_000 + b"." + b"a" * 100_000,
        b"I" + b"9" * 100_000 + b"\n.",
    ]
    jsons = [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"0": ' * 50_000,
        b'{"0": [' + b"9" * 100_000 + b"]}",
        b'{"0": [' + b"0," * 100_000 + b"0]}",
    ]
    tables = [
        b"\t" * 100_000 + b"\n" + b"\t" * 100_000,
        b"," * 300_000 + b"\n",
        b"\n" + b"\t" * 300_000 + b"\n",
        b'"\n"' + b"," * 300_000 + b"\n1,2\n",
        b'"' * 100_001,
        b"userID\titemID\tx_label\n" + b"0\t0\t0\n" * 20_000,
        b"user_id,item_id,rating,timestamp\n" + b'"' + b"x," * 50_000,
        _bomb(zlib.MAX_WBITS),
        _bomb(zlib.MAX_WBITS + 16),  # gzip
    ]
    row = b'{"user_id": "u", "item_id": "i", "timestamp": 7, "rating": 3}\n'
    rows = [
        *jsons,
        row * 50 + b'{"user_id": ' * 50_000 + b"\n",
        row * 50 + b"[" * 300_000 + b"\n",
        b"[" + row * 50,
        b"[" + b'{"user_id": [' * 100_000,
        b"[" + b" " * 3_000_000 + row + b"]",
        b'{"user_id": "' + b"u" * 2_000_000 + b'"}',
        b'{"user_id": ' + b"9" * 500_000 + b', "item_id": 1e999, "timestamp": -1e400}\n',
        b"{" + b", ".join(b'"k%d": 1' % number for number in range(50_000)) + b"}\n",
        row.replace(b'"u"', b'"\\ud800"') * 50,
        row.replace(b'"u"', b"NaN").replace(b"7", b"Infinity") * 50,
        b'{"user_id": {"$oid": "u"}, "item_id": ["i"]}\n' * 50,
    ]
    packed = [
        *(gzip.compress(content, mtime=0) for content in (*rows, *tables[:7])),
        gzip.compress(row * 200_000, mtime=0)[:-9],
        gzip.compress((row[:-1] + b" " * 500_000 + b"\n") * 300, mtime=0),
        _bomb(zlib.MAX_WBITS + 16),
        gzip.compress(gzip.compress(row, mtime=0), mtime=0),
        gzip.compress(row, mtime=0) * 10_000,
    ]
    wide = pl.DataFrame({f"c{number}": [1] for number in range(2000)})
    nested = pl.DataFrame({"user_id": [[1]], "item_id": [{"a": 1}]})
    constant = pl.select(user_id=pl.repeat("u" * 99, 1 << 24), item_id=pl.repeat("i", 1 << 24))
    parquets = [_written(frame.write_parquet) for frame in (wide, nested, constant)]
    objects = np.array([calls[:1]], object)
    arrays = [_written(lambda file: np.save(file, objects, allow_pickle=True)), _written(_archive)]
    kinds = {
        "pickle": pickles,
        "json": jsons,
        "table": tables,
        "parquet": parquets,
        "rows": rows,
        "gz": packed,
        "npy": arrays,
    }
    for kind, files in fuzzing_arrays.hostile(calls).items():
        kinds[kind] = [*kinds.get(kind, ()), *files]
    return kinds


def _written(write: Callable) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def _archive(file: io.BytesIO) -> None:
    """An .npz with a large array, and a name that leads outside."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("image_feat.npy"), bytes(64 << 20), zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("../../canary.npy"), b"x")


def _bomb(wbits: int) -> bytes:
    """A table of 600 megabytes in less than one, and in what looks like one line."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    start = packer.compress(b"userID\titemID\tx_label\n") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b"0\t0\t0\n" * 700_000) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * 150 + packer.flush()


class _Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable, arguments: tuple):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


# The run


_TRIALS = {parquet_trial.COMMAND, parquet_trial.PARTS_COMMAND}


class Watch:
    """Notes what Python code does that no reader may do: run, write outside, unpickle, connect."""

    _NEVER = (
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.fork",
        "subprocess.Popen",
        "socket.",
        "pickle.",
    )
    _CHANGE = (
        "os.remove",
        "os.rename",
        "os.mkdir",
        "os.rmdir",
        "os.chmod",
        "os.link",
        "os.symlink",
    )

    def __init__(self):
        self.seen, self.on = [], False
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple) -> None:
        ours = event in ("subprocess.Popen", "os.posix_spawn")  # the latter since Python 3.13
        if not self.on or (ours and not _TRIALS.isdisjoint(arguments[1])):
            return
        if event.startswith(self._NEVER):
            self.seen.append(event)
        elif event == "exec" and re.match(r"<(?!frozen)", arguments[0].co_filename):
            self.seen.append(f"exec {arguments[0].co_filename}")
        elif event == "open" and self._writes(arguments):
            self.seen.append(f"open {arguments[0]} to write")
        elif event in self._CHANGE and not self._temporary(arguments[0]):
            self.seen.append(f"{event} {arguments[0]}")

    def _temporary(self, path: Any) -> bool:
        """Whether it is what a packed table is unpacked to, which is opened as its folder."""
        return isinstance(path, str) and (
            path == TEMPORARY or Path(path).name.startswith(unpacked.PREFIX)
        )

    def _writes(self, arguments: tuple) -> bool:
        path, mode, flags = arguments
        if isinstance(path, int):  # a pipe that is open already
            return False
        writes = set(mode or "") & set("wax+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR)
        return bool(writes) and path != os.devnull and not self._temporary(path)


def run(folder: Path, seed: int, count: int, first: int = 0, only: str = "") -> dict[str, Any]:
    """Reads `count` inputs; says what came of each target, what failed, and how long it took."""
    found = targets(folder / "data")
    chosen = only.split(",")
    found = {name: one for name, one in found.items() if any(part in name for part in chosen)}
    # A Parquet file is read in a process of its own, so that some take the time of many others.
    rare = [name for name in found if name.endswith(".parquet")]
    names = sorted(found.keys() - set(rare)) * 4 + rare
    good = [found[name].file.read_bytes() for name in names]
    canary = folder / "canary"
    for target in found.values():  # also imports everything, before anything is limited or watched
        target.read()
    hostile(str(canary))
    watch = guard()
    tally: Counter[str] = Counter()
    failures, slowest, start = [], (0.0, ""), time.monotonic()
    for number in range(first, first + count):
        which = number % len(names)
        name, target = names[which], found[names[which]]
        rng = np.random.default_rng([seed, number])
        target.file.write_bytes(spoil(rng, name, good[which], good, canary))
        (folder / "progress").write_text(f"input {number}, {name}")  # for when the process dies
        began = time.monotonic()
        outcome = one(target, watch, canary)
        slowest = max(slowest, (time.monotonic() - began, f"input {number}, {name}"))
        tally[f"{name}: {outcome if outcome in ('read', 'refused') else 'failed'}"] += 1
        if outcome not in ("read", "refused"):
            failures.append(f"input {number}, {name}: {outcome}")
        target.file.write_bytes(good[which])
    seconds = time.monotonic() - start
    kinds: Counter[str] = Counter()
    for name, times in tally.items():
        target, _, outcome = name.rpartition(": ")
        kinds[f"{Path(target).suffix or target}: {outcome}"] += times
    return {
        "kinds": dict(sorted(kinds.items())),
        "failures": failures,
        "seconds": seconds,
        "slowest": slowest,
        "tally": tally,
    }


def one(target: Target, watch: Watch, canary: Path) -> str:
    """Reads one input: 'read', 'refused', or what went wrong."""
    signal.alarm(_WAITING * SECONDS)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    watch.on = True
    try:
        target.read()
        outcome = "read"
    except InputError as error:
        outcome = "refused" if str(error).isprintable() else f"not one printable line: {error!r}"
    except BaseException as error:
        outcome = f"{type(error).__name__}: {str(error)[:500]}"
    finally:
        watch.on = False
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
    if watch.seen or canary.exists():
        outcome = f"did what it must not: {watch.seen}, canary {canary.exists()}"
        watch.seen.clear()
        canary.unlink(missing_ok=True)
    return outcome


def _late(*_) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds")


def guard(watch: type[Watch] = Watch) -> Watch:
    """Limits this process for good, and lets warnings be failures; the watch is of this kind."""
    warnings.simplefilter("error")
    tempfile.gettempdir()  # found under a lock, which the watch would wait for if it came first
    signal.signal(signal.SIGALRM, _late)
    signal.signal(signal.SIGPROF, _late)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return watch()


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), *map(int, sys.argv[2:5]), *sys.argv[5:])))
