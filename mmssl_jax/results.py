"""The scores of a trained model, as flat JSON keys and as a table."""

import importlib.metadata
import platform
from typing import Any

import jax
from rich.table import Table

from mmssl_jax import evaluation
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.metrics import METRICS
from mmssl_jax.models import Model

SPLITS = ("val", "test")
_PACKAGES = ("mmssl_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scipy")


def score_splits(model: Model, state: Any, dataset: Dataset, config: Config) -> dict[str, float]:
    """Every metric on validation and test: 'test/recall@20' -> value."""
    representation = jax.jit(model.embed)(state.params, model.inputs, state.held)
    scores = {}
    for split in SPLITS:
        task = evaluation.ranking_task(
            dataset.train, getattr(dataset, split), config.evaluation.user_block
        )
        values = evaluation.evaluate(representation, task, config.evaluation.cutoffs, model.score)
        scores |= {f"{split}/{name}": value for name, value in values.items()}
    return scores


def about_run(config: Config, dataset: Dataset) -> dict[str, Any]:
    """What a reader of the scores must know: data, model, seed, versions, device."""
    return {
        "data": dataset.name,
        "data_is_synthetic": dataset.synthetic,
        "data_fingerprint": dataset.fingerprint,
        "data_warnings": list(dataset.warnings),
        "modalities": list(dataset.features),
        "model": config.model.name,
        "variant": config.model.variant,
        "critic": config.critic.enabled,
        "seed": config.train.seed,
        "device": jax.devices()[0].device_kind,
        "python": platform.python_version(),
    } | {f"version/{name}": importlib.metadata.version(name) for name in _PACKAGES}


def table(scores: dict[str, Any], cutoffs: tuple[int, ...], title: str) -> Table:
    """The scores as a table: metrics in rows, splits and cutoffs in columns."""
    result = Table(title=title, title_justify="left")
    result.add_column("metric")
    for split in SPLITS:
        for cutoff in cutoffs:
            result.add_column(f"{split} @{cutoff}", justify="right")
    for metric in METRICS:
        keys = [f"{split}/{metric}@{cutoff}" for split in SPLITS for cutoff in cutoffs]
        result.add_row(metric, *(f"{scores[key]:.4f}" for key in keys))
    return result


def title(dataset: Dataset, config: Config, best_epoch: int) -> str:
    """One line that says what a table of scores is of."""
    modalities = ", ".join(dataset.features) or "none"
    kind = "GENERATED data" if dataset.synthetic else "data"
    return (
        f"{config.model.name} ({config.model.variant}) on {kind} '{dataset.name}', "
        f"modalities: {modalities}, seed {config.train.seed}, best validation epoch {best_epoch}"
    )
