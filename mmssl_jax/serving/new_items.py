"""Items that came after training, which a run ranks by their features."""

from pathlib import Path

import numpy as np
import polars as pl

from mmssl_jax.data.features import content
from mmssl_jax.data.layouts import new_items
from mmssl_jax.errors import InputError
from mmssl_jax.serving import options
from mmssl_jax.training.session import Trained

TAKE_NEW_ITEMS = "hybrid and vbpr"  # tests hold it to the models


def items_of(trained: Trained, folder: Path | None) -> tuple[Trained, pl.DataFrame]:
    """The run `with_new_items`, if there are some, and `options.attributes_of` its items.

    With new items there is the attribute `new`, which is true of them.
    """
    if folder is None:
        return trained, options.attributes_of(trained.dataset)
    more = with_new_items(trained, folder)
    is_new = np.arange(more.dataset.num_items) >= trained.dataset.num_items
    attributes = options.attributes_of(more.dataset, folder)
    return more, attributes.with_columns(pl.Series("new", is_new))


def with_new_items(trained: Trained, folder: Path) -> Trained:
    """The run with the items of a folder behind those of its data, ranked like these.

    Args:
      trained: the run; none of its parameters changes.
      folder: as `layouts.new_items` reads it.

    Raises:
      InputError: the model scores no such items, or the folder does not fit the data.
    """
    config, model = trained.config, trained.model
    if model.with_items is None:
        raise InputError(
            f"this run of '{config.model.name}' has no scores for --new-items; "
            f"{TAKE_NEW_ITEMS} have, by features of the items"
        )
    dataset = new_items.behind(trained.dataset, folder)
    prepared = content.prepare(
        dataset,
        missing=config.data.missing,
        zeros_missing=config.data.zeros_missing,
        standardize=config.data.standardize,
        first=trained.dataset.num_items,
    )
    model = model.with_items(prepared)
    return trained._replace(dataset=dataset, model=model, inputs=model.inputs)
