"""What is known of each item besides its features: title, category, price, whatever is there.

It is a table beside the data, items.parquet or items.csv, with the column `id` (the raw id; the
index where the data has no raw ids) and any others. Training does not read it.

    id         raw id, as text
    title      shown wherever items are listed (optional)
    category   by which items are filtered and coloured (optional)
    picture    a path from the data folder (optional)
"""

import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mmssl_jax.data.checks.wording import reason_of
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.data.tables import column_names, id_spelling, parquet_trial
from mmssl_jax.data.tables import files as table_files
from mmssl_jax.errors import InputError

FILES = ("items.parquet", "items.csv")
ID, TITLE, CATEGORY, PICTURE = "id", "title", "category", "picture"
_MOST_COLUMNS = 100
_TIMES_FILE = 100  # bytes that a table may take in memory, as often as its file, and some


def of(dataset: Dataset, new_items: Path | None = None) -> pl.DataFrame:
    """The attributes of the items of a data set, from the folder that it was read from.

    Args:
      dataset: its items.
      new_items: the folder of those that came after training, if it has some.

    Returns:
      A row for each item, by index: `id` and `title` as text, and the other columns of the table.
      An item that the table lacks has null there. Without a table there are ids and titles alone.

    Raises:
      InputError: the table cannot be read, lacks `id`, or has none of the items.
    """
    ids = dataset.item_ids or tuple(map(str, range(dataset.num_items)))
    own = pl.Series(TITLE, dataset.item_titles or [None] * len(ids), dtype=pl.String)
    known = pl.DataFrame({ID: pl.Series(ids, dtype=pl.String), TITLE: own.replace("", None)})
    paths = [path for path in (find(dataset), new_items and beside(new_items)) if path]
    if not paths:
        return known
    table = _aligned(paths[0], _joined(paths), ids)
    title = known[TITLE]
    if TITLE in table.columns:
        title = table[TITLE].fill_null(title)
    others = [name for name in table.columns if name not in (ID, TITLE)]
    return known.with_columns(title.alias(TITLE)).hstack(table.select(others))


def find(dataset: Dataset) -> Path | None:
    """The table of the items of a data set; None where its folder has none."""
    source = str(dataset.source.get("path", ""))
    folder = Path(os.path.expanduser(source))
    if not source or not folder.is_dir():  # generated, in memory, or a table
        return None
    return beside(folder)


def beside(folder: Path) -> Path | None:
    """The table of items in a folder; None where it has none."""
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def _joined(paths: Sequence[Path]) -> pl.DataFrame:
    """The rows of one or two tables; an item that both have is as the first has it.

    Raises:
      InputError: a column that both have is text in one alone, or of types that mix not.
    """
    table = read(paths[0])
    for path in paths[1:]:
        more = read(path)
        more = more.filter(~more[ID].is_in(table[ID].to_list()))
        for name in sorted({*table.columns} & {*more.columns}):
            if not _go_together(table[[name]], more[[name]]):
                raise InputError(
                    f"{path}: its column {name[:40]!r} holds {str(more.schema[name])[:40]}, that "
                    f"of {paths[0]} {str(table.schema[name])[:40]}; give both the same type"
                )
        table = pl.concat([table, more], how="diagonal_relaxed")
    return table


def _go_together(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    """Whether two columns make one, as numbers of several kinds do, but no number and a text."""
    kinds = {*one.dtypes, *other.dtypes} - {pl.Null()}
    try:
        pl.concat([one, other], how="vertical_relaxed")
    except pl.exceptions.PolarsError:
        return False
    return len(kinds) < 2 or pl.String() not in kinds


def read(path: Path) -> pl.DataFrame:
    """The rows of a table of items as they are in the file, `id` as text, each id once.

    Raises:
      InputError: it cannot be read, is damaged or too large, or `id` is missing, empty or repeated.
    """
    try:
        if path.suffix == ".parquet":
            parquet_trial.survive_items(path)
            table = parse_parquet(path)
        else:
            table = _read_csv(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = reason_of(error)
        raise InputError(f"{path}: cannot be read as a table of items ({reason})") from error
    ids = table[ID]
    if ids.null_count() or (ids == "").any():
        raise InputError(f"{path}: has a row without an id; give each item one, or drop the row")
    if ids.n_unique() < len(ids):
        twice = ids.filter(ids.is_duplicated())[0]
        raise InputError(f"{path}: has the id {twice[:40]!r} twice; keep one row of each item")
    return table


def parse_parquet(path: Path) -> pl.DataFrame:
    """The Parquet file of `read`, which is known not to end the process."""
    with table_files.without_stderr():  # where polars' threads tell of a damaged file
        lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        names = _checked_names(path, lazy.collect_schema().names())
        rows, size = lazy.select(pl.len()).collect().item(), path.stat().st_size
        if 8 * rows * len(names) > (1 << 26) + _TIMES_FILE * size:
            raise InputError(f"{path}: claims {rows} rows in {size} bytes; it is damaged")
        table = lazy.collect()
    return _typed(path, table)


def _read_csv(path: Path) -> pl.DataFrame:
    with path.open("rb") as file:
        first_line = file.readline(table_files.MAX_LINE)
    table_files.check_text(path, first_line, ",", True, _MOST_COLUMNS)
    lazy = pl.scan_csv(
        path,
        infer_schema_length=None,
        schema_overrides={ID: pl.String},  # 007 is not 7
        try_parse_dates=True,
        glob=False,
    )
    _checked_names(path, lazy.collect_schema().names())
    return _typed(path, lazy.collect())


def _checked_names(path: Path, names: Sequence[str]) -> Sequence[str]:
    if ID not in names:
        raise InputError(
            f"{path}: has no column {ID!r} with the items' raw ids; it has "
            f"{column_names.listed(names)}"
        )
    if len(names) > _MOST_COLUMNS:
        raise InputError(f"{path}: has {len(names)} columns, more than {_MOST_COLUMNS}; drop some")
    return names


def _typed(path: Path, table: pl.DataFrame) -> pl.DataFrame:
    """Ids as text; InputError for a column that is no values one can compare or print."""
    for name, kind in table.schema.items():
        inner = kind.inner if isinstance(kind, pl.List) else kind
        plain = inner.is_numeric() or inner.is_temporal() or inner in (pl.String, pl.Boolean)
        if not (plain or isinstance(inner, pl.Categorical | pl.Enum | pl.Null)):
            raise InputError(
                f"{path}: column {name[:40]!r} holds {str(kind)[:40]}; leave text, numbers, dates, "
                "booleans, or lists of them"
            )
    texts = [name for name in (ID, TITLE) if name in table.columns]
    for name in texts:
        if isinstance(table.schema[name], pl.List):
            raise InputError(f"{path}: column {name!r} holds lists; give each item one text")
    return table.with_columns(pl.col(texts).cast(pl.String))


def _aligned(path: Path, table: pl.DataFrame, ids: Sequence[str]) -> pl.DataFrame:
    """The rows in the order of `ids`, null for those that the table lacks."""
    places = pl.Series(id_spelling.places(table[ID].to_list(), ids))
    found = places >= 0
    if not found.any():
        raise InputError(
            f"{path}: has none of the items; its ids are like "
            f"{column_names.listed(table[ID].head(1).to_list())}, the data's like "
            f"{column_names.listed(ids[:1])}"
        )
    rows = places.zip_with(found, pl.Series([None], dtype=places.dtype))
    return table.select(pl.all().gather(rows))
