"""Plans: their formulas, held against compiled programs on eight devices, and what they advise."""

import io
import json
import re

import numpy as np
import pytest
import rich.console
import scipy.stats
from worlds import ROOT

from benchmarks import plan as benchmark
from benchmarks.shapes import Shape, random_dataset
from mmssl_jax import config as configs
from mmssl_jax.errors import InputError
from mmssl_jax.graphs.split_graph import cuts
from mmssl_jax.planning import DEVICES, Data, advice, lines, needs, planned, sizes, tables

WITHIN = 0.15
PAGE = (ROOT / "docs/scale.md").read_text("utf-8")
WORKED = Data(10_000_000, 1_000_000, 10**9, {"image": 4096, "text": 1024})


def of(overrides=(), data=WORKED, devices=64, kind="h100"):
    return planned(configs.unflatten(dict(overrides)), data, devices, kind)


@pytest.mark.parametrize("name", benchmark.CASES)
def test_a_plan_is_near_what_the_compiled_program_says(name):
    row = benchmark.compare(benchmark.CASES[name])
    for part, measured in row["measured"].items():
        assert row["planned"][part] == pytest.approx(measured, rel=WITHIN), part


@pytest.mark.parametrize(
    "name",
    ["LightGCN, 8 devices", "LightGCN, fan-out 5 3 2, 64 devices", "MMSSL, 64 devices"],
)
def test_a_plan_for_ten_million_users_is_near_it_too(name):
    row = benchmark.large(8, benchmark.WITHOUT_DATA[name][1])
    for part, measured in row["measured"].items():
        assert row["planned"][part] == pytest.approx(measured, rel=WITHIN), part


def test_the_documents_table_is_that_of_the_json():
    content = json.loads((ROOT / "docs/results/plan.json").read_text("utf-8"))
    rows = content["rows"]
    assert list(content["large"]) == list(benchmark.WITHOUT_DATA)
    for name, row in content["large"].items():
        cells = [name, *benchmark.figures(row, 1e9)]
        assert f"| {' | '.join(cells)} |\n" in PAGE
        for part, measured in row["measured"].items():
            assert row["planned"][part] == pytest.approx(measured, rel=WITHIN)
    assert list(rows) == list(benchmark.CASES)
    for cells in benchmark.table(rows):
        assert f"| {' | '.join(cells)} |\n" in PAGE
    for row in rows.values():
        case = benchmark.CASES[next(name for name in rows if rows[name] is row)]
        now = benchmark.plan_of(case, row["pairs"]).needs
        assert sum(now.temporaries.values()) == pytest.approx(row["planned"]["temporaries"], abs=1)
        assert now.received == pytest.approx(row["planned"]["received"], abs=1)
        for part, measured in row["measured"].items():
            assert row["planned"][part] == pytest.approx(measured, rel=WITHIN)


@pytest.mark.parametrize("overrides", [{"model.name": "lightgcn"}, {}], ids=["lightgcn", "mmssl"])
def test_the_documents_examples_are_what_the_command_prints(overrides):
    console = rich.console.Console(width=90, file=io.StringIO())
    made = of(overrides)
    for table in tables(made):
        console.print(table)
    for line in console.file.getvalue().splitlines():
        assert line.rstrip() in PAGE
    for line in lines(made):
        assert line in PAGE.replace("\n> ", " ")


def test_the_documents_sampled_steps_are_those_of_the_plan():
    for devices, fanout, batch in (
        (64, (), 1024),
        (64, (5, 3, 2), 1024),
        (64, (5, 3, 2), 8192),
        (64, (10, 5, 5), 8192),
        (8, (5, 3, 2), 1024),
        (8, (5, 3, 2), 8192),
    ):
        fields = {"train.fanout": fanout, "train.batch_size": batch}
        made = of({"model.name": "lightgcn"} | fields, devices=devices)
        name = ",".join(map(str, fanout)) or "none"
        memory, received = made.needs.memory / 1e9, made.needs.received / 1e6
        figures = f"{memory:.1f} | {received:.1f} | {1e3 * made.step:.2f} | {made.epoch:.0f}"
        assert f"| {devices} | {name} | {batch} | {figures} |" in PAGE


def test_bytes_that_a_collective_moves():
    assert needs.received("all-gather", 800.0, 8) == 700
    assert needs.received("all-reduce", 800.0, 8) == 1400
    assert needs.received("all-to-all", 800.0, 8) == 700
    assert needs.received("reduce-scatter", 100.0, 8) == 700
    assert needs.received("collective-permute", 100.0, 8) == 100


@pytest.mark.parametrize(("users", "items"), [(20000, 2000), (2000, 20000), (8000, 8000)])
def test_blocks_are_as_large_as_those_that_are_cut(users, items):
    train = random_dataset(Shape(users, items, 200000, {})).train
    degrees = np.concatenate([np.diff(train.indptr), np.bincount(train.indices, minlength=items)])
    starts = np.concatenate([[0], np.cumsum(degrees)])
    bounds = cuts(starts, 8)
    blocks = sizes.joint(users, items, train.nnz, 8)
    assert blocks.rows == pytest.approx(np.diff(bounds).max(), rel=0.05)
    assert blocks.edges == pytest.approx(np.diff(starts[bounds]).max(), rel=0.1)


def test_distinct_columns_of_random_edges():
    drawn = len(np.unique(np.random.default_rng(0).integers(1000, size=1500)))
    assert sizes.reached(1000, 1500.0) == pytest.approx(drawn, rel=0.03)
    assert sizes.reached(10**9, 1.0) == pytest.approx(1)


def test_the_heaviest_batch_is_the_tail_of_a_lognormal():
    share, spread = 0.1, sizes.ACTIVITY
    law = scipy.stats.lognorm(spread)
    first = law.ppf(1 - share)
    tail = law.expect(lambda x: x, lb=first) / law.mean()
    data = sizes.Sizes(1000, 100, 50000, {}, 1, 1)
    assert sizes.heaviest_batch(data, 100) == pytest.approx(tail * 50000, rel=1e-3)


def test_one_device_exchanges_nothing():
    for overrides in ({"model.name": "lightgcn"}, {}):
        made = of(overrides, Data(1000, 500, 9000, {"image": 8}), 1)
        assert made.needs.received == made.network == 0
        assert made.fits


def test_a_model_without_layers_or_features_can_be_planned():
    for overrides in ({"model.name": "lightgcn", "model.layers": 0}, {"critic.enabled": False}):
        made = of(overrides, WORKED._replace(widths={}), 8)
        assert made.needs.memory > 0
        assert list(lines(made))
    assert of({"model.name": "lightgcn", "model.layers": 0}).needs.exchange.received == 0


def test_more_devices_need_less_memory_each():
    for overrides in ({"model.name": "lightgcn"}, {"critic.hidden": 512}):
        memory = [of(overrides, devices=count).needs.memory for count in (8, 16, 64)]
        assert memory == sorted(memory, reverse=True)


def test_the_mesh_is_that_of_the_config_or_all_on_model():
    assert of().sizes[-2:] == (1, 64)
    assert of({"mesh.data": 4}).sizes[-2:] == (4, 16)
    assert of({"mesh.data": 2, "mesh.model": 32}).sizes[-2:] == (2, 32)
    with pytest.raises(InputError, match="3 x 1 devices, but --devices is 64"):
        of({"mesh.data": 3})


def test_other_models_and_too_many_pairs_are_refused():
    with pytest.raises(InputError, match="model 'ngcf' cannot be planned; plan knows lightgcn"):
        of({"model.name": "ngcf"})
    sampled = {"critic.enabled": False, "mmssl.modality_graph": "none", "train.fanout": (5,) * 4}
    with pytest.raises(InputError, match=r"'train.fanout' is .* of lightgcn only, not of mmssl"):
        of(sampled)
    more = WORKED._replace(pairs=2 * 10**9)
    assert not of({"model.name": "lightgcn"}, more).refusal
    assert "4e+09 edges" in of({"model.name": "lightgcn"}, more, devices=1).refusal
    assert "2e+10 training pairs" in of(data=WORKED._replace(pairs=2 * 10**10)).refusal


def test_each_change_that_is_advised_makes_it_fit():
    made = of({"mmssl.modality_graph": "none", "critic.hidden": 60000})
    assert not made.fits
    found = advice.alone(made)
    assert "--config.critic.hidden=4096" in [change.words for change, _ in found]
    assert all(after.fits for _, after in found)
    assert not advice.alone(of())
    change, after = advice.together(of())
    assert after.fits
    assert "mmssl.modality_graph" in change.overrides
    tiny = of({"model.name": "lightgcn"}, WORKED._replace(users=10**12, pairs=10**13), 64)
    assert advice.together(tiny) is None
    assert "REFUSED" in list(lines(tiny))[-1]
    many = WORKED._replace(users=5 * 10**7, items=5 * 10**7)
    wide = of({"model.name": "lightgcn"}, many, kind="l4")
    assert "No setting makes it fit" in list(lines(wide))[-1]


def test_what_a_sampled_step_exchanges_does_not_grow_with_the_data():
    fields = {"model.name": "lightgcn", "train.fanout": (5, 3, 2)}
    small, large = (of(fields, Data(users, 64000, 100 * users, {})) for users in (64000, 640000))
    assert small.needs.received > 0
    assert large.needs.received == pytest.approx(small.needs.received, rel=0.05)
    assert large.needs.flops == small.needs.flops
    assert of(fields, Data(64000, 64000, 10**6, {}), 1).needs.received == 0
    assert of(fields, WORKED._replace(pairs=2 * 10**9)).refusal.startswith("a device has 4e+09")
    with pytest.raises(InputError, match=r"of lightgcn only, not of mmssl; leave it out"):
        of(fields | {"model.name": "mmssl"})  # though its sampled steps need other settings, too
    assert "have 3.08e+12 nodes" in of(fields | {"train.fanout": (1000,) * 3}).refusal


def test_sampled_neighbours_are_named_where_an_epoch_is_long():
    made = of({"model.name": "lightgcn"})
    change, after = advice.sampled(made)
    assert change.words == "--config.train.fanout=5,3,2"
    assert after.fits
    assert after.epoch < made.epoch / 100
    assert sum("train.fanout=5,3,2" in line for line in lines(made)) == 1
    four = of({"model.name": "lightgcn", "model.layers": 4})
    assert advice.sampled(four)[0].overrides == {"train.fanout": (5, 3, 2, 2)}
    for overrides, data in (
        ({"model.name": "lightgcn"}, Data(10000, 5000, 10**5, {})),  # short enough
        ({"model.name": "lightgcn", "model.layers": 0}, WORKED),
        ({"model.name": "lightgcn", "train.fanout": (5, 3, 2)}, WORKED),
        ({}, WORKED),
    ):
        assert advice.sampled(of(overrides, data)) is None


def test_time_is_the_larger_of_two_and_the_network():
    made = of({"model.name": "lightgcn"})
    assert made.step == max(made.compute, made.memory) + made.network
    assert made.steps == 10**9 // 1024 + 1


def test_the_document_has_the_plan_of_what_was_measured():
    tiktok = Data(9308, 6710, 59541, {"image": 128, "audio": 128})
    for row, enabled in (("with critic", True), ("`--config.critic.enabled=False`", False)):
        planned_ms = 1e3 * of({"critic.enabled": enabled}, tiktok, 1, "h200").step
        assert f"| {row} | {planned_ms:.2f} |" in PAGE


def test_the_network_shares_what_comes_into_a_machine():
    def seconds(kind, group, stride=1):
        return needs.Collective(kind, "", 1e9, group, stride).seconds(DEVICES["h100"])

    alike = needs.received("all-gather", 1e9, 64) / 400e9  # 8 adapters of 50 GB/s
    assert seconds("all-gather", 64) == pytest.approx(alike)
    assert seconds("all-gather", 8) == pytest.approx(needs.received("all-gather", 1e9, 8) / 450e9)
    own = needs.received("all-to-all", 1e9, 64) / 50e9
    assert seconds("all-to-all", 64) == pytest.approx(own)
    apart = needs.received("all-reduce", 1e9, 8) / 50e9  # one device of each machine
    assert seconds("all-reduce", 8, stride=8) == pytest.approx(apart)


def test_the_document_names_every_device():
    assert re.findall(r"^\| `([\w-]+)` \|", PAGE, re.MULTILINE) == list(DEVICES)
