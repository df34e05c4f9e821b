"""Times the sparse product and its gradient in every way that jax and scipy have for it.

python -m benchmarks.spmm [--shape tiktok] [--json FILE]

The matrix is norm(A) of RANDOM interactions of a published size; the dense side is [items, 64].
Every way multiplies by the stored transpose for the gradient, but for BCOO's own. cuSPARSE is there
on NVIDIA GPUs alone.
"""

import argparse
import json
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.experimental import sparse
from rich.console import Console
from rich.table import Table

from benchmarks.shapes import SHAPES, random_dataset
from benchmarks.step import seconds
from mmssl_jax.graphs import interaction_graph
from mmssl_jax.graphs.sparse import from_scipy, spmm
from mmssl_jax.training import devices

IN_A_ROW = 10  # calls, so that a GPU does not wait for each to be asked for
DENSE_BYTES = 4 << 30  # a matrix above this is not made dense


def in_a_row(call: Callable[[], Any]) -> Callable[[], list]:
    """Several calls, none of which is waited for."""
    return lambda: [call() for _ in range(IN_A_ROW)]


def segment_sums(operand: tuple, x: jax.Array) -> jax.Array:
    """The product as a gather and a sum over segments in order."""
    rows, columns, values, count = operand
    return jax.ops.segment_sum(values[:, None] * x[columns], rows, count, indices_are_sorted=True)


def ways(matrix: scipy.sparse.csr_array) -> dict[str, tuple[Callable, Any, Any, bool]]:
    """Name -> (product, operand, transposed operand, whether cuSPARSE is asked for)."""
    both = matrix, matrix.T.tocsr()

    def bcoo(a):
        return sparse.BCOO.from_scipy_sparse(a.tocoo()).sort_indices()

    def bcsr(a):
        parts = (a.data, a.indices.astype(np.int32), a.indptr.astype(np.int32))
        return sparse.BCSR(tuple(map(jnp.asarray, parts)), shape=a.shape)

    def segments(a):
        rows = np.repeat(np.arange(a.shape[0], dtype=np.int32), np.diff(a.indptr))
        return *map(jnp.asarray, (rows, a.indices.astype(np.int32), a.data)), a.shape[0]

    def times(a, x):
        return a @ x

    found = {
        "BCOO": (times, *map(bcoo, both), False),
        "BCSR": (times, *map(bcsr, both), False),
        "segments": (segment_sums, *map(segments, both), False),
    }
    if jax.default_backend() == "gpu":
        found["cuSPARSE, BCOO"] = (times, *map(bcoo, both), True)
        found["cuSPARSE, BCSR"] = (times, *map(bcsr, both), True)
    if 4 * matrix.shape[0] * matrix.shape[1] <= DENSE_BYTES:
        found["dense"] = (times, *(jnp.asarray(a.toarray()) for a in both), False)
    return found


def measure(shape: str, width: int, repeats: int) -> dict[str, Any]:
    """Seconds of the product with the matrix and with its transpose, by way."""
    devices.compute_in_float32()
    matrix = interaction_graph.normalized(random_dataset(SHAPES[shape]).train).astype(np.float32)
    transpose = matrix.T.tocsr()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((matrix.shape[1], width), np.float32)
    cotangent = rng.standard_normal((matrix.shape[0], width), np.float32)
    dense, pulled = jnp.asarray(x), jnp.asarray(cotangent)
    graph, exact = from_scipy(matrix), matrix.astype(np.float64) @ x.astype(np.float64)
    figures: dict[str, Any] = {
        "shape": shape,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "bytes": 4 * width * (matrix.nnz + matrix.shape[0]) + 8 * matrix.nnz,  # gathered, written
        "ways": [],
    }

    def note(name: str, forward: Callable, backward: Callable) -> None:
        value = np.asarray(forward())
        again = np.asarray(forward())
        figures["ways"].append(
            {
                "way": name,
                "value_s": seconds(in_a_row(forward), repeats) / IN_A_ROW,
                "gradient_s": seconds(in_a_row(backward), repeats) / IN_A_ROW,
                "error": float(np.abs(value - exact).max() / np.abs(exact).max()),
                "repeats_bit_for_bit": bool(np.array_equal(value, again)),
            }
        )

    note("scipy", lambda: matrix @ x, lambda: transpose @ cotangent)
    ours = jax.jit(spmm)

    @jax.jit
    def gradient(graph, x, pulled):
        return jax.vjp(lambda x: spmm(graph, x), x)[1](pulled)

    note("this package", lambda: ours(graph, dense), lambda: gradient(graph, dense, pulled))
    for name, (product, operand, transposed, cusparse) in ways(matrix).items():
        jax.config.update("jax_bcoo_cusparse_lowering", cusparse)
        static = tuple(operand[3:]) if isinstance(operand, tuple) else ()

        def compiled(operand, product=product, static=static):
            if not static:
                return jax.jit(product), operand
            return jax.jit(lambda parts, x: product((*parts, operand[3]), x)), operand[:3]

        forward, left = compiled(operand)
        backward, right = compiled(transposed)
        note(
            name,
            lambda f=forward, left=left: f(left, dense),
            lambda f=backward, right=right: f(right, pulled),
        )
    jax.config.update("jax_bcoo_cusparse_lowering", False)
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
    table = Table("way", "value, ms", "gradient, ms", "error", "same bits again")
    table.title = f"spmm at {options.shape}'s size"
    for row in figures["ways"]:
        times = (f"{1e3 * row[name]:.3f}" for name in ("value_s", "gradient_s"))
        table.add_row(row["way"], *times, f"{row['error']:.1g}", str(row["repeats_bit_for_bit"]))
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
