"""metrics.jsonl: a row of JSON for each validation, with a checksum of its own."""

import json
import pathlib
from collections.abc import Iterable
from typing import Any

from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic, sealed

Row = dict[str, Any]  # 'epoch', 'seconds', losses and metrics


def read(path: pathlib.Path, up_to_epoch: int, has: int) -> list[Row]:
    """The rows up to an epoch, as `RunFolder.read_metrics` has them; none without the file."""
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
            if type(row["epoch"]) is not int:
                raise TypeError
            wanted = row["epoch"] <= up_to_epoch and row["seconds"] >= 0
        except (ValueError, TypeError, LookupError) as error:
            raise InputError(
                f"{where}: is not a row of metrics; correct or remove the line"
            ) from error
        remedy = f"get it from a copy, or remove the file to do without{sealed.IF_MEANT}"
        row = sealed.opened(row, where, remedy)
        rows += [row] if wanted else []
    if has > max((row["epoch"] for row in rows), default=0):
        raise InputError(
            f"{path}: has no row of epoch {has}, so it was cut short; get it from a copy, or "
            "remove the file to do without"
        )
    return rows


def write(path: pathlib.Path, rows: Iterable[Row]) -> None:
    """Writes all rows anew."""
    atomic.write_text(path, "".join(json.dumps(sealed.sealed(row)) + "\n" for row in rows))
