"""What `export` and `recommend` may be asked to leave out of the lists."""

from pathlib import Path

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from mmssl_jax.data import Dataset
from mmssl_jax.data.checks.wording import counted
from mmssl_jax.data.features import item_attributes
from mmssl_jax.errors import InputError
from mmssl_jax.serving import where as conditions
from mmssl_jax.serving.ids import Ids, find

# The rules of --exclude-known, and what is printed of each.
LEFT_OUT = {
    "all": "left out: what a user is known to have, be it in train, val or test",
    "train": "left out: a user's items of train; those of val and test may be in the list",
    "none": "nothing is left out: what a user is known to have may be in the list",
}


def known_rule(text: str | None, dataset: Dataset) -> str:
    """The rule that --exclude-known names; by default all, and none where people buy again."""
    rule = text or ("none" if dataset.repeats else "all")
    if rule not in LEFT_OUT:
        raise InputError(f"--exclude-known is {rule!r}; it must be one of {', '.join(LEFT_OUT)}")
    return rule


def known_pairs(rule: str, dataset: Dataset) -> csr_array | None:
    """The pairs [users, items] that a rule leaves out of the lists; None where it leaves none."""
    if rule == "all":
        return dataset.train + dataset.val + dataset.test
    return dataset.train if rule == "train" else None


def attributes_of(dataset: Dataset, new_items: Path | None = None) -> pl.DataFrame:
    """What --where can name of the items, by index: their attributes, and `training_pairs`.

    `new_items` is the folder of those that came after training, if the data set has some.

    Raises:
      InputError: the table of items beside the data cannot be read.
    """
    found = item_attributes.of(dataset, new_items)
    return found.with_columns(pl.Series("training_pairs", dataset.item_degrees))


def allowed_items(
    only: Ids | None,
    exclude: Ids | None,
    where: str | None,
    attributes: pl.DataFrame,
    dataset: Dataset,
) -> np.ndarray | None:
    """bool [items]: what --only, --exclude and --where leave; None where none is given.

    Raises:
      InputError: an id is unknown, `where` is no condition on `attributes`, or nothing is left.
    """
    if only is None and exclude is None and where is None:
        return None
    allowed = np.full(dataset.num_items, only is None)
    if only is not None:
        allowed[find("--only", only, "item", dataset)] = True
    if exclude is not None:
        allowed[find("--exclude", exclude, "item", dataset)] = False
    if where is not None:
        allowed &= conditions.matching(attributes, where)
    if not allowed.any():
        given = {"--exclude": exclude, "--only": only, "--where": where}
        flags = [flag for flag, value in given.items() if value is not None]
        raise InputError(f"{' and '.join(flags)} leave no item to be ranked")
    return allowed


def scored_items(
    allowed: np.ndarray | None, able: bool, dataset: Dataset
) -> tuple[np.ndarray | None, int]:
    """The items of `allowed_items` that a model has a score for, and how many that leaves out.

    Items without a training pair have no score but that of chance, unless the model is `able` to
    score them by their features.
    """
    trained = dataset.item_degrees > 0
    if able or trained.all():
        return allowed, 0
    if allowed is None:
        return trained, int(np.count_nonzero(~trained))
    return allowed & trained, int(np.count_nonzero(allowed & ~trained))


def said_of_unscored(count: int, model: str) -> str:
    """One line on the items that `scored_items` leaves out, empty where there are none."""
    if not count:
        return ""
    return (
        f"left out: {counted(count, 'item')} without a training pair, which '{model}' cannot score"
    )
