"""Tables of results in the docs, from the JSON of comparisons.

A document holds blocks that begin with a line such as

    <!-- results/parts.json -->
    <!-- results/final.json beside results/published.json: mmssl; lattice -->

and end with `<!-- end -->`. The first file is a compare.json, by its path from the document; the
second has published scores of the same rows; names after a colon, parted by semicolons, choose
rows. What is between the two lines is written anew, and nothing else is touched.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic
from mmssl_jax.studies import effects, published
from mmssl_jax.studies.published import Published

_SURE = 0.05
_BLOCK = re.compile(
    r"^<!-- (?P<runs>\S+\.json)(?: beside (?P<published>\S+\.json))?(?:: (?P<rows>.+?))? -->\n"
    r"(?P<body>.*?)^<!-- end -->$",
    re.MULTILINE | re.DOTALL,
)


def update(document: Path, *, check: bool = False) -> bool:
    """Writes the tables of a document anew; returns whether any differed.

    Raises:
      InputError: it cannot be read, or as `rendered`; with `check`, also where a table differs.
    """
    try:
        old = document.read_bytes().decode()
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {document}: {error}") from error
    new = rendered(old, document.parent)
    if check and new != old:
        raise InputError(f"{document}: a table is not what its JSON gives; run without --check")
    if new != old:
        atomic.write_text(document, new)
    return new != old


def rendered(text: str, folder: Path) -> str:
    """A document with every block written anew; `folder` is where its paths start.

    Raises:
      InputError: a file cannot be read or is no comparison, or a row is not in it.
    """
    begun = {match.start() for match in _BLOCK.finditer(text)}
    for start in re.finditer(r"^<!-- .*\.json.*$", text, re.MULTILINE):
        if start.start() not in begun:
            line = text.count("\n", 0, start.start()) + 1
            raise InputError(
                f"line {line} of the document, {start[0].strip()!r}, is no first line of a block "
                "that '<!-- end -->' ends, alone on a line"
            )

    def block(match: re.Match[str]) -> str:
        known = published.read(folder / match["published"]) if match["published"] else None
        runs = atomic.read_json(folder / match["runs"])
        try:
            chosen = _chosen(runs["models"], match["rows"], match["runs"])
            body = _about(runs, chosen, known) + _table(chosen, known)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{folder / match['runs']}: is no compare.json ({error!r})") from error
        return f"{match[0].partition(chr(10))[0]}\n\n{body}\n<!-- end -->"

    return _BLOCK.sub(block, text)


def _chosen(
    rows: Sequence[Mapping[str, Any]], names: str | None, file: str
) -> list[Mapping[str, Any]]:
    if names is None:
        return list(rows)
    by_name = {row["model"]: row for row in rows}
    wanted = [name.strip() for name in names.split(";")]
    if missing := [name for name in wanted if name not in by_name]:
        raise InputError(f"{file} has no row '{missing[0]}'; it has {', '.join(by_name)}")
    return [by_name[name] for name in wanted]


def _about(
    runs: Mapping[str, Any],
    chosen: Sequence[Mapping[str, Any]],
    known: Published | None,
) -> str:
    """What the figures are of, and the command that makes them again."""
    every = [run for row in chosen for run in runs["runs"][row["model"]]]
    machine = sorted({_machine(run) for run in every if run["cores"]})
    commits = sorted({part for run in every for part in (run["commit"] or "unknown").split(", ")})
    versions = sorted({str(run["version/jax"]) for run in every})
    users = next(row["test_users"] for row in runs["models"] if row["test_users"])
    about = (
        f"{runs['data'][0].upper()}{runs['data'][1:]}, modalities: "
        f"{', '.join(runs['modalities']) or 'none'}; commit {', '.join(commits)}; "
        f"{', '.join(machine)}; jax {', '.join(versions)}. Epochs are chosen by validation "
        f"Recall@20. Mean ± sd over seeds; p: paired t-test against {runs['models'][0]['against']} "
        f"over {users} users, each with the mean over these seeds."
    )
    about += _corrected(runs["models"], chosen)
    if known:
        about += f" Published: {known.source}"
    command = runs["command"].replace("python -m mmssl_jax.", "mmssl ")  # as it once was called
    return f"    {command}\n\n{about}\n\n"


def _corrected(rows: Sequence[Mapping[str, Any]], chosen: Sequence[Mapping[str, Any]]) -> str:
    """Which of the chosen rows differ if the number of comparisons is allowed for."""
    found = effects.holm([row["recall@20/t_test_p"] for row in rows])
    count = sum(p is not None for p in found)
    if count < 2:
        return ""
    names = {row["model"] for row in chosen}
    compared = [(row["model"], p) for row, p in zip(rows, found, strict=True) if p is not None]
    compared = [(name, p) for name, p in compared if name in names]
    sure = [name for name, p in compared if p < _SURE]
    said = ", ".join(sure) or "none"
    said = "all" if len(sure) == len(compared) > 1 else said
    return f" With Holm's correction for {count} comparisons, p is below .05 for: {said}."


def _machine(run: Mapping[str, Any]) -> str:
    return f"{run['cores']} {'core' if run['cores'] == 1 else 'cores'} of {run['device']}"


def _table(rows: Sequence[Mapping[str, Any]], known: Published | None) -> str:
    header = ["", "seeds", "val Recall@20", "test Recall@20", "test NDCG@20", "p Recall@20"]
    header += ["best epochs", "seconds"] + (["published"] if known else [])
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    for row in rows:
        cells = [" ".join(row["model"].replace("|", "/").split()), str(len(row["seeds"]))]
        for key in ("val/recall@20", "test/recall@20", "test/ndcg@20"):
            cells.append(_score(row[key], row[f"{key}/sd"]))
        p = row["recall@20/t_test_p"]
        cells.append("-" if p is None else "<.0001" if p < 1e-4 else f"{p:.4f}".lstrip("0"))
        cells.append(" ".join(map(str, row["best_epochs"])) or "-")
        cells.append("-" if row["seconds"] is None else f"{row['seconds']:.0f}")
        if known:
            scores = known.scores.get(row["model"], [])
            cells.append(" / ".join(_score(value, None) for value in scores) or "-")
        lines.append(cells)
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    errors = [f"- {row['model']}, {error}\n" for row in rows for error in row["errors"]]
    text += "\nFailed:\n\n" + "".join(errors) if errors else ""
    reasons = known.reasons([row["model"] for row in rows]) if known else []
    if not reasons:
        return text
    return f"{text}\nWhy a published figure is not the same work:\n\n{chr(10).join(reasons)}\n"


def _score(mean: float | None, sd: float | None) -> str:
    if mean is None:
        return "-"
    text = f"{mean:.4f}".removeprefix("0")
    return text if sd is None else f"{text} ± {sd:.4f}".replace("± 0.", "± .")
