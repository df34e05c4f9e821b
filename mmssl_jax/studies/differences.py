"""What compare.md says of the differences between models, and beside what others have published."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmssl_jax.studies import cells
from mmssl_jax.studies.comparison import PAIRED, SCORES
from mmssl_jax.studies.published import Published

Row = Mapping[str, Any]  # of comparison.rows

_WHY = "why they are not the same work"
_NOTE = """\
Differences are against {against}, over the {users} test users: each user's metric is averaged over
seeds, and the differences between two models are tested by the two-sided paired t-test (p) and, for
models with as many seeds as that one, Wilcoxon's signed-rank test (p, ranks). Such p-values are
about users, not about seeds.
Holm and FDR (Benjamini and Hochberg) correct p for the number of comparisons in the table, here
{count}. In brackets are 95% intervals: of the difference, over users and over seeds (Welch's t);
and of the effect, which is the mean difference over the standard deviation of the differences."""


def blocks(rows: Sequence[Row]) -> list[str]:
    """A table of each metric of PAIRED, and what it means; nothing where there is one model."""
    found = []
    for metric in PAIRED:
        compared = [row for row in rows if row[f"{metric}/difference"] is not None]
        if not compared:
            return []
        heading = f"## Differences in {SCORES[f'test/{metric}']} from {compared[0]['against']}"
        found += [heading, cells.table([_cells(row, metric) for row in compared])]
    users, against = compared[0]["test_users"], compared[0]["against"]
    return [*found, _NOTE.format(users=users, against=against, count=len(compared))]


def _cells(row: Row, metric: str) -> dict[str, str]:
    """A row as text: column -> cell."""

    def interval(name: str, form: str) -> str:
        return cells.interval(row[f"{metric}/{name}_low"], row[f"{metric}/{name}_high"], form)

    effect = cells.number(row[f"{metric}/effect"], "+.3f")
    return {
        "model": row["model"],
        "difference": cells.number(row[f"{metric}/difference"], "+.4f"),
        "over users": interval("difference", "+.4f"),
        "over seeds": interval("seeds", "+.4f"),
        "effect": f"{effect} {interval('effect', '+.3f')}".removesuffix(" -"),
        "p": cells.p(row[f"{metric}/t_test_p"]),
        "p, Holm": cells.p(row[f"{metric}/t_test_p_holm"]),
        "p, FDR": cells.p(row[f"{metric}/t_test_p_fdr"]),
        "p, ranks": cells.p(row[f"{metric}/wilcoxon_p"]),
        "p, ranks, Holm": cells.p(row[f"{metric}/wilcoxon_p_holm"]),
    }


def beside_published(rows: Sequence[Row], known: Published | None) -> list[str]:
    """Every model with a published figure beside it; nothing where none has one."""
    shown = [row for row in rows if known and row["model"] in known.scores]
    if not known or not shown:
        return []
    table = [
        {
            "model": row["model"],
            **{
                f"{SCORES[f'test/{metric}']}, {whose}": text
                for place, metric in enumerate(PAIRED)
                for whose, text in (
                    ("here", cells.mean(row[f"test/{metric}"], row[f"test/{metric}/sd"])),
                    ("published", cells.number(known.scores[row["model"]][place], ".4f")),
                )
            },
            _WHY: known.why.get(row["model"], "-"),
        }
        for row in shown
    ]
    return [
        "## Beside published figures",
        cells.table(table, texts=(_WHY,)),
        f"Published: {known.source}",
    ]
