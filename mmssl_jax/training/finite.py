"""Numbers of a run that are NaN or infinite: found after each call of steps, and said in a line."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmssl_jax.config import Config
from mmssl_jax.errors import InputError


class Finite(NamedTuple):
    """Of a tree of arrays, by leaf: its name, and whether all its values are finite."""

    names: tuple[str, ...]
    all_finite: jax.Array | None  # bool [leaves], on the devices; None without a leaf


def of(tree: Any) -> Finite:
    """Looks at every floating-point leaf, without waiting for the devices."""
    found = [
        (jax.tree_util.keystr(path).lstrip("."), leaf)
        for path, leaf in jax.tree.leaves_with_path(tree)
        if jnp.issubdtype(leaf.dtype, jnp.floating)
    ]
    names, leaves = tuple(name for name, _ in found), [leaf for _, leaf in found]
    return Finite(names, _all_finite(leaves) if leaves else None)


@jax.jit
def _all_finite(leaves: list[jax.Array]) -> jax.Array:
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves])


def check_terms(terms: Mapping[str, np.ndarray], before: int, config: Config) -> None:
    """Raises InputError at the first step in which a loss term is no finite number.

    Args:
      terms: loss term -> its value in every step of a call.
      before: steps that were taken before them.
      config: of the run.
    """
    names = sorted(terms, key=lambda name: name.endswith("/loss"))  # totals last
    for index in range(max(map(len, terms.values()), default=0)):
        for name in names:
            if not np.isfinite(value := terms[name][index]):
                what = f"loss '{name}' became {value} at step {before + index + 1}"
                raise _diverged(what, name, config)


def check(found: Finite, before: int, steps: int, config: Config) -> None:
    """Raises InputError where a leaf of a state is not finite.

    Args:
      found: of the state.
      before: steps that were taken before the last call.
      steps: of the last call.
      config: of the run.
    """
    for name in _not_finite(found):
        last = before + steps
        when = f"at step {last}" if steps == 1 else f"in steps {before + 1} to {last}"
        raise _diverged(f"{name} of the state became NaN or infinite {when}", name, config)


def check_embeddings(found: Finite, step: int, config: Config) -> None:
    """Raises InputError where what is ranked in a validation, after `step`, is not finite."""
    if names := _not_finite(found):
        what = f"the embeddings {names[0]} are NaN or infinite at step {step}"
        raise _diverged(" ".join(what.split()), names[0], config)


def _not_finite(found: Finite) -> list[str]:
    if found.all_finite is None:
        return []
    flags = np.asarray(found.all_finite)
    return [name for name, fine in zip(found.names, flags, strict=True) if not fine]


def _diverged(what: str, name: str, config: Config) -> InputError:
    """The line of a run that ends so, with what to change for whom it happened to."""
    changes = "a lower train.learning_rate"
    if "critic" in name:
        changes = f"a lower critic.learning_rate or critic.penalty_weight, or {changes}"
    elif "critic" in config.own and config.critic.enabled:
        changes += " or critic.learning_rate"
    if config.data.modalities.strip() != "none" and not config.data.standardize:
        changes += ", or data.standardize=True if features are large"
    return InputError(
        f"{what}; training stopped and kept the last validated epoch, if any; try {changes}, in "
        "another --workdir"
    )
