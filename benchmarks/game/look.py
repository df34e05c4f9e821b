"""What can be seen of a game at a run's best epoch: the rows, and the generator's gradients."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.stats import rankdata

from benchmarks.game.changes import ShowFn
from mmssl_jax.adversarial import critic as critics
from mmssl_jax.models import mmssl
from mmssl_jax.models.model import Batch, Model
from mmssl_jax.training import batches, session

BATCHES = 4  # that are looked at

# Published fake rows are 0 at the user's training items, and only there; real rows nowhere.
NUMBERS = {
    "zeros": lambda rows: -jnp.sum(rows == 0, axis=1),
    "largest entry": lambda rows: jnp.max(rows, axis=1),
    "smallest entry": lambda rows: jnp.min(rows, axis=1),
    "sum": lambda rows: jnp.sum(rows, axis=1),
    "fourth powers": lambda rows: jnp.sum(rows**4, axis=1),
}


def area(real: Float[Array, "real"], fake: Float[Array, "fake"]) -> float:
    """The area under the ROC curve of a number that is to be higher for real rows."""
    values = np.concatenate([np.asarray(real), np.asarray(fake)])
    ranks = rankdata(values)[: len(real)]
    return float((ranks.mean() - (len(real) + 1) / 2) / len(fake))


@partial(jax.jit, static_argnums=(0, 1))
def told_apart_by(
    parts: mmssl.Parts,
    show: ShowFn,
    params: Any,
    inputs: Any,
    out: Any,
    batch: Batch,
    key: PRNGKeyArray,
) -> dict[str, tuple[Array, Array]]:
    """Name -> a number of each real row and of each fake row: the critic's score, and others."""
    show_key, *score_keys = jax.random.split(key, 3)
    shown = show(parts, inputs, out, batch, show_key)
    critic = parts.critic.clone(dropout=(0.0, 0.0))  # what it has learned, without its noise
    scores = [
        critics.head(critic, params, critics.first(critic, params, rows), score_key)
        for rows, score_key in zip(shown, score_keys, strict=True)
    ]
    found = {name: tuple(number(rows) for rows in shown) for name, number in NUMBERS.items()}
    return {"critic": tuple(scores)} | found


@partial(jax.jit, static_argnums=(0, 1))
def gradients(
    loss: Any,
    parts: mmssl.Parts,
    params: Any,
    inputs: Any,
    held: Any,
    batch: Batch,
    key: PRNGKeyArray,
) -> dict:
    """Loss -> parameter -> norm of the gradient of that loss alone, with its weight."""
    nothing = {"bpr": 0.0, "embedding_l2": 0.0, "feature_l2": 0.0}

    def weighted(generator: Any) -> dict[str, Array]:
        _, terms = loss(params | {"generator": generator}, inputs, held, batch, key)
        total = partial(mmssl.losses.generator_total, config=parts.config)
        return {name: total(nothing | {name: value}) for name, value in terms.items()}

    generator = params["generator"]
    names = jax.eval_shape(weighted, generator)
    slopes = {name: jax.grad(lambda x: weighted(x)[name])(generator) for name in names}  # noqa: B023
    return jax.tree.map(jnp.linalg.norm, slopes)


def look(trained: session.Trained, parts: mmssl.Parts, show: ShowFn) -> dict[str, float]:
    """Means over a few batches: how well numbers tell rows apart, and the norms of gradients.

    Args:
      trained: the best epoch of a run.
      parts: of its MMSSL, with the critic that plays.
      show: what this critic is shown.
    """
    model: Model = trained.model
    params, inputs, held = trained.state.params, model.inputs, trained.state.held
    out = mmssl.embeddings_of(parts, params, inputs, held, None)
    loss = model.losses["generator"]
    rows: list[dict[str, float]] = []
    for index in range(BATCHES):
        keys = jax.random.split(jax.random.fold_in(jax.random.key(7), index), 3)
        batch = batches.sample(keys[0], inputs.tables, trained.config.train.batch_size)
        seen: dict[str, Any] = {}
        if parts.adversarial:
            numbers = told_apart_by(parts, show, params["critic"], inputs, out, batch, keys[1])
            seen = {f"area/{name}": area(*of_rows) for name, of_rows in numbers.items()}
        norms = gradients(loss, parts, params, inputs, held, batch, keys[2])
        for path, norm in jax.tree.leaves_with_path(norms):
            seen[f"gradient/{jax.tree_util.keystr(path, simple=True, separator='/')}"] = norm
        rows.append(seen)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
