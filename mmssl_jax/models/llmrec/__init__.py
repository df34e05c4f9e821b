"""LLMRec: graph augmentation by language models for recommendation (Wei et al., WSDM 2024).

The model as the training loop wants it. `settings` has what can be set, `encoder` makes the
embeddings, `losses` has the terms of the loss, `masks` hides side information and restores it. The
language model's part is data: augmented pairs, users' features and items' attributes of the data
set. Each is optional.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.graphs import interaction_graph, training_pairs
from mmssl_jax.models.llmrec import encoder, losses, masks
from mmssl_jax.models.llmrec.encoder import Embeddings, Inputs, Masks, Side
from mmssl_jax.models.llmrec.settings import DEFAULTS, VARIANTS, LLMRec
from mmssl_jax.models.model import Batch, Definition, Model, Params, Terms

# Folded into a key of its own in the place of a step; no run has so many.
_EVALUATION, _DECODERS = 2**31 - 1, 2**31 - 2
_NOTHING = Side({}, {}, {})
_OWN = 0x11A3  # tells that key from those of training, which come of the seed itself


class Held(NamedTuple):
    """What is kept between steps where features are hidden."""

    # In place: side information without what is hidden so far, the step's masks, and the rows that
    # they hid, where these are to be restored as they were before the step.
    hidden: tuple[Side, Masks, Side] | None
    decoders: masks.Decoders | None  # where they are not trained


def build(config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
    """Builds LLMRec for a data set.

    Raises:
      InputError: a size in the config or in the side information does not fit.
    """
    del steps_per_epoch
    _check_sizes(config, dataset)
    inputs = inputs_of(dataset)
    model = Model(
        inputs,
        init=partial(init, config, inputs),
        losses={"model": partial(loss, config)},
        embed=partial(embed, config),
        scores_cold_items=False,
    )
    own = config.llmrec
    if not own.mask_share:
        return model
    decoders = None
    if not own.train_decoders and own.restore == "decoded":
        decoders = masks.init_decoders(_key(config, _DECODERS), config, inputs.side)
    if not own.mask_in_place:
        return model._replace(held=Held(None, decoders))
    # What is never hidden need not be in checkpoints.
    side = inputs.side if own.mask_modalities else inputs.side._replace(modalities={})
    _, chosen, rows = _hide(config, side, _masks_of(config, inputs, 0))
    held = Held((side, chosen, rows), decoders)  # the first step hides
    return model._replace(held=held, refresh=partial(refresh, config))


def inputs_of(dataset: Dataset) -> Inputs:
    """The arrays of a data set on the device."""

    def arrays(of: Any) -> dict[str, Array]:
        return {name: jnp.asarray(array) for name, array in of.items()}

    return Inputs(
        interaction_graph.bipartite_graphs(dataset.train, dataset.by_item),
        Side(arrays(dataset.features), arrays(dataset.attributes), arrays(dataset.user_features)),
        jnp.asarray(training_pairs.augmented_table(dataset.augmented, dataset.num_users)),
    )


def _check_sizes(config: Config, dataset: Dataset) -> None:
    """Raises InputError where the config or the side information does not fit."""
    widths = {name: array.shape[1] for name, array in dataset.attributes.items()}
    if len(set(widths.values())) > 1:
        said = ", ".join(f"{name} {width}" for name, width in widths.items())
        raise InputError(
            f"'{dataset.name}': the attributes have different widths ({said}); LLMRec projects "
            "them all by one matrix, so encode them with one encoder"
        )
    if config.data.missing == "learned":
        raise InputError(
            "config field 'data.missing' is 'learned', which LLMRec has no vectors for; choose "
            "another"
        )
    own, batch = config.llmrec, config.train.batch_size
    fewest = min(dataset.num_users, dataset.num_items)
    if own.mask_share and int(own.mask_share * fewest) < 1:
        raise InputError(
            f"config field 'llmrec.mask_share' is {own.mask_share}, which hides nobody of {fewest} "
            "users or items; make it larger, or 0"
        )
    if own.mask_modalities and own.restore == "decoded":
        raise InputError(
            "config field 'llmrec.mask_modalities' is True, but modalities have no decoder; set "
            "'llmrec.restore' to 'projected'"
        )
    if config.train.augmented_share:
        raise InputError(
            "config field 'train.augmented_share' is for the other models; of LLMRec's batches "
            "'llmrec.augmented_share' is added to the sampled triples"
        )
    if own.prune != "none" and int((1 - own.pruned) * batch) < 1:
        raise InputError(
            f"config field 'llmrec.pruned' is {own.pruned}, which leaves none of "
            f"{batch} triples; make it smaller, or the batch larger"
        )


def init(config: Config, inputs: Inputs, key: PRNGKeyArray) -> Params:
    """The parameters; decoders only where they are trained."""
    key, decoder_key = jax.random.split(key)
    params = encoder.init_params(key, config, inputs)
    own = config.llmrec
    if own.mask_share and own.train_decoders and own.restore == "decoded":
        params["decoders"] = masks.init_decoders(decoder_key, config, inputs.side)
    return {"model": params}


def refresh(
    config: Config, params: Params, inputs: Inputs, held: Held, step: Int[Array, ""]
) -> Held:
    """Hides more of what is kept, as the release does in every forward pass."""
    del params
    assert held.hidden is not None
    chosen = _masks_of(config, inputs, step)
    return held._replace(hidden=_hide(config, held.hidden[0], chosen))


def _hide(config: Config, side: Side, chosen: Masks) -> tuple[Side, Masks, Side]:
    """What is kept of a step that hides more of what is kept."""
    rows = _NOTHING
    if config.llmrec.restore == "projected":
        rows = masks.rows_of(side, chosen, config)
    return masks.masked(side, chosen, config), chosen, rows


def _side(inputs: Inputs, hidden: Side) -> Side:
    """The modalities of the inputs with what is kept of the rest."""
    return hidden._replace(modalities=hidden.modalities or inputs.side.modalities)


def _masks_of(config: Config, inputs: Inputs, step: Int[Array, ""] | int) -> Masks:
    users, items = inputs.interactions.user_item.shape
    return masks.draw(_key(config, step), config, users, items)


def _key(config: Config, purpose: Int[Array, ""] | int) -> PRNGKeyArray:
    """A key of LLMRec's own, for the masks of a step or what is named above."""
    return jax.random.fold_in(jax.random.key(config.train.seed ^ _OWN), purpose)


def loss(
    config: Config, params: Params, inputs: Inputs, held: Any, batch: Batch, key: PRNGKeyArray
) -> tuple[Float[Array, ""], Terms]:
    """The loss on a batch, and its terms."""
    forward_key, pair_key, mask_key = jax.random.split(key, 3)
    drawn = losses.draw_users(pair_key, batch, config)
    triples = losses.with_augmented(batch, drawn, inputs.augmented, config)
    own, rows = params["model"], _NOTHING
    if not isinstance(held, Held):
        out = encoder.forward(own, inputs, config, forward_key)
    elif held.hidden:
        side, chosen, rows = held.hidden
        out = encoder.forward(own, inputs, config, forward_key, side=_side(inputs, side))
    else:
        users, items = inputs.interactions.user_item.shape
        chosen = masks.draw(mask_key, config, users, items)
        out = encoder.forward(own, inputs, config, forward_key, chosen)
    terms = losses.terms(out, triples, config)
    if isinstance(held, Held):
        if not held.hidden or config.llmrec.restore == "decoded":
            rows = masks.rows_of(inputs.side, chosen, config)
        decoders = own.get("decoders", held.decoders)
        terms["restore"] = masks.restore_loss(own, decoders, out, rows, chosen, config)
    return losses.total(terms, config), terms


def embed(
    config: Config, params: Params, inputs: Inputs, held: Any
) -> tuple[Float[Array, "users d"], Float[Array, "items d"]]:
    """The final embeddings, without dropout.

    Where masks are in place, evaluation hides some more, as the release does; here that is not
    kept for the next step.
    """
    side = None
    if isinstance(held, Held) and held.hidden:
        chosen = _masks_of(config, inputs, _EVALUATION)
        side = _side(inputs, masks.masked(held.hidden[0], chosen, config))
    out: Embeddings = encoder.forward(params["model"], inputs, config, side=side)
    return out.users, out.items


MODEL = Definition(build, DEFAULTS, settings={"llmrec": LLMRec}, variants=VARIANTS, reads_side=True)
