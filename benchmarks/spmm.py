"""Times the sparse product and its gradient: plain BCOO, this package's, and scipy's CSR.

python -m benchmarks.spmm [--shape tiktok] [--json FILE]

The matrix is norm(A) of RANDOM interactions of a published size; the dense side is [items, 64].
"""

import argparse
import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import sparse
from rich.console import Console
from rich.table import Table

from benchmarks.shapes import SHAPES, random_dataset
from benchmarks.step import seconds
from mmssl_jax.graphs import interaction_graph
from mmssl_jax.graphs.sparse import from_scipy, spmm


def measure(shape: str, width: int, repeats: int) -> dict[str, Any]:
    """Seconds of the value and of the gradient with respect to the dense side, by flat keys."""
    matrix = interaction_graph.normalized(random_dataset(SHAPES[shape]).train).astype(np.float32)
    transpose = matrix.T.tocsr()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((matrix.shape[1], width), np.float32)
    cotangent = rng.standard_normal((matrix.shape[0], width), np.float32)
    ours, plain = from_scipy(matrix), sparse.BCOO.from_scipy_sparse(matrix.tocoo())
    products = {"ours": (spmm, ours), "plain": (lambda a, x: a @ x, plain)}
    figures: dict[str, Any] = {
        "shape": shape,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "scipy_value_s": seconds(lambda: matrix @ x, repeats),
        "scipy_gradient_s": seconds(lambda: transpose @ cotangent, repeats),
    }
    dense, pulled = jnp.asarray(x), jnp.asarray(cotangent)
    for name, (product, operand) in products.items():
        value = jax.jit(product)

        def gradient(operand, x, pulled, product=product):
            return jax.vjp(lambda x: product(operand, x), x)[1](pulled)

        compiled = jax.jit(gradient)
        figures[f"{name}_value_s"] = seconds(
            lambda value=value, operand=operand: value(operand, dense), repeats
        )
        figures[f"{name}_gradient_s"] = seconds(
            lambda compiled=compiled, operand=operand: compiled(operand, dense, pulled), repeats
        )
    return figures


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="tiktok")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to a file")
    options = parser.parse_args()
    figures = measure(options.shape, options.width, options.repeats)
    table = Table("product", "value, ms", "gradient, ms", title=f"spmm at {options.shape}'s size")
    for name in ("scipy", "ours", "plain"):
        times = (figures[f"{name}_value_s"], figures[f"{name}_gradient_s"])
        table.add_row(name, *(f"{1e3 * value:.2f}" for value in times))
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
