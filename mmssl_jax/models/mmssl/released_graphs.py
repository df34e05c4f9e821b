"""The modality graphs of MMSSL's public release, as they really evolve from step to step.

The release collects each batch's best relations in a list. Every `mmssl.graph_refresh` steps the
list becomes the graph, and is emptied; the batch of that step is not collected. Before the first
time the graph has the training pairs. At the defaults it is empty from the third step on.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import scipy.sparse
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.graphs import modality_graph
from mmssl_jax.graphs.interaction_graph import BipartiteGraphs
from mmssl_jax.graphs.training_pairs import TrainingPairs, training_mask, training_pairs_of
from mmssl_jax.models.mmssl.generator import Embeddings, Inputs
from mmssl_jax.models.model import Batch, Model, Params

Graphs = dict[str, BipartiteGraphs]
Views = Callable[[Params, Inputs, Any, PRNGKeyArray | None], Embeddings]  # of what is held


class Rules(NamedTuple):
    """The sizes that fix how the graphs evolve; no program traces them."""

    k: int  # items that a row gives
    every: int  # steps between two graphs
    steps: int  # of an epoch
    batch: int
    shape: tuple[int, int]  # users, items
    edges: int  # of a graph, at most
    symmetric: bool  # as for `bipartite_graphs`

    @property
    def batches(self) -> int:
        """Those in the list, at most: of a whole interval, and of the last epoch's end."""
        return self.every + (self.steps - 1) % self.every

    @property
    def width(self) -> int:
        """The entries that a batch has in the list; with k = 0 they are there, and do not count."""
        return self.batch * max(self.k, 1)


class Held(NamedTuple):
    """The graphs, and what they will be made of."""

    users: Int[Array, "batches batch"]  # of the list
    items: dict[str, Int[Array, "batches width"]]  # modality -> of the list, in the release's order
    size: Int[Array, ""]  # batches in the list
    due: Bool[Array, ""]  # the list becomes the graph before the next step
    filled: Bool[Array, ""]  # the graphs have edges
    graphs: Graphs


def rules_of(config: Config, dataset: Dataset, steps_per_epoch: int) -> Rules:
    """The sizes for a data set; k is truncated, as in the release."""
    own, batch = config.mmssl, config.train.batch_size
    rules = Rules(
        k=int(dataset.num_items * own.graph_rate),
        every=own.graph_refresh or 1,
        steps=steps_per_epoch,
        batch=batch,
        shape=(dataset.num_users, dataset.num_items),
        edges=0,
        symmetric=own.normalization == "symmetric",
    )
    return rules._replace(edges=max(rules.batches * rules.k * batch, dataset.train.nnz))


def first(rules: Rules, train: scipy.sparse.csr_array, modalities: list[str]) -> Held:
    """What is held before the first step: an empty list, and graphs of the training pairs."""
    coo = train.tocoo()
    pairs = jnp.asarray(coo.row, jnp.int32), jnp.asarray(coo.col, jnp.int32)
    graph = _graphs(rules, *pairs, jnp.ones(len(coo.row)))
    width = (rules.batches, rules.width)
    return Held(
        users=jnp.zeros((rules.batches, rules.batch), jnp.int32),
        items={name: jnp.zeros(width, jnp.int32) for name in modalities},
        size=jnp.zeros((), jnp.int32),
        due=jnp.zeros((), bool),
        filled=jnp.ones((), bool),
        graphs=dict.fromkeys(modalities, graph),
    )


def refresh(rules: Rules, held: Held, step: Int[Array, ""]) -> Held:
    """What is held in a step, whose graphs are those that the step before made, if it made any."""
    at = step % rules.steps
    return settled(rules, held)._replace(due=(at > 0) & (at % rules.every == 0))


def settled(rules: Rules, held: Held) -> Held:
    """The list as the graph, where that is due; the list is then empty.

    An empty list costs nothing once the graph is empty too, as it is at the defaults.
    """

    def rebuilt() -> Held:
        place = jnp.arange(rules.batches * rules.width) // rules.width
        weights = ((place < held.size) & (rules.k > 0)).astype(jnp.float32)
        users = jnp.tile(held.users, (1, max(rules.k, 1))).reshape(-1)
        graphs = {
            name: _graphs(rules, users, items.reshape(-1), weights)
            for name, items in held.items.items()
        }
        return held._replace(
            size=jnp.zeros_like(held.size),
            due=jnp.zeros_like(held.due),
            filled=jnp.any(weights > 0),
            graphs=graphs,
        )

    changes = held.due & (held.filled | (held.size > 0))
    settled: Held = jax.lax.cond(
        changes, rebuilt, lambda: held._replace(due=jnp.zeros_like(held.due))
    )
    return settled


def _graphs(rules: Rules, users: Array, items: Array, weights: Array) -> BipartiteGraphs:
    """Graphs of these edges, padded to as many as all have."""

    def padded(edges: Array) -> Array:
        return jnp.pad(edges, (0, max(rules.edges - len(edges), 0)))[: rules.edges]

    return modality_graph.edge_graphs(
        padded(users), padded(items), padded(weights), rules.shape, symmetric=rules.symmetric
    )


def collected(
    rules: Rules,
    held: Held,
    users: Int[Array, "batch"],
    best: dict[str, Int[Array, "batch k"]],
) -> Held:
    """The list with a batch's best items.

    The release lays out the users as the whole batch k times, and the items row by row. So for k
    above 1 most users get the items of others.
    """
    items = {
        name: of_list.at[held.size].set(best[name].reshape(-1))
        for name, of_list in held.items.items()
    }
    return held._replace(users=held.users.at[held.size].set(users), items=items, size=held.size + 1)


def best_items(
    rules: Rules,
    users: Float[Array, "batch d"],
    items: Float[Array, "items d"],
    pairs: TrainingPairs,
    tie_order: Int[Array, "items"] | None,
) -> Int[Array, "batch k"]:
    """The items of the largest entries of each relation row, the largest first.

    A user's training items stay in the ranking, with 0. Of equal entries the first in `tie_order`
    (by default the lowest item) is first; the release leaves that open.
    """
    mask = training_mask(pairs, users.shape[0], items.shape[0])
    relations = users @ items.T
    relations = jnp.where(mask | (relations == 0), 0.0, relations)  # -0.0 would rank below 0.0
    order = jnp.arange(items.shape[0], dtype=jnp.int32) if tie_order is None else tie_order
    places: Array = jax.lax.top_k(relations[:, order], max(rules.k, 1))[1]
    return order[places]


def kept_by(model: Model, rules: Rules, dataset: Dataset, views: Views, max_pairs: int) -> Model:
    """The model with these graphs: used in a step, and made from the step's own relation rows.

    Args:
      model: of MMSSL.
      rules: how the graphs evolve.
      dataset: has features.
      views: the generator's forward pass; a key of None turns dropout off.
      max_pairs: training pairs of a batch, at most.
    """

    def each_step(params: Params, inputs: Inputs, held: Held, step: Int[Array, ""]) -> Held:
        del params, inputs
        return refresh(rules, held, step)

    def collect(
        params: Params, inputs: Inputs, held: Held, batch: Batch, keys: Mapping[str, PRNGKeyArray]
    ) -> Held:
        # The key of the forward pass in the generator's loss, whose rows these are.
        forward_key, _ = jax.random.split(jax.random.clone(keys["generator"]))

        def of_batch() -> Held:
            seen = views(params, inputs, held, forward_key)
            pairs = training_pairs_of(inputs.tables, batch.users, max_pairs)
            best = {
                name: best_items(
                    rules,
                    view.feature[batch.users],
                    seen.item_views[name].feature,
                    pairs,
                    inputs.tie_order,
                )
                for name, view in seen.user_views.items()
            }
            return collected(rules, held, batch.users, best)

        after: Held = jax.lax.cond(held.due, lambda: held, of_batch)
        return after

    def embed(
        params: Params, inputs: Inputs, held: Held
    ) -> tuple[Float[Array, "users d"], Float[Array, "items d"]]:
        final = views(params, inputs, settled(rules, held), None)
        return final.users, final.items

    held = first(rules, dataset.train, list(dataset.features))
    return model._replace(held=held, refresh=each_step, collect=collect, embed=embed)
