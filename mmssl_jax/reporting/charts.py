"""The charts of a report, as Vega-Lite: their words and lines take the colours of the page."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import altair as alt

# Told apart by the colour-blind, and seen on white as on black.
COLOURS = (
    *("#3b82d8", "#e0702f", "#2a9d78", "#b565c9", "#b8921c", "#d84f6a", "#38a3b8", "#7a86e0"),
    *("#7d9a2f", "#8c8c8c"),
)
HEIGHT = 240
LOG_FROM = 50  # a loss whose largest value is so many times its smallest has the axis of a log
_TEXT = "currentColor"

Row = dict[str, Any]
Spec = dict[str, Any]


def losses(rows: Sequence[Row], player: str, runs: Sequence[str]) -> Spec:
    """The loss of one player by epoch; rows have 'epoch', 'run' and 'loss'."""
    values = [row["loss"] for row in rows]
    log = min(values) > 0 and max(values) > LOG_FROM * min(values)
    chart = (
        _chart(rows)
        .mark_line(point={"size": 14}, strokeWidth=1.8)
        .encode(
            x=_epochs(rows),
            y=alt.Y(
                "loss:Q",
                title=f"loss of the {player}{', log scale' if log else ''}",
                scale=alt.Scale(type="log") if log else alt.Scale(zero=False),
                axis=_powers(values) if log else alt.Axis(format="~g", tickCount=5),
            ),
            color=_by_run(runs, shown={row["run"] for row in rows}),
            tooltip=["run:N", "epoch:Q", alt.Tooltip("loss:Q", format=".4g")],
        )
    )
    return _finished(chart, f"The loss of the {player} by epoch")


def validation(rows: Sequence[Row], best: Sequence[Row], runs: Sequence[str], metric: str) -> Spec:
    """A metric of validation by epoch, chosen by the signal 'metric'; a line at the best epochs."""
    chosen = (
        _chart(rows)
        .transform_calculate(value="datum[metric]")
        .transform_filter("isValid(datum.value)")
    )
    colour = _by_run(runs)
    line = chosen.mark_line(point={"size": 14}, strokeWidth=1.8).encode(
        x=_epochs(rows),
        y=alt.Y("value:Q", title="on validation", scale=alt.Scale(zero=False)),
        color=colour,
        tooltip=["run:N", "epoch:Q", alt.Tooltip("value:Q", format=".4f")],
    )
    rule = (
        _chart(best)
        .mark_rule(strokeDash=[5, 4], strokeWidth=1.5)
        .encode(
            x="epoch:Q", color=colour, tooltip=["run:N", alt.Tooltip("epoch:Q", title="best epoch")]
        )
    )
    mark = (
        _chart([row for row in rows if row["best"]])
        .transform_calculate(value="datum[metric]")
        .mark_point(size=110, filled=True, shape="diamond", opacity=1)
        .encode(x="epoch:Q", y="value:Q", color=colour)
    )
    return _finished(rule + line + mark, "A metric of validation by epoch", metric=metric)


def intervals(rows: Sequence[Row], runs: Sequence[str], metric: str) -> Spec:
    """The test score of each run with its interval; rows have 'run', 'metric', mean, low, high."""
    base = _chart(rows).transform_filter("datum.metric == metric")
    y = alt.Y("run:N", title=None, sort=list(runs), axis=alt.Axis(labelLimit=150))
    colour = _by_run(runs, legend=False)
    bar = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("low:Q", title="on test", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=6)),
        x2="high:Q",
        y=y,
        color=colour,
    )
    tooltip = [
        "run:N",
        *(alt.Tooltip(f"{name}:Q", format=".4f") for name in ("mean", "low", "high")),
    ]
    dot = base.mark_point(size=110, filled=True, opacity=1).encode(
        x="mean:Q", y=y, color=colour, tooltip=tooltip
    )
    height = 40 + 30 * len(runs)
    return _finished(bar + dot, "Test scores with intervals", height=height, metric=metric)


def groups(rows: Sequence[Row], runs: Sequence[str], division: str, order: Sequence[str]) -> Spec:
    """Recall by groups, of the division that the signal 'division' names.

    Rows have 'label' (with '|' between two lines), 'group', 'run', 'recall' and 'users'.
    """
    chart = (
        _chart(rows)
        .transform_filter("datum.division == division")
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            x=alt.X("label:N", title="training pairs", sort=list(order), axis=_lines()),
            xOffset=alt.XOffset("run:N", sort=list(runs)),
            y=alt.Y("recall:Q", title="test Recall@20"),
            color=_by_run(runs),
            tooltip=[
                "run:N",
                alt.Tooltip("group:N", title="training pairs"),
                alt.Tooltip("recall:Q", format=".4f"),
                alt.Tooltip("users:Q", title="test users"),
            ],
        )
    )
    return _finished(chart, "Recall by groups", division=division)


def concentration(rows: Sequence[Row], runs: Sequence[str], reference: str) -> Spec:
    """Lorenz curves: how much of all lists the least listed items have."""
    chart = (
        _chart(rows)
        .mark_line(strokeWidth=1.8)
        .encode(
            x=alt.X("items:Q", title="share of the items, the least listed first", axis=_percent()),
            y=alt.Y("places:Q", title="share of the places in lists", axis=_percent()),
            color=_by_run([*runs, reference]),
            strokeDash=alt.condition(
                f"datum.run == '{reference}'", alt.value([4, 4]), alt.value([])
            ),
            tooltip=[
                "run:N",
                alt.Tooltip("items:Q", format=".0%"),
                alt.Tooltip("places:Q", format=".1%"),
            ],
        )
    )
    return _finished(chart, "How evenly lists are spread over the items")


def item_map(rows: Sequence[Row], runs: Sequence[str], colour: str, order: Sequence[str]) -> Spec:
    """Items in two dimensions, of the run that the signal 'shown' names."""
    chart = (
        _chart(rows)
        .transform_filter("datum.run == shown")
        .mark_circle(size=44, opacity=0.75)
        .encode(
            x=alt.X("x:Q", title="first component", scale=_near(), axis=alt.Axis(tickCount=6)),
            y=alt.Y("y:Q", title="second component", scale=_near(), axis=alt.Axis(tickCount=6)),
            color=alt.Color(
                "group:N",
                title=colour,
                scale=alt.Scale(domain=list(order), range=_range(len(order))),
                legend=_legend(),
            ),
            tooltip=[alt.Tooltip("title:N"), alt.Tooltip("group:N", title=colour)],
        )
    )
    return _finished(chart, "Items in two dimensions", height=380, shown=runs[0])


def _chart(rows: Sequence[Row]) -> alt.Chart:
    """A chart of rows by run, without those of the runs that the signal 'hidden' names."""
    data = alt.Chart(alt.InlineData(values=list(rows)))
    return data.transform_filter("indexof(hidden, datum.run) < 0")


def _epochs(rows: Sequence[Row]) -> alt.X:
    last = max(row["epoch"] for row in rows)
    return alt.X(
        "epoch:Q",
        title="epoch",
        axis=alt.Axis(tickMinStep=1, format="d", tickCount=min(last, 8), grid=False),
    )


def _by_run(
    runs: Sequence[str], legend: bool = True, shown: Collection[str] | None = None
) -> alt.Color:
    """A colour for each run, the same in every chart; only the `shown` ones are in the legend."""
    own = [(run, colour) for run, colour in zip(runs, _range(len(runs)), strict=True)]
    own = [each for each in own if shown is None or each[0] in shown]
    scale = alt.Scale(domain=[run for run, _ in own], range=[colour for _, colour in own])
    described = _legend() if legend and len(runs) > 1 else None
    return alt.Color("run:N", title=None, scale=scale, legend=described)


def _powers(values: Sequence[float]) -> alt.Axis:
    """An axis of a log with marks at powers of ten alone."""
    first, last = (math.floor(math.log10(each)) for each in (min(values), max(values)))
    return alt.Axis(format="~s", values=[10.0**power for power in range(first, last + 2)])


def _lines() -> alt.Axis:
    return alt.Axis(labelAngle=0, labelExpr="split(datum.label, '|')")


def _near() -> alt.Scale:
    return alt.Scale(zero=False, nice=False, padding=12)


def _range(count: int) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(count)]


def _legend() -> alt.Legend:
    return alt.Legend(orient="bottom", direction="horizontal", columns=3, labelLimit=150)


def _percent() -> alt.Axis:
    return alt.Axis(format=".0%", tickCount=5)


def _finished(chart: Any, about: str, height: int = HEIGHT, **signals: str) -> Spec:
    """The chart as JSON, as wide as its place, with signals that the page may set."""
    values: dict[str, Any] = {"hidden": []} | signals
    chart = chart.add_params(*(alt.param(name=name, value=value) for name, value in values.items()))
    chart = chart.properties(
        width="container", height=height, background="transparent", description=about
    )
    spec: Spec = chart.configure(**_style()).to_dict()
    return spec


def _style() -> dict[str, Any]:
    """Words and lines in the colour of the page's text, which is light or dark."""
    axis = {f"{part}Color": _TEXT for part in ("label", "title", "domain", "tick", "grid")} | {
        "gridOpacity": 0.12,
        "domainOpacity": 0.4,
        "tickOpacity": 0.4,
        "labelOpacity": 0.85,
    }
    axis |= {"labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal"}
    legend = {"labelColor": _TEXT, "titleColor": _TEXT, "titleFontWeight": "normal"}
    return {
        "axis": axis,
        "legend": legend,
        "view": {"stroke": None},
        "font": "system-ui, sans-serif",
        "autosize": {"type": "fit", "contains": "padding"},
    }
