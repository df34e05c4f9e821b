"""One program on several devices, of one process or of several, partitioned by jax itself.

A mesh has two axes: `data`, over which a batch is split, and `model`, over which tables with a row
for every user or item are split: the embeddings, the critic's first kernel, and their optimisers'
moments. The rows of graphs are split over both (`split_graph`). Everything else is on every device.
With one device all of this does nothing.
"""

import os
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from mmssl_jax import config as configs
from mmssl_jax.errors import InputError
from mmssl_jax.graphs import split_tables
from mmssl_jax.graphs.training_pairs import PairTables
from mmssl_jax.models.model import Batch

# The tables with a row for every user or item, by the end of an array's path. Optimisers keep
# moments under the names of the parameters, so theirs are split as well.
_TABLES = re.compile(
    "(?:^|/)(?:"
    "user_embedding|item_embedding"  # of every model with embeddings
    "|user_factors|item_factors|user_content"  # VBPR
    "|dense0/kernel"  # the critic's first layer
    "|features/[^/]+"  # of a modality
    "|nearest/[^/]+|weights/[^/]+|graphs/[^/]+/items|raw/[^/]+/(?:items|weights)"  # item graphs
    "|content/neighbors/(?:items|weights)"  # of the hybrid
    "|gram|held"  # EASE
    ")$"
)


def check_devices() -> None:
    """Raises InputError if jax is set to use a device that is not there, or float64."""
    settings: Any = jax.config  # whose values have no types
    if settings.jax_enable_x64:
        raise InputError(
            "jax is told to compute in float64 (JAX_ENABLE_X64); this program computes in float32, "
            "so leave that out"
        )
    try:
        jax.devices()
    except Exception as error:  # an AssertionError or a RuntimeError, by the kind asked for
        names = [name for name in ("JAX_PLATFORMS", "JAX_PLATFORM_NAME") if os.environ.get(name)]
        asked = " and ".join(f"{name}={os.environ[name]}" for name in names) or "jax's defaults"
        reason = " ".join(str(error).split()).partition(" (set JAX_")[0][:200]
        raise InputError(
            f"no device as {asked} wants it{f' ({reason})' if reason else ''}; leave that variable "
            'out to compute on what there is, or for an NVIDIA GPU pip install ".[cuda12]"'
        ) from error


def compute_in_float32() -> None:
    """Has products of float32 made in float32: jax's default rounds their factors on GPUs and TPUs.

    What somebody has told jax stays (JAX_DEFAULT_MATMUL_PRECISION).
    """
    settings: Any = jax.config
    if settings.jax_default_matmul_precision is None:
        settings.update("jax_default_matmul_precision", "float32")


def make_mesh(config: configs.Mesh) -> Mesh:
    """The mesh of a config. Several processes have all their devices in it.

    Raises:
      InputError: it has more devices than there are, or leaves out some of several processes.
    """
    data, model, present = config.data, config.model, jax.device_count()
    if jax.process_count() > 1 and data * model == 1:
        model = present
    wanted = data * model
    if wanted > present:
        raise InputError(
            f"config field 'mesh' asks for {config.data} x {config.model} devices, but there are "
            f"{present}; choose mesh.data and mesh.model with a product of at most {present}"
        )
    if jax.process_count() > 1 and wanted != present:
        raise InputError(
            f"config field 'mesh' asks for {data} x {model} devices, but {jax.process_count()} "
            f"processes have {present}, and each must take part; choose mesh.data and mesh.model "
            f"with a product of {present}, or leave both out"
        )
    return jax.make_mesh(
        (data, model),
        ("data", "model"),
        axis_types=(AxisType.Auto, AxisType.Auto),
        devices=jax.devices()[:wanted],
    )


def shardings(tree: Any, mesh: Mesh) -> Any:
    """The sharding of every array of a pytree, of arrays or their shapes, by its name.

    The rows of a table are split where they divide evenly, else its columns, else it stays whole.
    An array of three axes is a stack of tables.
    """
    parts = mesh.shape["model"]

    def of(path: Any, leaf: Any) -> NamedSharding:
        spec = PartitionSpec()
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if len(leaf.shape) in (2, 3) and _TABLES.search(name):
            stack = [None] * (len(leaf.shape) - 2)
            spec = PartitionSpec(*stack, *split_tables.spec(leaf.shape[-2:], parts))
        return NamedSharding(mesh, spec)

    return jax.tree.map_with_path(of, tree)


def placed_shapes(shapes: Any, mesh: Mesh) -> Any:
    """Shapes of arrays as of those that `place` puts on a mesh."""

    def of(shape: Any, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding)

    return jax.tree.map(of, shapes, shardings(shapes, mesh))


def place(tree: Any, mesh: Mesh) -> Any:
    """The arrays of a pytree on the devices of a mesh, by `shardings`.

    Those that are on it already stay as they are. Of several processes, each gives what its own
    devices hold of an array that all of them have.
    """

    def of(leaf: Any, sharding: NamedSharding) -> jax.Array:
        here = getattr(leaf, "sharding", None)
        if isinstance(here, NamedSharding) and here.mesh == mesh:
            return leaf  # type: ignore[no-any-return]
        if sharding.is_fully_addressable:
            return jax.device_put(leaf, sharding)  # type: ignore[no-any-return]
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            words, kind = of(jax.random.key_data(leaf), sharding), jax.random.key_impl(leaf)
            return jax.random.wrap_key_data(words, impl=kind)  # type: ignore[no-any-return]
        host = np.asarray(leaf)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    tree = jax.tree.map(lambda leaf: leaf, tree)  # makes the graphs that are still on the host
    return jax.tree.map(of, tree, shardings(tree, mesh))


def split_pairs(tree: Any, mesh: Mesh) -> Any:
    """A pytree whose tables of pairs have their items split over the model axis.

    They are filled up with zeros to equal parts. A process reads those of its own devices alone.
    """
    parts = NamedSharding(mesh, PartitionSpec("model"))

    def of(leaf: Any) -> Any:
        if not isinstance(leaf, PairTables):
            return leaf
        length = len(leaf.items) + -len(leaf.items) % mesh.shape["model"]

        def part(index: Any) -> np.ndarray:
            start, end, _ = index[0].indices(length)
            own = np.asarray(leaf.items[start:end])
            return np.pad(own, (0, end - start - len(own)))

        items = jax.make_array_from_callback((length,), parts, part)
        return leaf._replace(items=items)

    return jax.tree.map(of, tree, is_leaf=lambda leaf: isinstance(leaf, PairTables))


def split_batch(batch: Batch, mesh: Mesh) -> Batch:
    """A batch split over the data axis, inside a compiled function; whole where it cannot be."""
    if batch.users.shape[0] % mesh.shape["data"]:
        return batch
    over_data = NamedSharding(mesh, PartitionSpec("data"))
    split: Batch = jax.lax.with_sharding_constraint(batch, over_data)
    return split
