"""Corrected p-values, intervals and effect sizes, against values worked out by hand."""

import json

import numpy as np
import pytest
import scipy.stats

from mmssl_jax.errors import InputError
from mmssl_jax.studies import comparison, differences, effects, published, report

SUMMARY = dict.fromkeys([*comparison.SCORES, "best_epoch"], 1.0)


def test_holm_by_hand():
    assert effects.holm([0.01, None, 0.04, 0.03, 0.005]) == pytest.approx(
        [0.03, None, 0.06, 0.06, 0.02]  # 3 x .01; 1 x .04, but not below 2 x .03; 4 x .005
    )
    assert effects.holm([0.6, 0.7]) == [1.0, 1.0]
    assert effects.holm([0.3]) == [0.3]
    assert effects.holm([None, None]) == [None, None]
    assert effects.holm([]) == []


def test_the_false_discovery_rate_by_hand():
    found = effects.false_discovery([0.01, None, 0.04, 0.03, 0.005])
    assert found == pytest.approx([0.02, None, 0.04, 0.04, 0.02])  # 4/2 x .01; 4/4, 4/3; 4/1 x .005
    assert effects.false_discovery([None]) == [None]


def test_corrections_keep_their_promise_where_nothing_differs():
    rng = np.random.default_rng(0)
    false = {"holm": 0, "plain": 0}
    for _ in range(300):
        p_values = list(rng.random(10))
        false["plain"] += min(p_values) < 0.05
        false["holm"] += min(effects.holm(p_values)) < 0.05
    assert false["plain"] > 90  # 1 - .95^10 = .40 of 300
    assert false["holm"] < 30


def test_the_interval_over_users_is_that_of_the_t_test():
    values, reference = np.random.default_rng(1).random((2, 50))
    found = effects.over_users(values, reference)
    wanted = scipy.stats.ttest_rel(values, reference).confidence_interval(0.95)
    np.testing.assert_allclose(found.interval, wanted, rtol=1e-12)
    d = values - reference
    assert found.effect == pytest.approx(np.mean(d) / np.std(d, ddof=1))
    low, high = found.effect_interval
    assert low < found.effect < high
    assert effects.over_users(reference, values).effect == pytest.approx(-found.effect)


def test_differences_that_have_no_spread():
    assert effects.over_users(np.ones(5), np.zeros(5)) == ((1.0, 1.0), None, None)
    assert effects.over_users(np.ones(1), np.zeros(1)) == (None, None, None)
    values = np.random.default_rng(0).random(9)  # whose differences are .1 up to rounding
    assert effects.over_users(values, values + 0.1)[1:] == (None, None)


def test_the_interval_over_seeds_is_welchs():
    one, two = [0.10, 0.12, 0.11], [0.09, 0.10, 0.08, 0.085]
    found = effects.over_seeds(one, two, fixed=(False, False))
    wanted = scipy.stats.ttest_ind(one, two, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    low, high = effects.over_seeds(one, [0.09], fixed=(False, True))
    half = scipy.stats.t.ppf(0.975, 2) * 0.01 / np.sqrt(3)
    np.testing.assert_allclose([low, high], [0.02 - half, 0.02 + half], rtol=1e-9)
    np.testing.assert_allclose(
        effects.over_seeds([0.09], one, fixed=(True, False)), [-high, -low], rtol=1e-9
    )
    assert effects.over_seeds([0.1], two, fixed=(False, False)) is None
    assert effects.over_seeds([0.1], [0.2], fixed=(True, True)) is None
    assert effects.over_seeds([0.1, 0.1], [0.2, 0.2], fixed=(False, False)) is None


def entry(name: str, level: float, seeds: int = 2) -> comparison.Entry:
    """A model whose users have values about a level."""
    users = np.arange(40)
    runs = []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, int(level * 100)])
        values = {metric: rng.normal(level, 0.1, len(users)) for metric in comparison.PAIRED}
        scores = {f"test/{metric}": float(np.mean(of)) for metric, of in values.items()}
        runs.append(comparison.Run(seed, SUMMARY | scores, 1.0, 1, False, users, values, {}))
    return comparison.Entry(name, runs, {})


@pytest.fixture(name="rows")
def _rows():
    return comparison.rows([entry("a", 0.5), entry("b", 0.52), entry("c", 0.6)], "a")


def test_rows_have_corrected_p_values_and_intervals(rows):
    p_values = [row["recall@20/t_test_p"] for row in rows]
    assert [row["recall@20/t_test_p_holm"] for row in rows] == effects.holm(p_values)
    assert [row["ndcg@20/wilcoxon_p_fdr"] for row in rows] == effects.false_discovery(
        [row["ndcg@20/wilcoxon_p"] for row in rows]
    )
    assert rows[0]["recall@20/effect"] is rows[0]["recall@20/seeds_low"] is None
    for row in rows[1:]:
        for name in ("difference", "seeds"):
            low, high = row[f"recall@20/{name}_low"], row[f"recall@20/{name}_high"]
            assert low < row["recall@20/difference"] < high
    assert 0.5 < rows[2]["recall@20/effect"] < 1.5  # .1 over .1, as each is a mean of two
    assert len({tuple(row) for row in rows}) == 1  # the same keys


def test_the_report_has_a_table_of_differences(rows):
    text = report.markdown(rows, "heading")
    _, _, table = text.partition("## Differences in Recall@20 from a\n\n")
    head, _, *lines = table.partition("\n\n")[0].splitlines()
    assert head == (
        "| model | difference | over users | over seeds | effect | p | p, Holm | p, FDR | p, ranks "
        "| p, ranks, Holm |"
    )
    assert [line.split(" | ")[0] for line in lines] == ["| b", "| c"]
    assert f"| {rows[2]['recall@20/difference']:+.4f} | [" in lines[1]
    assert "the number of comparisons in the table, here 2" in " ".join(text.split())


def test_one_model_has_no_differences():
    rows = comparison.rows([entry("a", 0.5)], "a")
    assert differences.blocks(rows) == []
    assert "Differences" not in report.markdown(rows, "heading")


def test_published_figures_stand_beside_with_the_reason(rows, tmp_path):
    path = tmp_path / "papers.json"
    content = {
        "source": "A paper.",
        "models": {"b": [0.1, 0.2]},
        "why": {"b": "other\n data | or so"},
    }
    path.write_text(json.dumps(content))
    text = report.markdown(rows, "heading", published.read(path))
    _, _, table = text.partition("## Beside published figures\n\n")
    head, _, line = table.partition("\n\n")[0].splitlines()
    assert head.startswith("| model | Recall@20, here | Recall@20, published | NDCG@20, here |")
    assert line.startswith(f"| b | {rows[1]['test/recall@20']:.4f} ± ")
    assert line.endswith("| 0.2000 | other data \\| or so |")
    assert "Published: A paper." in text


@pytest.mark.parametrize(
    "content",
    [
        '{"models": {}}',
        '{"source": "x", "models": {"b": [1]}}',
        '{"source": "x", "models": {"b": ["a", "b"]}}',
        '{"source": "x", "models": {}, "why": {"b": "y"}}',
        '{"source": "x", "models": {}, "why": 3}',
        '{"source": "x", "models": {"b": [0.5, "nan"]}}',
        '{"source": "x", "models": {"b": [1e400, 0.2]}}',
        '{"source": "x", "models": {"b": [0.1, NaN]}}',
        '{"source": "x", "models": {"b": [56.3, 12.1]}}',
        '{"source": "x", "models": {"b": "12"}}',
        '{"source": null, "models": {"b": [0.1, 0.2]}}',
        '{"source": "x", "models": {"b": [0.1, 0.2]}, "why": {"b": null}}',
        "[]",
        "[" * 100_000,
    ],
)
def test_files_without_published_figures(tmp_path, content):
    path = tmp_path / "papers.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"papers\.json"):
        published.read(path)
