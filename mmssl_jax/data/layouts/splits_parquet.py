"""Splits as Parquet files with whole numbers in the columns user and item."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from mmssl_jax.data import mapped_pairs
from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.checks.wording import reason_of
from mmssl_jax.data.layouts import parquet_parts
from mmssl_jax.data.layouts.parquet_parts import Part
from mmssl_jax.data.layouts.splits_json import MAX_ID, Split
from mmssl_jax.data.mapped_pairs import MappedSplit
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.data.tables import parquet_trial, row_limits
from mmssl_jax.data.tables.column_names import listed
from mmssl_jax.data.tables.files import without_stderr
from mmssl_jax.data.tables.presplit import SPLIT_OF
from mmssl_jax.errors import InputError

IDS = USER, ITEM = "user", "item"
_SPLIT = "split"
_ROWS = 1 << 22  # that are read at a time
_ROW_GROUP = 1 << 20  # pairs: what is skipped where a range of users is read
_TEXTS = (pl.String, pl.Categorical, pl.Enum)


class Extent(NamedTuple):
    """How many pairs of a split a part has, and its largest ids, -1 without a pair."""

    pairs: int
    user: int
    item: int


class Examined(NamedTuple):
    """A part that can be read, with what it has of each split."""

    part: Part
    extents: dict[str, Extent]


def read_splits(folder: Path, findings: Findings) -> dict[str, Split | MappedSplit]:
    """The splits of a folder; `findings` may collect what is wrong with a part.

    A split is left out where a part that may have pairs of it cannot be read, or there is none.
    Many pairs are mapped from the user's cache.
    """
    parts = findings.attempt("split", parquet_parts.find, folder) or []
    parquet_parts.warn_of_others(folder, parts, findings)
    examined = examine_all(parts, findings)
    good = {each.part for each in examined}
    readable = [
        split
        for split in SPLITS
        if (own := [part for part in parts if part.split in (split, None)]) and good.issuperset(own)
    ]
    pairs = sum(extent.pairs for each in examined for extent in each.extents.values())
    if pairs >= mapped_pairs.MAPPED_FROM and (mapped := _mapped(examined, readable)):
        return mapped
    read = {split: findings.attempt("split", _read, examined, split) for split in readable}
    return {split: pairs for split, pairs in read.items() if pairs}


def examine_all(parts: list[Part], findings: Findings) -> list[Examined]:
    """The parts that can be read, all looked through once, in a process that may die of them."""
    answers = parquet_trial.of_parts(parts) if parts else []
    found = []
    for part, answer in zip(parts, answers, strict=False):
        if "error" in answer:
            findings.error("split", answer["error"])
        else:
            extents = {split: Extent(*extent) for split, extent in answer["splits"].items()}
            found.append(Examined(part, extents))
    return found


def examine(path: Path, split: str | None) -> dict[str, Extent]:
    """What a part has of each split, of the column 'split' where `split` is None.

    It is read through without being held. Raises InputError for what is no part.
    """
    with _refusing(path), without_stderr():
        table = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        _check_columns(path, table.collect_schema(), split)
        rows, size = table.select(pl.len()).collect().item(), path.stat().st_size
        row_limits.check_parquet(path, rows, size)
        facts = [pl.len().alias("pairs")]
        for column in IDS:
            of_column = (pl.col(column).null_count(), pl.col(column).min(), pl.col(column).max())
            names = (f"{column} {fact}" for fact in ("nulls", "least", "most"))
            facts += [fact.alias(name) for fact, name in zip(of_column, names, strict=True)]
        if split is None:
            by = pl.col(_SPLIT).cast(pl.String).alias(_SPLIT)
            found = table.group_by(by).agg(facts).collect(engine="streaming")
        else:
            found = table.select(facts).collect(engine="streaming")
    extents: dict[str, Extent] = {}
    for row in found.iter_rows(named=True):
        one = split or parquet_parts.split_named(path, row[_SPLIT])
        extent = Extent(row["pairs"], *(_largest(path, column, row) for column in IDS))
        before = extents.get(one, Extent(0, -1, -1))  # of another word for the same split
        most = (max(pair) for pair in zip(extent[1:], before[1:], strict=True))
        extents[one] = Extent(extent.pairs + before.pairs, *most)
    return extents


def write_split(path: Path, matrix: csr_array) -> None:
    """Writes the pairs of a [U, I] matrix, sorted by user and then item."""
    users = np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))
    pairs = {USER: users, ITEM: matrix.indices.astype(np.int32, copy=False)}
    pl.DataFrame(pairs).write_parquet(path, row_group_size=_ROW_GROUP, statistics=True)


def _read(examined: list[Examined], split: str) -> Split:
    """The pairs of the parts, one part after the other."""
    source = _source(examined, split)
    ids = np.empty((2, source.pairs), np.int32)
    start = 0
    for chunk in source.chunks():
        ids[:, start : start + len(chunk[0])] = chunk
        start += len(chunk[0])
    return Split(ids[0], ids[1], source.num_users, source.num_items)


def _mapped(examined: list[Examined], readable: list[str]) -> dict[str, Split | MappedSplit] | None:
    """The splits as `mapped_pairs` has them; None where there is no cache."""
    files = [each.part for each in examined]
    about = [(path.resolve(), split, path.stat()) for path, split in files]
    parts = [(str(path), split, stat.st_size, stat.st_mtime_ns) for path, split, stat in about]
    sources = {split: _source(examined, split) for split in readable}
    return mapped_pairs.splits((readable, parts), sources)  # type: ignore[return-value]


def _source(examined: list[Examined], split: str) -> mapped_pairs.Source:
    """The pairs of a split, part after part, and how many there are."""
    extents = [
        (each.part, each.extents[split])
        for each in examined
        if split in each.extents and each.extents[split].pairs
    ]

    def chunks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for part, extent in extents:
            yield from _chunks(part, split, extent)

    largest = (max((extent[place] for _, extent in extents), default=-1) for place in (1, 2))
    total = sum(extent.pairs for _, extent in extents)
    return mapped_pairs.Source(chunks, total, *(most + 1 for most in largest))


def _chunks(part: Part, split: str, extent: Extent) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The users and items of a part, int32, some million at a time.

    Raises InputError where they are not what `examine` found.
    """
    changed = InputError(f"{part.path}: was changed while it was read; read it again")
    seen = Extent(0, -1, -1)
    with _refusing(part.path), without_stderr():
        table = pl.scan_parquet(part.path, glob=False, hive_partitioning=False)
        for start in range(0, table.select(pl.len()).collect().item(), _ROWS):
            chosen = _of_split(table.slice(start, _ROWS), part, split)
            frame = chosen.collect(engine="streaming")
            if not len(frame):
                continue
            users, items = (frame[column].to_numpy() for column in IDS)
            if min(users.min(), items.min()) < 0:
                raise changed
            largest = max(seen.user, int(users.max())), max(seen.item, int(items.max()))
            seen = Extent(seen.pairs + len(users), *largest)
            if seen.pairs > extent.pairs:
                break
            yield users, items
    if seen != extent:
        raise changed


def _of_split(table: pl.LazyFrame, part: Part, split: str) -> pl.LazyFrame:
    """The rows of a split, as int32 columns user and item."""
    if part.split is None:
        words = [word for word, meant in SPLIT_OF.items() if meant == split]
        word = pl.col(_SPLIT).cast(pl.String).str.strip_chars().str.to_lowercase()
        table = table.filter(word.is_in(words))
    return table.select(pl.col(column).cast(pl.Int32) for column in IDS)


def _check_columns(path: Path, schema: Mapping[str, Any], split: str | None) -> None:
    for column in (*IDS, *([_SPLIT] if split is None else [])):
        if column not in schema:
            raise InputError(
                f"{path}: has no column '{column}', but {listed(list(schema))}; a data folder "
                f"has indices in columns 'user' and 'item'{_hint(split)}; other tables are "
                "imported first: mmssl data import"
            )
    for column in IDS:
        if not schema[column].is_integer():
            raise InputError(
                f"{path}: column '{column}' holds {schema[column]}; indices are whole numbers from "
                "0, as int32 or int64"
            )
    if split is None and not isinstance(schema[_SPLIT], _TEXTS):
        raise InputError(
            f"{path}: column '{_SPLIT}' holds {schema[_SPLIT]}; it must be text, one of "
            f"{', '.join(SPLITS)}"
        )


def _hint(split: str | None) -> str:
    return " and a column 'split', or a folder for each split" if split is None else ""


def _largest(path: Path, column: str, facts: dict[str, int]) -> int:
    """The largest id of a column; InputError for one that cannot be."""
    if nulls := facts[f"{column} nulls"]:
        raise InputError(
            f"{path}: column '{column}' is null in {nulls} rows; write it without these"
        )
    least, most = facts[f"{column} least"], facts[f"{column} most"]
    for value in (least, most):
        if value is not None and not 0 <= value <= MAX_ID:
            raise InputError(
                f"{path}: column '{column}' has {value}; indices are from 0 to {MAX_ID}"
            )
    return -1 if most is None else int(most)


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turns what goes wrong with a damaged or hostile part into InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = reason_of(error)
        raise InputError(
            f"{path}: cannot be read as Parquet ({reason}); it is cut off or damaged, so write it "
            "again"
        ) from error
