"""Parquet parts, lists of other systems, tables of items: what is spoilt, and what reads it."""

import dataclasses
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import data_layouts_writers as writers
import numpy as np
import polars as pl
from fuzzing_arrays import saved

from mmssl_jax.config import Evaluation
from mmssl_jax.data import Dataset
from mmssl_jax.data.dataset import SPLITS
from mmssl_jax.data.features import item_attributes
from mmssl_jax.data.tables import ranked_lists
from mmssl_jax.ranking import given_lists
from mmssl_jax.serving import where

Rng = np.random.Generator
Read = Callable[[], None]
_CUTOFFS = Evaluation(cutoffs=(5,))


def parts(dataset: Dataset, top: Path) -> dict[str, tuple[Path, Path]]:
    """Folders whose pairs are in parts, with the part of each that is spoilt."""
    found = {}
    pairs = {split: np.transpose(getattr(dataset, split).nonzero()) for split in SPLITS}
    frames = {
        split: pl.DataFrame({"user": part[:, 0], "item": part[:, 1]})
        for split, part in pairs.items()
    }
    for name in ("partitioned", "labelled"):
        folder = top / name
        folder.mkdir()
        for modality, values in dataset.features.items():
            np.save(folder / f"{modality}_feat.npy", values)
    for split, frame in frames.items():
        inside = top / "partitioned" / f"split={split}"
        inside.mkdir()
        frame.write_parquet(inside / "part-0.parquet")
    found["partitioned/part.parquet"] = "split=train/part-0.parquet"
    named = [frame.with_columns(split=pl.lit(split)) for split, frame in frames.items()]
    pl.concat(named).write_parquet(top / "labelled" / "part-0.parquet")
    found["labelled/part.parquet"] = "part-0.parquet"
    return {
        name: (top / name.partition("/")[0], top / name.partition("/")[0] / path)
        for name, path in found.items()
    }


def targets(dataset: Dataset, top: Path) -> dict[str, tuple[Path, Read]]:
    """Lists and tables of items below `top`, and what reads each."""
    rng = np.random.default_rng(3)
    rows = [
        (user, item, rank, 9.5 - rank)
        for user in dataset.user_ids or ()
        for rank, item in enumerate(rng.permutation(dataset.item_ids or ())[:6], start=1)
    ]
    run, table, parquet = (top / f"lists.{kind}" for kind in ("run", "csv", "parquet"))
    run.write_text(
        "".join(f"{user} Q0 {item} {rank} {score} x\n" for user, item, rank, score in rows)
    )
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "rank", "score"], orient="row")
    frame.write_csv(table)
    frame.write_parquet(parquet)
    found: dict[str, tuple[Path, Read]] = {
        path.name: (path, functools.partial(_score, dataset, path))
        for path in (run, table, parquet)
    }
    about = pl.DataFrame(
        {
            "id": dataset.item_ids or (),
            "title": [f"Item {index}" for index in range(dataset.num_items)],
            "category": ["toys", "books"] * (dataset.num_items // 2),
            "price": rng.random(dataset.num_items).round(2),
        }
    )
    for kind in ("csv", "parquet"):
        folder = writers.WRITERS["canonical"](dataset, top / f"about_{kind}")
        path = folder / f"items.{kind}"
        about.write_csv(path) if kind == "csv" else about.write_parquet(path)
        own = dataclasses.replace(dataset, source={"path": str(folder)})
        found[f"about/items.{kind}"] = path, functools.partial(_choose, own)
    return found


def _score(dataset: Dataset, path: Path) -> None:
    lists = ranked_lists.read(path, dict.fromkeys(("user", "item", "rank", "score")))
    assert all(line.isprintable() for line in lists.warnings)
    ranking, counts = given_lists.rank(lists, dataset, "test", _CUTOFFS)
    assert min(counts.values()) >= 0
    assert (ranking.places.above >= 0).all()


def _choose(dataset: Dataset) -> None:
    table = item_attributes.of(dataset)
    assert table["id"].to_list() == list(dataset.item_ids or ())
    if {"category", "price"} <= set(table.columns):
        chosen = where.matching(table, "category = 'toys' AND price < 0.5 OR title LIKE '%7'")
        assert chosen.shape == (dataset.num_items,)


# What is done to them


def spoiled(rng: Rng, name: str, good: bytes) -> bytes | None:
    """A file of the kind of `name` with odd parts; None where no other kind of file is meant."""
    if name.endswith("part.parquet"):
        return _odd_pairs(rng)
    if name in ("lists.parquet", "about/items.parquet"):
        return _odd_columns(rng, good)
    if name == "lists.run":
        return _odd_run(rng, good)
    return None


def _odd_pairs(rng: Rng) -> bytes:
    """Pairs whose ids, types or splits may be odd."""
    count = int(_pick(rng, [0, 1, 6, 6, 6, 40]))
    columns: dict[str, Any] = {
        "user": rng.integers(5, size=count),
        "item": rng.integers(8, size=count),
        "split": [
            _pick(rng, ["train", "train", "val", "test", "dev", "TEST "]) for _ in range(count)
        ],
    }
    name = _pick(rng, ["user", "item"])
    ids = [None, -1, 0, 7, 8, 99_999_999, 2**31, 2**62]
    match rng.integers(9):
        case 0 | 1 if count:
            changed = columns[name].tolist()
            changed[rng.integers(count)] = _pick(rng, ids)
            columns[name] = changed
        case 2:
            odd = [[str(i) for i in range(count)], [1.0] * count, [[1]] * count, [True] * count]
            columns[name] = _pick(rng, odd)
        case 3:
            del columns[_pick(rng, sorted(columns))]
        case 4 if count:
            odd_splits = ["", None, "x" * 5000, "\x1b[2J", "../train", "trains", "\0"]
            columns["split"][rng.integers(count)] = _pick(rng, odd_splits)
        case 5:
            columns["split"] = _pick(rng, [range(count), [None] * count, [["train"]] * count])
        case 6:
            kind = _pick(rng, [np.int8, np.uint8, np.int32, np.uint64, np.int16])
            columns[name] = columns[name].astype(kind)
        case 7:
            columns[_pick(rng, ["\x1b[2J", "", "user_id", "x" * 9000])] = range(count)
    frame = pl.DataFrame(columns, strict=False)
    groups = _pick(rng, [1, 3, None])
    packing = _pick(rng, ["zstd", "snappy", "gzip", "uncompressed", "lz4"])
    return saved(lambda file: frame.write_parquet(file, compression=packing, row_group_size=groups))


def _odd_columns(rng: Rng, good: bytes) -> bytes:
    """A table with a column replaced, renamed, repeated or gone, or with odd rows."""
    frame = pl.read_parquet(good)
    name = _pick(rng, frame.columns)
    count = len(frame)
    values: list[Any] = [
        *([None] * count, [""] * count, [1.5] * count, range(count), [b"x"] * count),
        *([[1, 2]] * count, [{"a": 1}] * count, [float("nan")] * count, [2**63 - 1] * count),
        *(["\x1b[2J"] * count, ["x" * 5000] * count, [True] * count),
    ]
    match rng.integers(6):
        case 0:
            frame = frame.drop(name)
        case 1:
            to = _pick(rng, ["id", "user_id", "score", "\x1b[2J", "", "x" * 3000, "título"])
            frame = frame.rename({name: to}) if to not in frame.columns else frame.drop(name)
        case 2:
            frame = pl.concat([frame, frame.head(rng.integers(1, count))])
        case 3:
            frame = frame.head(rng.integers(count))
        case _:
            frame = frame.with_columns(pl.Series(name, _pick(rng, values), strict=False))
    return saved(frame.write_parquet)


def _odd_run(rng: Rng, good: bytes) -> bytes:
    """A TREC run with a field, or its blanks, changed."""
    lines = good.split(b"\n")
    place = rng.integers(len(lines))
    fields = re.split(rb"( )", lines[place])
    odd = [b"nan", b"inf", b"-1e400", b"0x7", b"\xff", b"\0", b"", b"9" * 5000, b"\t", b'"', b"Q0"]
    fields[rng.integers(len(fields))] = _pick(rng, odd)
    lines[place] = b"".join(fields)
    if not rng.integers(4):
        lines[place] = _pick(rng, [b" " * 9000, b"a b c d e f g", b"u Q0 i", b"x" * (2 << 20)])
    return _pick(rng, [b"\n", b"\n", b"\r\n", b" \n"]).join(lines)


def _pick(rng: Rng, values: Any) -> Any:
    return values[rng.integers(len(values))]
