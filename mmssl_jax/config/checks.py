"""The range of every field of the config."""

from collections.abc import Iterable, Mapping
from typing import Any

from mmssl_jax.data.checks.findings import REPEATS
from mmssl_jax.data.features.content import FILLS
from mmssl_jax.errors import InputError

_POSITIVE = [
    "model.embedding_dim",
    "mmssl.heads",
    "mmssl.graph_items",
    "mmssl.temperature",
    "mmssl.real_temperature",
    "mmssl.learning_rate",
    "critic.learning_rate",
    "item_graph.neighbors",
    "item_graph.temperature",
    "train.epochs",
    "train.steps_per_call",
    "train.batch_size",
    "train.learning_rate",
    "train.lr_decay",
    "train.evaluate_every",
    "evaluation.user_block",
    "mesh.data",
    "mesh.model",
]
_NOT_NEGATIVE = [
    "data.demo_seed",
    "model.layers",
    "mmssl.graph_refresh",
    "mmssl.id_weight",
    "mmssl.modality_weight",
    "mmssl.contrastive_weight",
    "mmssl.adversarial_weight",
    "mmssl.feature_l2",
    "mmssl.real_relation_weight",
    "critic.hidden",
    "critic.item_block",
    "critic.penalty_weight",
    "critic.slope",
    "item_graph.raw_weight",
    "item_graph.contrastive_weight",
    "train.seed",
    "train.steps_per_epoch",
    "train.weight_decay",
    "train.embedding_l2",
    "train.patience",
]
_CHOICES = {
    "data.repeats": REPEATS,
    "data.missing": FILLS,
    "mmssl.modality_graph": ("none", "observed", "top_k"),
    "mmssl.normalization": ("one_sided", "symmetric"),
    "critic.precision": ("float32", "bfloat16"),
    "item_graph.backbone": ("lightgcn", "ngcf", "mf"),
}
_FRACTIONS = ("mmssl.feature_dropout", "critic.beta1", "critic.beta2", "ngcf.message_dropout")


def check_ranges(values: Mapping[str, Any], variants: Iterable[str]) -> None:
    """Raises InputError for the first value out of range.

    Args:
      values: dotted path -> value, of a whole config.
      variants: the names that `model.variant` can have.
    """

    def require(path: str, holds: bool, rule: str) -> None:
        if not holds:
            raise InputError(f"config field '{path}' is {values[path]!r}; it must be {rule}")

    # The variant first, as other fields take their values from it.
    for path, choices in {"model.variant": tuple(variants), **_CHOICES}.items():
        require(path, values[path] in choices, f"one of {', '.join(choices)}")
    for path, value in values.items():
        require(path, value is not None, "set, as the model has no default for it")
        if isinstance(value, float):
            require(path, abs(value) < float("inf"), "a finite number")
    for path in _POSITIVE:
        require(path, values[path] > 0, "greater than 0")
    for path in _NOT_NEGATIVE:
        require(path, values[path] >= 0, "0 or greater")
    for path in _FRACTIONS:
        require(path, 0 <= values[path] < 1, "at least 0 and less than 1")
    for path, value in values.items():
        if isinstance(value, int):
            most = 2**32 if path in ("data.demo_seed", "train.seed") else 2**31
            require(path, value < most, f"less than 2**{most.bit_length() - 1}")
    require("critic.hidden", values["critic.hidden"] != 1, "0 (a quarter of the items) or above 1")
    require("item_graph.raw_weight", values["item_graph.raw_weight"] <= 1, "from 0 to 1")
    lambdas = values["ease.l2"]
    require("ease.l2", bool(lambdas) and min(lambdas) > 0, "positive numbers")
    require("data.path", bool(values["data.path"]), "a folder, or ':demo:' for generated data")
    cutoffs = values["evaluation.cutoffs"]
    require("evaluation.cutoffs", bool(cutoffs) and min(cutoffs) > 0, "positive numbers")
    require("evaluation.cutoffs", len(set(cutoffs)) == len(cutoffs), "distinct")
    require("evaluation.cutoffs", 20 in cutoffs, "a list with 20, as Recall@20 selects the epoch")
