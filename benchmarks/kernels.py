"""What the device can do at most, and how near the three largest products of a step come to it.

python -m benchmarks.kernels [--shape tiktok] [--json FILE]

The peaks are measured in the same run: a product of square matrices in every precision, and a copy,
counting what is read and what is written. The products are those of the critic's floor: the real
rows with the kernel, the kernel with itself (Gram), and the second layer. Operands are RANDOM.
"""

import argparse
import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from benchmarks.shapes import SHAPES
from benchmarks.step import seconds

PRECISIONS = ("float32", "tensorfloat32", "bfloat16")
BATCH = 1024


def rate(left: tuple[int, int], right: tuple[int, int], precision: str, repeats: int) -> float:
    """Flop/s of the product of two matrices of these sizes."""
    keys = jax.random.split(jax.random.key(0))
    kind = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
    a, b = (jax.random.normal(key, size, kind) for key, size in zip(keys, (left, right)))  # noqa: B905
    product = jax.jit(
        lambda a, b: jnp.matmul(
            a,
            b,
            precision=None if precision == "bfloat16" else precision,
            preferred_element_type=jnp.float32,
        )
    )
    return 2 * left[0] * left[1] * right[1] / seconds(lambda: product(a, b), repeats)


def copy_rate(size: int, repeats: int) -> float:
    """Bytes a second, read and written, of an array of so many floats that is changed a little."""
    x = jax.random.normal(jax.random.key(0), (size,))
    change = jax.jit(lambda x: x + 1.0)
    return 2 * 4 * size / seconds(lambda: change(x), repeats)


def measure(shape: str, square: int, repeats: int) -> dict[str, Any]:
    """All figures: the peaks, and a row for each product and precision."""
    items, rows = SHAPES[shape].items, BATCH * len(SHAPES[shape].widths)
    hidden = items // 4
    products = {
        "real rows": ((BATCH, items), (items, hidden)),
        "Gram": ((hidden, items), (items, hidden)),
        "second layer": ((rows, hidden), (hidden, hidden // 2)),
    }
    figures: dict[str, Any] = {
        "shape": shape,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "copy_bytes_per_s": copy_rate(square**2, repeats),
        "products": [],
    }
    for precision in PRECISIONS:
        peak = rate((square, square), (square, square), precision, repeats)
        figures[f"{precision}_flops"] = peak
        for name, (left, right) in products.items():
            own = rate(left, right, precision, repeats)
            row = {"product": name, "precision": precision, "flops": own, "share": own / peak}
            sizes = tuple(tuple(-(-n // 32) * 32 for n in size) for size in (left, right))
            filled = rate(*sizes, precision, repeats)
            figures["products"].append(row | {"flops_if_sizes_were_multiples_of_32": filled})
    return figures


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="tiktok")
    parser.add_argument("--square", type=int, default=8192, help="side of the peaks' matrices")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to a file")
    options = parser.parse_args()
    figures = measure(options.shape, options.square, options.repeats)
    table = Table("product", "precision", "TFLOP/s", "of the peak, %", "at multiples of 32")
    table.title = f"{figures['device']}: copy at {figures['copy_bytes_per_s'] / 1e9:.0f} GB/s"
    for row in figures["products"]:
        share = f"{100 * row['share']:.0f}"
        rates = (row["flops"], row["flops_if_sizes_were_multiples_of_32"])
        own, filled = (f"{flops / 1e12:.3g}" for flops in rates)
        table.add_row(row["product"], row["precision"], own, share, filled)
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
