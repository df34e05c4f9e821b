"""How many users and items a folder has, where no single file decides it."""

from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from mmssl_jax.data.arrays import npy
from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.dataset import check_counts
from mmssl_jax.data.layouts.splits_json import Split
from mmssl_jax.data.mapped_pairs import MappedSplit
from mmssl_jax.errors import InputError


class Counts:
    """What each file of a folder says of the number of users and items, by the file's name."""

    def __init__(self, where: Path, splits: Iterable[Split | MappedSplit]):
        splits = list(splits)
        self.where = where
        self.users: dict[str, int] = {}
        self.items: dict[str, int] = {}
        self.widths: dict[str, int] = {}
        self.evidence = sum(part.pairs for part in splits)  # as `check_counts` wants it
        if splits:
            users = max(part.num_users for part in splits)
            self.add("the splits", users, max(part.num_items for part in splits))

    def add(self, source: str, users: int | None = None, items: int | None = None) -> None:
        """What one file says; None where it says nothing."""
        if users is not None:
            self.users[source] = users
        if items is not None:
            self.items[source] = items

    def add_rows(
        self, found: Mapping[str, Path], chosen: Container[str], findings: Findings
    ) -> None:
        """The rows of every feature file; warns of the unusable, raises InputError for a chosen."""
        for modality, path in found.items():
            try:
                rows, self.widths[path.name] = npy.read_header(path)
            except InputError as error:
                if modality in chosen:  # reading it says so again, where errors are collected
                    if not findings.collect:
                        raise
                else:
                    findings.warn("features", f"{error} (not chosen: its rows are not counted)")
                continue
            self.add(path.name, items=rows)
            self.evidence += rows

    def settle(self, findings: Findings, settled_by: str = "") -> tuple[int, int]:
        """(U, I); warns where sources differ, unless the largest count is that of `settled_by`.

        Raises InputError for counts that `check_counts` refuses.
        """
        for kind, counts in (("users", self.users), ("items", self.items)):
            largest = max(counts.values(), default=0)
            if len(set(counts.values())) > 1 and counts.get(settled_by) != largest:
                listed = ", ".join(f"{name} {count}" for name, count in counts.items())
                findings.warn(
                    "counts",
                    f"{self.where}: the number of {kind} is taken as {largest}, "
                    f"the largest of {listed}{self._doubt(largest) if kind == 'items' else ''}",
                )
        shape = (max(self.users.values(), default=0), max(self.items.values(), default=0))
        check_counts(self.where, *shape, self.evidence)
        return shape

    def _doubt(self, largest: int) -> str:
        """What else a feature file may be that alone has so many rows."""
        others = max((count for count in self.items.values() if count < largest), default=0)
        (name, *more) = [name for name, count in self.items.items() if count == largest]
        if more or name not in self.widths:
            return ""
        if self.widths[name] == others:
            return f"; {name} has {others} columns: is it transposed (save array.T)?"
        if largest == max(self.users.values(), default=0):
            return f"; {name} has as many rows as there are users: is it of users?"
        return ""

    @property
    def why(self) -> str:
        """Where the number of items comes from."""
        return f"from {max(self.items, key=self.items.__getitem__, default='no file')}"
