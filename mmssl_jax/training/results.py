"""The scores of a trained model, as flat JSON keys and as a table."""

from collections.abc import Sequence
from typing import Any

import rich.markup
from rich.table import Table

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.data.checks import cold
from mmssl_jax.models import Model
from mmssl_jax.ranking import fallback, full_ranking, metrics
from mmssl_jax.runs import provenance
from mmssl_jax.training.session import Trained

SPLITS = ("val", "test")
RANKED = {False: "items without training pair", True: "all items, known ones included"}


def rank_splits(
    trained: Trained, splits: Sequence[str] = SPLITS
) -> dict[str, full_ranking.Ranking]:
    """Where the truth of these splits stands in lists as long as the largest cutoff."""
    dataset, evaluation = trained.dataset, trained.config.evaluation
    representation, stand_in = trained.representation(), fallback.fallback(dataset.train)
    cutoff, block = max(evaluation.cutoffs), evaluation.user_block
    rankings = {}
    for split in splits:
        task = full_ranking.ranking_task(dataset.unranked, getattr(dataset, split), block, stand_in)
        rankings[split] = full_ranking.rank(representation, task, cutoff, trained.model.score)
    return rankings


def scores_of(
    rankings: dict[str, full_ranking.Ranking], cutoffs: tuple[int, ...]
) -> dict[str, float]:
    """Every metric on every split: 'test/recall@20' -> value."""
    return {
        f"{split}/{name}": value
        for split, ranking in rankings.items()
        for name, value in full_ranking.means(ranking.per_user(cutoffs)).items()
    }


def score_splits(trained: Trained, splits: Sequence[str] = SPLITS) -> dict[str, float]:
    """Every metric on these splits: 'test/recall@20' -> value."""
    return scores_of(rank_splits(trained, splits), trained.config.evaluation.cutoffs)


def about_run(config: Config, dataset: Dataset, model: Model) -> dict[str, Any]:
    """What a reader of the scores must know: data, model, players, seed, code and machine."""
    return {
        "data": dataset.name,
        "data_is_synthetic": dataset.synthetic,
        "data_fingerprint": dataset.fingerprint,
        "final": dataset.final,
        "data_warnings": list(dataset.warnings),
        "ranked": RANKED[dataset.repeats],
        "modalities": list(dataset.features),
        "model": config.model.name,
        "variant": config.model.variant if config.model.name == "mmssl" else None,
        "critic": "critic" in model.losses,
        "seed": config.train.seed,
    } | provenance.about()


def not_modelled(dataset: Dataset, model: Model, splits: Sequence[str] = SPLITS) -> dict[str, Any]:
    """What of these splits the model knows nothing of: users, and pairs by their items."""
    matrices = {split: getattr(dataset, split) for split in splits}
    unscored = cold.unscored(dataset, model.scores_cold_items, splits)
    return fallback.counts(dataset.train, matrices) | unscored


def table(scores: dict[str, Any], cutoffs: tuple[int, ...], title: str) -> Table:
    """The scores as a table: metrics in rows, splits and cutoffs in columns."""
    note = "\n".join(filter(None, (fallback.note(scores), _unscored(scores))))
    result = Table(title=title, title_justify="left", caption=note, caption_justify="left")
    result.add_column("metric")
    for split in SPLITS:
        for cutoff in cutoffs:
            result.add_column(f"{split} @{cutoff}", justify="right")
    for metric in (*metrics.METRICS, "ndcg_released"):
        keys = [f"{split}/{metric}@{cutoff}" for split in SPLITS for cutoff in cutoffs]
        result.add_row(metric, *(f"{scores[key]:.4f}" for key in keys))
    return result


def _unscored(scores: dict[str, Any]) -> str:
    """One line on the truth that the model has no score for, empty where that is not much."""
    text = cold.said(scores, SPLITS)
    return f"Missed by '{scores['model']}', which cannot score them: {text}." if text else ""


def kind_of_data(dataset: Dataset) -> str:
    """The data set's name, whether it is real, and a rule of its own, for every heading."""
    kind = "GENERATED data" if dataset.synthetic else "data"
    name = "".join(character for character in dataset.name if character.isprintable())
    rule = f", {RANKED[True]} ranked" if dataset.repeats else ""
    return f"{kind} '{name}'{rule}"


def title(dataset: Dataset, config: Config, best_epoch: int) -> str:
    """One line that says what a table of scores is of."""
    modalities = ", ".join(dataset.features) or "none"
    variant = f" ({config.model.variant})" if config.model.name == "mmssl" else ""
    epoch = f"best validation epoch {best_epoch}"
    if dataset.final:
        epoch = f"all pairs trained on, {best_epoch} epoch{'s' if best_epoch > 1 else ''}"
    return rich.markup.escape(
        f"{config.model.name}{variant} on {kind_of_data(dataset)}, modalities: {modalities}, "
        f"seed {config.train.seed}, {epoch}"
    )
