"""How far this device is from the golden numbers of MMSSL's release: one step, in float32.

python -m benchmarks.parity [--json FILE]

Every array of tests/golden/mmssl_released_*.npz is compared as the tests do. An error of 1 is all
that they allow: 1e-5 of the value and, but for losses, 1e-6 of its group's largest. The second
column has what jax's own default makes of products of float32, which on GPUs is TF32.
"""

import argparse
import json
import pathlib
import sys
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/models")]

import golden  # noqa: E402 (of the tests)
import golden_mmssl  # noqa: E402

PRECISIONS = ("float32", "default")


class Measured(golden.Golden):
    """A golden file that notes errors, and raises none."""

    def __init__(self, path: pathlib.Path):
        super().__init__(path)
        self.errors: dict[str, float] = {}  # by group

    def compare(self, name: str, actual: Any, atol: float) -> None:
        group, expected = name.split("/")[0], self[name]
        error = np.abs(np.asarray(actual, np.float64) - expected)
        shares = error / np.maximum(1e-5 * np.abs(expected) + atol, np.finfo(np.float32).tiny)
        largest = np.max(np.where(np.isfinite(shares), shares, np.inf))
        self.errors[group] = max(self.errors.get(group, 0.0), float(largest))


def measure(name: str) -> list[dict[str, Any]]:
    """A row for each file and group of arrays: the largest error at both precisions."""
    rows: list[dict[str, Any]] = []
    for path in sorted(golden.FOLDERS[0].glob(f"{name}*.npz")):
        errors = {}
        for precision in PRECISIONS:
            with jax.default_matmul_precision(precision):
                problem = golden_mmssl.Problem(path, Measured)
                for check in golden_mmssl.CHECKS:
                    check(problem)
            errors[precision] = problem.golden.errors
        rows += [
            {"file": path.stem, "group": group}
            | {precision: errors[precision][group] for precision in PRECISIONS}
            for group in errors[PRECISIONS[0]]
        ]
    if not rows:
        sys.exit(f"no golden file begins with {name!r}")
    return rows


def main() -> None:
    """The command line; exit code 1 where float32 is further away than the tests allow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", default="mmssl_released", help="what their names begin with")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to a file")
    options = parser.parse_args()
    rows = measure(options.files)
    table = Table("file", "group", *PRECISIONS, title="largest error, 1 being what is allowed")
    for row in rows:
        table.add_row(row["file"], row["group"], *(f"{row[name]:.3g}" for name in PRECISIONS))
    Console().print(table)
    if options.json:
        about = {"device": jax.devices()[0].device_kind, "jax": jax.__version__}
        options.json.write_text(json.dumps(about | {"rows": rows}, indent=2) + "\n", "utf-8")
    sys.exit(int(any(row["float32"] > 1 for row in rows)))


if __name__ == "__main__":
    main()
