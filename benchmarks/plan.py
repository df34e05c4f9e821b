"""Plans held against compiled programs: mmssl plan's figures beside XLA's, on CPU devices.

python -m benchmarks.plan [--json FILE]

Each shape's step is compiled for RANDOM data, and nothing is run. The program says how many bytes
its arguments and its temporaries take on a device, and its text which collectives it has. For
ten million users there are no data at all, only shapes.
"""

import argparse
import json
import math
import pathlib
from typing import Any, NamedTuple

import jax
from rich.console import Console
from rich.table import Table

from benchmarks import collectives, without_data
from benchmarks.shapes import Shape, random_dataset
from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.planning import Data, Plan, planned
from mmssl_jax.planning.critic import CHUNK
from mmssl_jax.training import devices, session

LARGE = Data(10_000_000, 1_000_000, 10**9, {"image": 4096, "text": 1024})
MOST = 64  # CPU devices; for data that are there 8 of them
WITHOUT_DATA: dict[str, tuple[int, dict[str, Any]]] = {  # devices, and fields of the config
    "LightGCN, 8 devices": (8, {"model.name": "lightgcn"}),
    "LightGCN, 64 devices": (64, {"model.name": "lightgcn"}),
    "LightGCN, fan-out 5 3 2, 64 devices": (
        64,
        {"model.name": "lightgcn", "train.fanout": (5, 3, 2)},
    ),
    "MMSSL without critic, 64 devices": (
        64,
        {"critic.enabled": False, "mmssl.modality_graph": "observed"},
    ),
    "MMSSL, 64 devices": (64, {"critic.hidden": 4096, "mmssl.modality_graph": "observed"}),
}


class Case(NamedTuple):
    """Data, a mesh and a config."""

    shape: Shape
    data: int
    model: int
    overrides: dict[str, Any]


CASES = {
    "LightGCN": Case(Shape(24000, 8000, 300000, {}), 1, 8, {"model.name": "lightgcn"}),
    "LightGCN, d 32, 4 layers": Case(
        Shape(16000, 16000, 500000, {}),
        1,
        4,
        {"model.name": "lightgcn", "model.embedding_dim": 32, "model.layers": 4},
    ),
    "LightGCN, data 2": Case(
        Shape(32000, 4000, 250000, {}), 2, 4, {"model.name": "lightgcn", "model.layers": 2}
    ),
    "LightGCN, one device": Case(Shape(24000, 8000, 200000, {}), 1, 1, {"model.name": "lightgcn"}),
    "LightGCN, fan-out 5 3 2, one device": Case(
        Shape(24000, 8000, 200000, {}),
        1,
        1,
        {"model.name": "lightgcn", "train.fanout": (5, 3, 2)},
    ),
    "LightGCN, fan-out 10 5, d 128": Case(
        Shape(24000, 8000, 200000, {}),
        1,
        8,
        {
            "model.name": "lightgcn",
            "model.embedding_dim": 128,
            "model.layers": 2,
            "train.batch_size": 4096,
            "train.fanout": (10, 5),
        },
    ),
    "LightGCN, fan-out 20 10 2, data 2": Case(
        Shape(32000, 4000, 250000, {}),
        2,
        4,
        {
            "model.name": "lightgcn",
            "model.embedding_dim": 32,
            "train.batch_size": 512,
            "train.fanout": (20, 10, 2),
        },
    ),
    "LightGCN, fan-out 5 3 2, users in no equal parts": Case(
        Shape(23999, 8000, 300000, {}),
        1,
        4,
        {"model.name": "lightgcn", "train.fanout": (5, 3, 2)},
    ),
    "MMSSL without critic": Case(
        Shape(24000, 8000, 200000, {"image": 128, "text": 64}),
        1,
        8,
        {"critic.enabled": False, "mmssl.modality_graph": "observed"},
    ),
    "MMSSL without critic, more items": Case(
        Shape(8000, 24000, 200000, {"image": 128}),
        1,
        8,
        {"critic.enabled": False, "mmssl.modality_graph": "none"},
    ),
    "MMSSL": Case(
        Shape(24000, 8000, 200000, {"image": 128, "text": 64}),
        1,
        8,
        {"critic.hidden": 512, "mmssl.modality_graph": "observed", "train.batch_size": 512},
    ),
    "MMSSL, data 2": Case(
        Shape(24000, 8000, 200000, {"image": 128}),
        2,
        4,
        {"critic.hidden": 256, "mmssl.modality_graph": "none", "train.batch_size": 512},
    ),
}


def config_of(case: Case) -> configs.Config:
    """The config of a case, resolved."""
    mesh = {"mesh.data": case.data, "mesh.model": case.model, "data.path": "RANDOM"}
    return models.resolve(configs.unflatten(mesh | case.overrides))


def plan_of(case: Case, pairs: int) -> Plan:
    """The plan of a case, for as many pairs as its data have."""
    shape = case.shape
    data = Data(shape.users, shape.items, pairs, shape.widths)
    return planned(config_of(case), data, case.data * case.model, "cpu")


def compiled(case: Case) -> tuple[jax.stages.Compiled, int]:
    """The program of a case's steps, and the training pairs of its data."""
    config, dataset = config_of(case), random_dataset(case.shape)
    own = session.prepare(config, dataset)
    mesh = devices.make_mesh(config.mesh)
    state = own.initial_state(jax.random.key(0), mesh)
    program = own.compiled(state, own.constants(jax.random.key(1), mesh), 2, mesh)
    return program, int(dataset.train.nnz)


def compare(case: Case) -> dict[str, Any]:
    """A row: the case, and planned and measured bytes of one device."""
    program, pairs = compiled(case)
    about = {
        "users": case.shape.users,
        "items": case.shape.items,
        "pairs": pairs,
        "mesh": [case.data, case.model],
        "overrides": case.overrides,
    }
    return about | beside(plan_of(case, pairs), program)


def large(devices: int, overrides: dict[str, Any]) -> dict[str, Any]:
    """The same of LARGE, without data."""
    fields = {"data.path": "RANDOM", "mesh.model": devices}
    config = models.resolve(configs.unflatten(fields | overrides))
    made = planned(config, LARGE, devices, "cpu")
    return {"devices": devices, "overrides": overrides} | beside(made, without_data.compiled(made))


def beside(made: Plan, program: jax.stages.Compiled) -> dict[str, Any]:
    """Bytes of a device: planned, and what the program says."""
    needs, sizes = made.needs, made.sizes
    chunks = math.ceil(made.config.train.batch_size * sizes.pairs / sizes.users / CHUNK)
    found = collectives.of_step(program.as_text(), sizes.devices, chunks)
    memory = program.memory_analysis()
    return {
        "planned": {
            "arguments": round(sum(needs.arguments.values())),
            "temporaries": round(sum(needs.temporaries.values())),
            "received": round(needs.received),
        },
        "measured": {
            "arguments": memory.argument_size_in_bytes,
            "temporaries": memory.temp_size_in_bytes,
            "received": round(sum(each.received for each in found)),
        },
        "received by kind": {
            kind: round(count) for kind, count in collectives.by_kind(found).items()
        },
    }


def table(rows: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Cells of the document's table: each figure as planned / measured, in MB."""
    found = []
    for name, row in rows.items():
        data, model = row["mesh"]
        cells = [name, f"{row['users']}", f"{row['items']}", f"{row['pairs']}", f"{data} x {model}"]
        found.append(cells + figures(row, 1e6))
    return found


def figures(row: dict[str, Any], unit: float) -> list[str]:
    """Planned / measured, part by part."""
    return [
        f"{_digits(row['planned'][part] / unit)} / {_digits(measured / unit)}"
        for part, measured in row["measured"].items()
    ]


def _digits(value: float) -> str:
    return f"{value:.2g}" if 0 < value < 1 else f"{value:.1f}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to a file")
    options = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", MOST)
    rows = {name: compare(case) for name, case in CASES.items()}
    shown = Table("", "users", "items", "pairs", "mesh", "arguments", "temporaries", "received")
    shown.title = "RANDOM data; a device's MB, planned / measured"
    for cells in table(rows):
        shown.add_row(*cells)
    at_size = {name: large(*case) for name, case in WITHOUT_DATA.items()}
    whole = Table("ten million users", "arguments", "temporaries", "received")
    whole.title = "A device's GB, planned / measured"
    for name, row in at_size.items():
        whole.add_row(name, *figures(row, 1e9))
    Console().print(shown, whole)
    if options.json:
        about = {"jax": jax.__version__, "data": "RANDOM", "rows": rows, "large": at_size}
        options.json.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
