"""A model's scoring as StableHLO, which jax runs without this package (and other programs can).

The scores of a block of users come from arrays, which are a file of their own, and the numbers of
the users.
"""

from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from mmssl_jax.errors import InputError
from mmssl_jax.models.model import Model

BLOCK = 64  # users of a call
PLATFORMS = ("cpu", "cuda")


class Scoring(NamedTuple):
    """What is called as `deserialize(program).call(*arrays.values(), users)`."""

    program: bytes  # of jax.export
    arrays: dict[str, np.ndarray]  # in the order of the arguments


def export(model: Model, representation: Any) -> Scoring:
    """The program: (arrays..., users int32 [BLOCK]) -> scores float32 [BLOCK, items].

    Users of a call must differ, but for those that fill it up at its end.

    Raises:
      InputError: an extra is not installed.
    """
    leaves, structure = jax.tree.flatten(representation)

    def score(*arguments: Any) -> Any:
        *values, users = arguments
        return model.score(jax.tree.unflatten(structure, values), users)

    shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
    users = jax.ShapeDtypeStruct((BLOCK,), jnp.int32)
    exported = jax.export.export(jax.jit(score), platforms=PLATFORMS)(*shapes, users)
    try:
        program = bytes(exported.serialize())
    except ImportError as error:  # jax asks for flatbuffers
        raise InputError('StableHLO files need an extra: pip install ".[serve]"') from error
    width = len(str(len(leaves)))
    arrays = {f"argument_{place:0{width}}": np.asarray(leaf) for place, leaf in enumerate(leaves)}
    return Scoring(program, arrays)
