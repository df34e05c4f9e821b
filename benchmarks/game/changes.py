"""Other ways to play the adversarial game: which rows the critic is shown, and how it begins.

A change is a function of a model and its `Parts`, and gives the changed model. The noise of real
rows is left out wherever rows are changed: in the release it moves an entry by 1e-6.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mmssl_jax.adversarial import critic as critics
from mmssl_jax.adversarial.relation_rows import relation_rows
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.graphs.nearest import normalize
from mmssl_jax.graphs.training_pairs import TrainingPairs, training_mask, training_pairs_of
from mmssl_jax.models import MODELS, Model, mmssl
from mmssl_jax.models.mmssl.generator import Embeddings, Inputs
from mmssl_jax.models.model import Batch

Params = dict[str, Any]
SAMPLED = 16  # draws of a user's training items, and as many of all items


class Shown(NamedTuple):
    """What the critic is shown of a batch."""

    real: Float[Array, "batch entries"]
    fake: Float[Array, "rows entries"]  # of one modality after the other


ShowFn = Callable[[mmssl.Parts, Inputs, Embeddings, Batch, PRNGKeyArray], Shown]


def as_published(
    parts: mmssl.Parts, inputs: Inputs, out: Embeddings, batch: Batch, key: PRNGKeyArray
) -> Shown:
    """MMSSL's own rows."""
    pairs = training_pairs_of(inputs.tables, batch.users, parts.max_pairs)
    real = mmssl.losses.batch_real_rows(out, batch.users, pairs, key, parts.config)
    fake = mmssl.losses.fake_rows(out, batch.users, pairs)
    return Shown(real, jnp.concatenate([group.dense() for group in fake]))


def centred(
    parts: mmssl.Parts, inputs: Inputs, out: Embeddings, batch: Batch, key: PRNGKeyArray
) -> Shown:
    """Rows that are zero at the same entries, and of one sum and one norm."""
    del key
    pairs = training_pairs_of(inputs.tables, batch.users, parts.max_pairs)
    outside = ~training_mask(pairs, len(batch.users), out.items.shape[0])
    real = relation_rows(out.users[batch.users], out.items, pairs).dense()
    fake = [group.dense() for group in mmssl.losses.fake_rows(out, batch.users, pairs)]
    return Shown(_centre(real, outside), jnp.concatenate([_centre(rows, outside) for rows in fake]))


def _centre(
    rows: Float[Array, "batch entries"], among: Bool[Array, "batch entries"] | bool = True
) -> Float[Array, "batch entries"]:
    """Rows of sum 0 and norm 1 over some entries; the others are 0."""
    mean = jnp.mean(rows, axis=1, keepdims=True, where=among)
    return normalize(jnp.where(among, rows - mean, 0.0))


def held_out(
    parts: mmssl.Parts, inputs: Inputs, out: Embeddings, batch: Batch, key: PRNGKeyArray
) -> Shown:
    """Half of a user's training items are held out at random, and only the others are masked.

    A real row is the held-out items and the final scores, in equal parts; a fake row may score the
    held-out items.
    """
    rows = len(batch.users)
    pairs = training_pairs_of(inputs.tables, batch.users, parts.max_pairs)
    keep = pairs.valid & jax.random.bernoulli(key, 0.5, pairs.valid.shape)
    kept = TrainingPairs(jnp.where(keep, pairs.rows, rows), pairs.items, keep)
    items = out.items.shape[0]
    held = training_mask(pairs, rows, items) & ~training_mask(kept, rows, items)
    real = relation_rows(out.users[batch.users], out.items, kept).dense()
    fake = mmssl.losses.fake_rows(out, batch.users, kept)
    return Shown(
        normalize(normalize(held.astype(real.dtype)) + real),
        jnp.concatenate([group.dense() for group in fake]),
    )


def sampled(
    parts: mmssl.Parts, inputs: Inputs, out: Embeddings, batch: Batch, key: PRNGKeyArray
) -> Shown:
    """Scores of some of the user's training items, and of as many random items, centred."""
    del parts
    trained_key, other_key = jax.random.split(key)
    tables, rows = inputs.tables, len(batch.users)
    degrees = tables.degrees[batch.users][:, None]
    place = jax.random.randint(trained_key, (rows, SAMPLED), 0, degrees)
    trained = tables.items[tables.starts[batch.users][:, None] + place]
    other = jax.random.randint(other_key, (rows, SAMPLED), 0, out.items.shape[0])
    chosen = jnp.concatenate([trained, other], axis=1)

    def scores(users: Float[Array, "batch d"], items: Float[Array, "items d"]) -> Array:
        return _centre(jnp.einsum("ud,usd->us", users, items[chosen]))

    fake = [
        scores(view.feature[batch.users], out.item_views[name].feature)
        for name, view in out.user_views.items()
    ]
    return Shown(scores(out.users[batch.users], out.items), jnp.concatenate(fake))


def shows(show: ShowFn, model: Model, parts: mmssl.Parts) -> Model:
    """The model with a critic that is shown other rows."""
    losses = {"critic": partial(_critic_loss, show, parts)}
    losses["generator"] = partial(_generator_loss, show, parts)
    return model._replace(init=partial(mmssl.init, parts), losses=losses)


def _critic_loss(
    show: ShowFn,
    parts: mmssl.Parts,
    params: Params,
    inputs: Inputs,
    held: Any,
    batch: Batch,
    key: PRNGKeyArray,
) -> tuple[Array, dict[str, Array]]:
    forward_key, show_key, alpha_key, score_key = jax.random.split(key, 4)
    out = mmssl.embeddings_of(parts, params, inputs, held, forward_key)
    shown = jax.lax.stop_gradient(show(parts, inputs, out, batch, show_key))
    alpha = jax.random.uniform(alpha_key, (len(shown.fake), 1))
    weight = parts.config.critic.penalty_weight
    return critics.critic_loss(
        parts.critic, params["critic"], *shown, alpha, score_key, penalty_weight=weight
    )


def _generator_loss(
    show: ShowFn,
    parts: mmssl.Parts,
    params: Params,
    inputs: Inputs,
    held: Any,
    batch: Batch,
    key: PRNGKeyArray,
) -> tuple[Array, dict[str, Array]]:
    forward_key, rest = jax.random.split(key)  # whose first is also the one of `collect`
    show_key, score_key = jax.random.split(rest)
    out = mmssl.embeddings_of(parts, params, inputs, held, forward_key)
    terms = mmssl.losses.generator_terms(out, batch, parts.config)
    fake = show(parts, inputs, out, batch, show_key).fake
    fixed = jax.lax.stop_gradient(params["critic"])
    terms["adversarial"] = critics.generator_loss(parts.critic, fixed, fake, score_key)
    return mmssl.losses.generator_total(terms, parts.config), terms


def gentle(model: Model, parts: mmssl.Parts) -> Model:
    """The critic begins nearly flat: its last kernel is a thousandth of what it would be."""

    def init(key: PRNGKeyArray) -> Params:
        params = mmssl.init(parts, key)
        params["critic"]["dense2"]["kernel"] *= 1e-3
        return params

    return model._replace(init=init)


SHOWN: dict[str, ShowFn] = {"centred": centred, "held out": held_out, "sampled": sampled}
CHANGES: dict[str, Callable[[Model, mmssl.Parts], Model]] = {"gentle": gentle}
CHANGES |= {name: partial(shows, show) for name, show in SHOWN.items()}


def critic_of(change: str | None, parts: mmssl.Parts) -> mmssl.Parts:
    """The parts with the critic of a change: as long as the rows that it is shown."""
    if change != "sampled":
        return parts
    return parts._replace(critic=parts.critic.clone(num_items=2 * SAMPLED))


@contextlib.contextmanager
def played_with(change: str | None) -> Iterator[None]:
    """While it lasts, MMSSL is built with this change; None leaves it as it is."""

    def build(config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
        model = mmssl.build(config, dataset, steps_per_epoch)
        if change is None:
            return model
        parts = critic_of(change, mmssl.parts_of(config, dataset, steps_per_epoch))
        return CHANGES[change](model, parts)

    MODELS["mmssl"] = mmssl.MODEL._replace(build=build)
    try:
        yield
    finally:
        MODELS["mmssl"] = mmssl.MODEL
