"""Times the sparse product and its gradient in every way that jax and scipy have for it.

python -m benchmarks.spmm [--shape tiktok] [--json FILE]

The matrix is norm(A) of RANDOM interactions of a published size; the dense side is [items, 64].
The gradient is the product with the stored transpose, as in training. cuSPARSE is there on NVIDIA
GPUs alone.
"""

import argparse
import json
import pathlib
from collections.abc import Callable
from functools import partial
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
from mmssl_jax.graphs.sparse import from_scipy, segment_product, spmm
from mmssl_jax.training import devices

IN_A_ROW = 10  # calls, so that a GPU does not wait for each to be asked for
DENSE_BYTES = 4 << 30  # a matrix above this is not made dense


def in_a_row(call: Callable[[], Any]) -> Callable[[], list]:
    """Several calls, none of which is waited for."""
    return lambda: [call() for _ in range(IN_A_ROW)]


def in_segments(matrix: scipy.sparse.csr_array) -> Callable:
    """x -> the product as a gather and a sum over segments in order, which a GPU takes."""
    graph, product = from_scipy(matrix), jax.jit(segment_product)
    return lambda x: product(graph.matrix, x)


def times(operand: Any) -> Callable:
    """x -> `operand @ x`, compiled with the settings of the first call."""
    product = jax.jit(lambda operand, x: operand @ x)
    return lambda x: product(operand, x)


def bcoo(matrix: scipy.sparse.csr_array) -> Callable:
    return times(sparse.BCOO.from_scipy_sparse(matrix.tocoo()).sort_indices())


def bcsr(matrix: scipy.sparse.csr_array) -> Callable:
    parts = (matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32))
    return times(sparse.BCSR(tuple(map(jnp.asarray, parts)), shape=matrix.shape))


def ours(matrix: scipy.sparse.csr_array) -> Callable:
    graph, product = from_scipy(matrix), jax.jit(spmm)
    return lambda x: product(graph, x)


def ways(shape: tuple[int, int]) -> dict[str, tuple[Callable, bool]]:
    """Name -> (matrix -> its product, whether cuSPARSE is asked for)."""
    found = {
        "scipy": (lambda matrix: lambda x: matrix @ np.asarray(x), False),
        "this package": (ours, False),
        "BCOO": (bcoo, False),
        "BCSR": (bcsr, False),
        "segments": (in_segments, False),
    }
    if jax.default_backend() == "gpu":
        found |= {"cuSPARSE, BCOO": (bcoo, True), "cuSPARSE, BCSR": (bcsr, True)}
    if 4 * shape[0] * shape[1] <= DENSE_BYTES:
        found["dense"] = (lambda matrix: times(jnp.asarray(matrix.toarray())), False)
    return found


def measure(shape: str, width: int, repeats: int) -> dict[str, Any]:
    """Seconds of the product with the matrix, and with its transpose as for a gradient, by way."""
    devices.compute_in_float32()
    graph = interaction_graph.bipartite_graphs(random_dataset(SHAPES[shape]).train).user_item
    matrix = graph.rows.block(0, graph.shape[0])
    transpose = matrix.T.tocsr()
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((matrix.shape[1], width)), jnp.float32)
    cotangent = jnp.asarray(rng.standard_normal((matrix.shape[0], width)), jnp.float32)
    exact = matrix.astype(np.float64) @ np.asarray(x, np.float64)
    rows = []
    for name, (product_of, cusparse) in ways(matrix.shape).items():
        jax.config.update("jax_bcoo_cusparse_lowering", cusparse)
        forward, backward = (
            partial(product_of(matrix), x),
            partial(product_of(transpose), cotangent),
        )
        value, again = np.asarray(forward()), np.asarray(forward())
        rows.append(
            {
                "way": name,
                "value_s": seconds(in_a_row(forward), repeats) / IN_A_ROW,
                "gradient_s": seconds(in_a_row(backward), repeats) / IN_A_ROW,
                "error": float(np.abs(value - exact).max() / np.abs(exact).max()),
                "repeats_bit_for_bit": bool(np.array_equal(value, again)),
            }
        )
    jax.config.update("jax_bcoo_cusparse_lowering", False)
    about = {"shape": shape, "device": jax.devices()[0].device_kind, "jax": jax.__version__}
    return about | {"ways": rows}


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
