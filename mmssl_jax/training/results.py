"""The scores of a trained model, as flat JSON keys and as a table."""

from collections.abc import Sequence
from typing import Any

import rich.markup
from rich.table import Table

from mmssl_jax import models
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.data.checks import cold
from mmssl_jax.errors import InputError
from mmssl_jax.models import Model
from mmssl_jax.ranking import candidates, fallback, full_ranking, groups, metrics
from mmssl_jax.runs import provenance
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training.session import Session, Trained, best_of_run

SPLITS = ("val", "test")
RANKED = {False: "items without training pair", True: "all items, known ones included"}
COLD_RANKED = "cold items alone: those that no user has in training"


def rank_splits(
    trained: Trained, splits: Sequence[str] = SPLITS
) -> dict[str, full_ranking.Ranking]:
    """Where the truth of these splits stands in lists as long as the largest cutoff."""
    evaluation, representation = trained.config.evaluation, trained.representation()
    longest, rankings = max(evaluation.cutoffs), {}
    for split in splits:
        task = candidates.ranking_task(trained.dataset, evaluation, split, trained.mesh)
        rankings[split] = full_ranking.rank(representation, task, longest, trained.model.score)
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


def evaluate_run(config: Config, dataset: Dataset, run: RunFolder) -> dict[str, Any]:
    """The scores of the best checkpoint of a run on validation and test, with those of groups.

    Raises:
      InputError: as `rankings_of_run`.
    """
    return evaluated(*rankings_of_run(config, dataset, run))


def rankings_of_run(
    config: Config, dataset: Dataset, run: RunFolder
) -> tuple[Trained, dict[str, full_ranking.Ranking]]:
    """The best checkpoint of a run, and how it ranks validation and test.

    Raises:
      InputError: there is no checkpoint, or it does not fit the config and the data.
    """
    if dataset.final:
        raise InputError(
            f"the run in {run.folder} was trained with --final, on all pairs: there are none "
            "left to score it on; recommend and export take it"
        )
    trained = best_of_run(config, dataset, run)
    return trained, rank_splits(trained)


def evaluated(trained: Trained, rankings: dict[str, full_ranking.Ranking]) -> dict[str, Any]:
    """What `evaluate_run` returns, of what `rankings_of_run` does."""
    config, dataset = trained.config, trained.dataset
    scores: dict[str, Any] = scores_of(rankings, config.evaluation.cutoffs)
    scores |= groups.scores_of(rankings, dataset)
    scores |= not_modelled(trained)
    about = about_run(config, dataset, trained.model)
    return about | of_epoch(config, trained.epoch) | scores


def of_epoch(config: Config, best_epoch: int) -> dict[str, Any]:
    """The best epoch, and what it chose where epochs try values of a setting."""
    chosen = models.chosen(config, best_epoch)
    return {"best_epoch": best_epoch} | ({"chosen": chosen} if chosen else {})


def summary(trained: Trained, splits: Sequence[str]) -> dict[str, Any]:
    """What results.json says of the best epoch of a run: what it is of, and its scores."""
    found = about_run(trained.config, trained.dataset, trained.model)
    found |= of_epoch(trained.config, trained.epoch)
    return found | not_modelled(trained, splits) | score_splits(trained, splits)


def about(own: Session) -> dict[str, Any]:
    """`about_run` of a session."""
    return about_run(own.config, own.dataset, own.model)


def about_run(config: Config, dataset: Dataset, model: Model) -> dict[str, Any]:
    """What a reader of the scores must know: data, model, players, seed, code and machine."""
    return (
        about_data(dataset, config)
        | {
            "modalities": list(dataset.features),
            "model": config.model.name,
            "variant": config.model.variant,  # None for a model without variants
            "critic": "critic" in model.losses,
            "seed": config.train.seed,
        }
        | provenance.about()
    )


def about_data(dataset: Dataset, config: Config) -> dict[str, Any]:
    """The part of `about_run` that says on which data what is ranked."""
    return {
        "data": dataset.name,
        "data_is_synthetic": dataset.synthetic,
        "data_fingerprint": dataset.fingerprint,
        "final": dataset.final,
        "data_warnings": list(dataset.warnings),
        "ranked": COLD_RANKED if _only_cold(dataset, config) else RANKED[dataset.repeats],
    }


def not_modelled(trained: Trained, splits: Sequence[str] = SPLITS) -> dict[str, Any]:
    """Counts the users and pairs of these splits that the model cannot score."""
    train = trained.dataset.train
    truths = candidates.truths(trained.dataset, trained.config.evaluation, splits)
    unscored = cold.unscored(train, truths, trained.model.scores_cold_items)
    return fallback.counts(train, truths) | unscored


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
    """A line about truth that the model cannot score; empty if there is little of it."""
    text = cold.said(scores, SPLITS)
    return f"Missed by '{scores['model']}', which cannot score them: {text}." if text else ""


def kind_of_data(dataset: Dataset, config: Config) -> str:
    """The data set's name, whether it is real, and what is ranked, for every heading."""
    kind = "GENERATED data" if dataset.synthetic else "data"
    name = "".join(character for character in dataset.name if character.isprintable())
    rule = f", {RANKED[True]} ranked" if dataset.repeats else ""
    rule = ", scored on cold items alone" if _only_cold(dataset, config) else rule
    return f"{kind} '{name}'{rule}"


def _only_cold(dataset: Dataset, config: Config) -> bool:
    return not dataset.final and config.evaluation.candidates == candidates.COLD


def title(dataset: Dataset, config: Config, best_epoch: int) -> str:
    """One line that says what a table of scores is of."""
    modalities = ", ".join(dataset.features) or "none"
    variant = f" ({config.model.variant})" if config.model.variant else ""
    epoch = f"best validation epoch {best_epoch}"
    for field, value in models.chosen(config, best_epoch).items():
        epoch += f" by {field}={value}"
    if dataset.final:
        epoch = f"all pairs trained on, {best_epoch} epoch{'s' if best_epoch > 1 else ''}"
    return rich.markup.escape(
        f"{config.model.name}{variant} on {kind_of_data(dataset, config)}, "
        f"modalities: {modalities}, seed {config.train.seed}, {epoch}"
    )
