"""A model card: README.md as Hugging Face reads it, with a header in YAML and then Markdown."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mmssl_jax import config as configs
from mmssl_jax.data import Dataset
from mmssl_jax.errors import printable
from mmssl_jax.training import results
from mmssl_jax.training.session import Trained

_FILES = {
    "lists.npz": "the best items of every user: `items`, `scores`, `user_ids`, `item_ids`",
    "lists.parquet": "the best items of every user, a row each",
    "lists.tsv": "the best items of every user, a row each",
    "vectors.npz": "vectors of users and items, whose inner products are the scores",
    "vectors.safetensors": "the same vectors",
    "users.npy": "vectors of users",
    "items.npy": "vectors of items",
    "known_users.npy": "whether a user has a training pair",
    "items.faiss": "a FAISS index of the items' vectors by inner product; row i is item i",
    "scoring.jax": "the scoring of 64 users as StableHLO, for `jax.export.deserialize`",
    "scoring.npz": "the arrays that it takes before the users",
    "users.tsv": "index and raw id of every user",
    "items.tsv": "index and raw id of every item",
    "export.json": "what this is, for programs",
}


def text(
    trained: Trained, about: Mapping[str, Any], scores: Mapping[str, Any], files: Sequence[str]
) -> str:
    """The card of a run.

    Args:
      trained: the run at its best epoch.
      about: what export.json says.
      scores: what results.json says; empty for a run on all pairs.
      files: the names of those beside it.
    """
    dataset, name = trained.dataset, trained.config.model.name
    of_data = printable(dataset.name)
    parts = [
        _header(name, of_data, scores),
        f"# {name} on {of_data}",
        results.title(dataset, trained.config, trained.epoch).replace("\\[", "[") + ".",
        "## Files\n\n"
        + _table(("file", "content"), [(f"`{n}`", _FILES[n]) for n in files if n in _FILES]),
        "## Data\n\n" + _data(dataset, about),
        "## Results\n\n" + _results(scores, trained.config.evaluation.cutoffs),
        "## Limits\n\n" + _limits(trained, about),
        "## Settings\n\n" + _settings(trained, about),
    ]
    return "\n\n".join(parts) + "\n"


def _header(model: str, data: str, scores: Mapping[str, Any]) -> str:
    """YAML; its strings are written as JSON, which is YAML too."""
    lines = ["---", "library_name: mmssl_jax", "tags:"]
    tags = ("recommendation", "recommender-system", "collaborative-filtering", "jax", model)
    lines += [f"- {json.dumps(tag)}" for tag in tags]
    metrics = {
        key: value for key, value in scores.items() if key.startswith("test/") and "@" in key
    }
    if metrics:
        lines += ["model-index:", f"- name: {json.dumps(model)}", "  results:", "  - task:"]
        lines += ["      type: recommendation", "    dataset:", f"      name: {json.dumps(data)}"]
        lines += [f"      type: {json.dumps(data)}", "      split: test", "    metrics:"]
        for key, value in metrics.items():
            lines += [
                f"    - type: {json.dumps(key.removeprefix('test/'))}",
                f"      value: {value}",
            ]
    return "\n".join([*lines, "---"])


def _data(dataset: Dataset, about: Mapping[str, Any]) -> str:
    rows = [
        ("name", printable(dataset.name) + (" (GENERATED)" if dataset.synthetic else "")),
        ("users, items", f"{dataset.num_users}, {dataset.num_items}"),
        (
            "pairs of train, val, test",
            f"{dataset.train.nnz}, {dataset.val.nnz}, {dataset.test.nnz}",
        ),
        ("modalities", ", ".join(dataset.features) or "none"),
        ("fingerprint (sha256 of the pairs)", f"`{dataset.fingerprint}`"),
    ]
    said = [f"- {printable(line)}" for line in about["data_warnings"]]
    return _table(("", ""), rows) + ("\n\n" + "\n".join(said) if said else "")


def _results(scores: Mapping[str, Any], cutoffs: Sequence[int]) -> str:
    keys = [
        f"test/{name}@{k}" for name in ("recall", "ndcg", "precision", "hit_rate") for k in cutoffs
    ]
    rows = [(key.removeprefix("test/"), f"{scores[key]:.4f}") for key in keys if key in scores]
    if not rows:
        return "None: every pair was trained on, or the run was not scored."
    how = (
        "On the test split, over all its users; ranked: "
        f"{scores.get('ranked', 'all items')}. The epoch was chosen on validation."
    )
    return how + "\n\n" + _table(("metric", "value"), rows)


def _limits(trained: Trained, about: Mapping[str, Any]) -> str:
    model, dataset = trained.model, trained.dataset
    lines = [
        "It knows the users and items of this data, as they were at training. The results say "
        "nothing of other data.",
        "A user without a training pair gets the most popular items.",
    ]
    if not model.scores_cold_items:
        lines.append(
            "It cannot score items without a training pair; "
            f"{about['unscored_items']} are left out of the lists."
        )
    if model.score_history is None:
        lines.append("It cannot serve a user who was not in training.")
    lines.append(
        "It learns from what people did, so it repeats what they were shown and what is popular. "
        "Whether it treats groups of users or items alike was not examined here; "
        "`mmssl evaluate` gives scores by group."
    )
    if dataset.synthetic:
        lines.insert(0, "The data are GENERATED: the results say nothing about real data.")
    return "\n".join(f"- {line}" for line in lines)


def _settings(trained: Trained, about: Mapping[str, Any]) -> str:
    values = {
        path: value
        for path, value in configs.flatten(trained.config).items()
        if value is not None and path != "data.path"  # which is of one machine
    }
    versions = {key: value for key, value in about.items() if key.startswith("version/")}
    shown = {"best_epoch": trained.epoch} | values | versions
    return "```json\n" + json.dumps(shown, indent=2) + "\n```"


def _table(head: tuple[str, str], rows: Sequence[tuple[str, str]]) -> str:
    lines = [
        head,
        ("---", "---"),
        *((one.replace("|", "/"), other.replace("|", "/")) for one, other in rows),
    ]
    return "\n".join(f"| {one} | {other} |" for one, other in lines)
