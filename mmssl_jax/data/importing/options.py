"""What an import is asked for: every option, and what each may be."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from mmssl_jax.data.checks.findings import REPEATS
from mmssl_jax.data.importing import catalogue as catalogues
from mmssl_jax.data.layouts import canonical, diffmm, lattice, lightgcn, mmrec, parquet
from mmssl_jax.data.tables import id_spelling as spellings
from mmssl_jax.data.tables import likes

TABLE = "table"
LAYOUTS = {
    "mmssl": canonical,
    "llmrec": canonical,
    "netflix": canonical,
    "lattice": lattice,
    "micro": lattice,
    "diffmm": diffmm,
    "sslrec": diffmm,
    "mmrec": mmrec,
    "lightgcn": lightgcn,
    "parquet": parquet,
}
PER_USER, LEAVE_LAST, COLD_ITEMS, BY_TIME = SPLITS = (
    *("per-user", "leave-last", "cold-items", "by-time"),
)
TIMED = (LEAVE_LAST, BY_TIME)
CHOICES = {
    "layout": (*LAYOUTS, TABLE),
    "catalogue": catalogues.CHOICES,
    "zero_rows": ("keep", "missing"),
    "id_spelling": (spellings.JOIN, spellings.KEEP),
    "repeats": REPEATS,
    "rating_of": (likes.ANY, likes.LATEST),
    "null_ids": (spellings.DROP, spellings.KEEP),
    "split": SPLITS,
    "time_order": ("rows",),
    "unseen": ("keep", "drop"),
}
OF_TABLES = (  # which have no meaning for a folder of another layout
    *("user_column", "item_column", "separator", "no_header", "min_rating", "rating_of"),
    *("rating_column", "events", "event_column", "null_ids", "time_column", "time_order"),
    *("k_core", "split", "split_column", "fold", "fractions", "val_since", "test_since", "unseen"),
)


@dataclasses.dataclass(frozen=True)
class ImportOptions:
    """What is imported, and how; None is for what nobody asked.

    The flags of `mmssl data import` are called the same, with '-' for '_', but for `layout`, which
    is --from, and for `modalities`, each of which is a --modality. The help says what each means;
    docs/data.md says more.
    """

    path: Path  # a folder of any layout, or of tables of train, val and test; or a table
    to: Path | None = None  # the folder to write; None writes nothing
    layout: str | None = None  # of `LAYOUTS`, or `TABLE`; None is seen from the files
    name: str | None = None
    overwrite: bool = False

    modalities: Mapping[str, Path] = dataclasses.field(default_factory=dict)  # features to add
    item_order: Path | None = None
    catalogue: str | None = None
    zero_rows: str = "keep"
    items: Path | None = None
    title_column: str | None = None
    id_spelling: str = spellings.JOIN

    repeats: str | None = None
    val_from_train: bool = False
    seed: int | None = None

    user_column: str | None = None
    item_column: str | None = None
    time_column: str | None = None
    rating_column: str | None = None
    event_column: str | None = None
    separator: str | None = None  # one character
    no_header: bool = False
    min_rating: float | None = None  # of the entries of a folder's matrices as well
    rating_of: str | None = None
    events: tuple[str, ...] | None = None
    null_ids: str | None = None

    k_core: int | None = None
    split: str | None = None
    split_column: str | None = None
    fold: str | None = None
    time_order: str | None = None
    fractions: tuple[float, ...] | None = None  # of train, val and test
    val_since: str | None = None  # a date or a number, as `time_split.moment` reads it
    test_since: str | None = None
    unseen: str | None = None

    @property
    def of_table(self) -> bool:
        """Whether the source is a table, or tables; known when the options are settled."""
        return self.layout == TABLE

    @property
    def latest(self) -> bool:
        """Whether the latest rating of a pair counts."""
        return self.rating_of == likes.LATEST


def flag(name: str) -> str:
    """The flag of an option."""
    return "--from" if name == "layout" else f"--{name.replace('_', '-')}"
