"""The canonical folder with its pairs in Parquet: an import's, or one of an engine elsewhere.

Everything else in the folder is as in `canonical`; `parquet_parts` says which files are the pairs.
"""

from pathlib import Path

from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.data.layouts import canonical, parquet_parts

FILES = canonical.PARQUET_FILES


def read(folder: Path, modalities: str, findings: Findings) -> Dataset:
    """As `canonical.read`; raises InputError."""
    # Here, as it loads polars, which small data does not need.
    from mmssl_jax.data.layouts.splits_parquet import read_splits

    return canonical.read_with(read_splits, folder, modalities, findings)


def files(folder: Path, name: str) -> list[Path]:
    """The parts that are, or may have pairs of, the split that one of `FILES` names."""
    return parquet_parts.of_split(parquet_parts.find(folder), name.removesuffix(".parquet"))


def is_own(folder: Path) -> bool:
    """Whether the pairs are indices for sure, not a raw table for each split.

    A raw table may be called train.parquet, but has no dataset.json, and no partition by split.
    """
    parts = parquet_parts.find(folder)
    flat = all(path.parent == folder and split is not None for path, split in parts)
    return bool(parts) and (not flat or (folder / canonical.ABOUT).is_file())
