"""The command `import`: from every layout, with every option, whole or not at all."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import data_layouts_writers as writers
import numpy as np
import pytest
from worlds import REAL, ROOT, mmssl, snapshot, world

from mmssl_jax import __version__, commands
from mmssl_jax.data import load
from mmssl_jax.data.dataset import SPLITS
from mmssl_jax.data.importing import imports
from mmssl_jax.data.importing.options import ImportOptions
from mmssl_jax.data.layouts import canonical
from mmssl_jax.errors import InputError
from mmssl_jax.files import new_folder

USERS, ITEMS = 12, 15


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(name="table")
def _table(tmp_path) -> Path:
    """Every user u with every item i: one is rated u % 3 + i % 3 at a time that nobody shares."""
    lines = [
        f"u{user:02},i{item:02},{user % 3 + item % 3},{1000 * user + (7 * item + user) % ITEMS}\n"
        for user in range(USERS)
        for item in range(ITEMS)
    ]
    path = tmp_path / "ratings.csv"
    path.write_text("userId,itemId,rating,timestamp\n" + "".join(lines))
    return path


def run(*argv, to="out", modalities=""):
    """Imports, and reads what was written."""
    mmssl("data", "import", *map(str, argv), "--to", to)
    return load(to, modalities or ("" if list(Path(to).glob("*_feat.npy")) else "none"))


def about(folder="out"):
    return json.loads((Path(folder) / "dataset.json").read_text())


def refused(capsys, monkeypatch, *argv, to="out"):
    """The line of a command that must fail, and change nothing."""
    before = snapshot(Path())
    to = [] if to is None else ["--to", to]
    with pytest.raises(SystemExit) as exit_:
        commands.main(["data", "import", *map(str, argv), *to])
    *usage, line = capsys.readouterr().err.splitlines()
    assert exit_.value.code == 2
    assert "Traceback" not in "".join(usage)
    assert snapshot(Path()) == before
    return line


def save(name, rows, width=3, seed=0):
    values = np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)
    np.save(name, values)
    return values


# Layouts


@pytest.mark.parametrize("layout", writers.WRITERS)
def test_every_layout_is_found_and_kept(tmp_path, capsys, layout):
    folder = writers.WRITERS[layout](world(), tmp_path / "source")
    before = snapshot(folder)
    data = run(folder)
    assert data.fingerprint == world().fingerprint
    assert data.features.keys() == world().features.keys()
    for name, values in world().features.items():
        np.testing.assert_array_equal(data.features[name], values)
    named = {"canonical": "mmssl"}.get(layout, layout)
    source = about()["source"]
    assert source["layout"] == named
    assert source["files"].keys() >= {"image_feat.npy", "text_feat.npy"}
    assert len(source["files"]) >= 3
    assert f"layout: {named}" in capsys.readouterr().out
    assert snapshot(folder) == before
    assert load(str(folder)).fingerprint == data.fingerprint


def test_the_cold_core_of_lattice(tmp_path):
    folder = writers.write_lattice(world(), tmp_path / "source")
    writers.write_lattice(world(test_seed=1), folder, core="0-core")
    assert run(folder, to="warm").fingerprint == world().fingerprint
    data = run(folder / "0-core", to="cold")
    assert data.fingerprint == world(test_seed=1).fingerprint
    assert "0-core/test.json" in about("cold")["source"]["files"]
    assert "5-core/test.json" not in about("cold")["source"]["files"]


def test_layouts_that_are_named(tmp_path, capsys, monkeypatch):
    both = writers.write_diffmm(world(test_seed=1), writers.write_mmssl(world(), tmp_path / "both"))
    assert run(both, to="a").fingerprint == world().fingerprint
    assert run(both, "--from", "diffmm", to="b").fingerprint == world(test_seed=1).fingerprint
    assert run(both, "--from", "netflix", to="c").fingerprint == world().fingerprint
    assert about("c")["source"]["layout"] == "netflix"
    line = refused(capsys, monkeypatch, both, "--from", "mmrec")
    assert "no known data layout; expected *.inter" in line
    assert "holds no tables" in refused(capsys, monkeypatch, both, "--from", "table")
    assert "'nonsense' is not one of 'mmssl'" in refused(
        capsys, monkeypatch, both, "--from", "nonsense"
    )


def test_a_folder_without_features(tmp_path, capsys):
    folder = writers.write_mmssl(world(), tmp_path / "source")
    for path in folder.glob("*_feat.npy"):
        path.unlink()
    assert run(folder).features == {}
    assert "--config.data.modalities=none" in capsys.readouterr().out


def test_where_an_import_came_from_is_kept(tmp_path, table):
    run(table, to="first")
    run("first", to="second", modalities="none")
    source = about("second")["source"]
    assert source["layout"] == "mmssl"
    assert source["imported_from"] == about("first")["source"]


def test_titles_of_llmrec(tmp_path):
    folder = writers.write_mmssl(world(), tmp_path / "source")
    lines = [f'{item},{1990 + item},"Title, {item}"\n' for item in range(40)]
    (folder / "item_attribute.csv").write_text("".join(lines))
    titles = tuple(f"Title, {item}" for item in range(40))
    assert run(folder).item_titles == load(str(folder)).item_titles == titles


# Features


def test_features_are_added_and_replaced(tmp_path, capsys):
    folder = writers.write_diffmm(world(), tmp_path / "source")
    audio, image = save("vggish.npy", 40), save("clip.npy", 40, 7, seed=1)
    data = run(folder, "--modality", "audio=vggish.npy", "--modality", f"image={Path('clip.npy')}")
    assert list(data.features) == ["audio", "image", "text"]
    np.testing.assert_array_equal(data.features["audio"], audio)
    np.testing.assert_array_equal(data.features["image"], image)
    np.testing.assert_array_equal(data.features["text"], world().features["text"])
    modalities = about()["source"]["modalities"]
    assert {name: entry["file"] for name, entry in modalities.items()} == {
        "audio": "vggish.npy",
        "image": "clip.npy",
    }
    output = capsys.readouterr().out
    assert "40 x 7" in output
    assert "modalities=none" not in output


def test_a_broken_file_that_is_replaced_does_not_matter(tmp_path):
    folder = writers.write_diffmm(world(), tmp_path / "source")
    (folder / "image_feat.npy").write_bytes(b"broken")
    image = save("clip.npy", 40)
    data = run(folder, "--modality", "image=clip.npy")
    np.testing.assert_array_equal(data.features["image"], image)


def test_features_of_a_table_in_the_order_of_its_items(table):
    values = save("f.npy", ITEMS)
    data = run(table, "--modality", "text=f.npy")
    np.testing.assert_array_equal(data.features["text"], values)
    assert data.item_ids == tuple(f"i{item:02}" for item in range(ITEMS))
    assert data.present == {}


def test_features_in_an_order_of_their_own(table, capsys):
    order = ["other", *(f"i{item:02}" for item in np.random.default_rng(0).permutation(ITEMS)[3:])]
    Path("order.txt").write_text("\r\n".join(order) + "\r\n", encoding="utf-8-sig")
    values = save("f.npy", len(order))
    data = run(table, "--modality", "text=f.npy", "--item-order", "order.txt")
    present = data.present["text"]
    assert present.sum() == ITEMS - 3
    for item, raw_id in enumerate(data.item_ids):
        expected = values[order.index(raw_id)] if raw_id in order else np.zeros(3)
        np.testing.assert_array_equal(data.features["text"][item], expected)
        assert present[item] == (raw_id in order)
    assert about()["source"]["item_order"]["file"] == "order.txt"
    assert "15 x 3, 3 items missing" in capsys.readouterr().out
    assert any("3 of 15 items have no text" in text for text in data.warnings)


def test_an_order_for_a_folder_with_raw_ids(table):
    first = run(table, to="first")
    Path("order.txt").write_text("\n".join(reversed(first.item_ids)))
    values = save("f.npy", ITEMS)
    data = run("first", "--modality", "text=f.npy", "--item-order", "order.txt")
    np.testing.assert_array_equal(data.features["text"], values[::-1])


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ("i00\ni01\ni00\n", "line 3 repeats 'i00' of line 1"),
        ("i00\n\ni01\n", "line 2 is empty"),
        ("", "line 1 is empty"),
        ("a\nb\nc\n", "has no item of"),
        ("i00\ni01\n", "f.npy: has 3 rows, not 2, as order.txt has so many lines"),
        (b"\xff\xfe", "cannot be read as UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_orders_that_are_refused(table, capsys, monkeypatch, order, says):
    save("f.npy", 3)
    if order is not None:
        Path("order.txt").write_bytes(order if isinstance(order, bytes) else order.encode())
    flags = ("--modality", "text=f.npy", "--item-order", "order.txt")
    assert says in refused(capsys, monkeypatch, table, *flags)


def test_rows_that_do_not_match_are_refused(table, tmp_path, capsys, monkeypatch):
    save("f.npy", ITEMS + 1)
    line = refused(capsys, monkeypatch, table, "--modality", "text=f.npy")
    assert "f.npy: has 16 rows, not 15, as row i must be item i" in line
    assert "items.tsv; --item-order says" in line
    folder = writers.write_mmssl(world(), tmp_path / "source")
    line = refused(capsys, monkeypatch, folder, "--modality", "text=f.npy")
    assert "has 16 rows, not 40" in line
    assert "put it there as text_feat.npy" in line
    flags = ("--modality", "text=f.npy", "--item-order", "f.npy")
    assert "has no raw ids" in refused(capsys, monkeypatch, folder, *flags)


def test_rows_of_zeros(tmp_path, capsys, monkeypatch):
    folder = writers.write_diffmm(world(), tmp_path / "source")
    image, text = save("i.npy", 40), save("t.npy", 40)
    image[[3, 5]] = 0
    np.save("i.npy", image)
    flags = ("--modality", "image=i.npy", "--modality", "text=t.npy")
    kept = run(folder, *flags, to="kept")
    assert kept.present == {}
    assert any("2 of 40 image feature rows are all zero" in warning for warning in kept.warnings)
    data = run(folder, *flags, "--zero-rows", "missing")
    assert list(data.present) == ["image"]
    assert np.flatnonzero(~data.present["image"]).tolist() == [3, 5]
    assert not any("all zero" in warning for warning in data.warnings)
    np.testing.assert_array_equal(data.features["text"], text)
    capsys.readouterr()
    np.save("i.npy", np.zeros((40, 2)))
    line = refused(capsys, monkeypatch, folder, *flags, "--zero-rows", "missing", to="none")
    assert "i.npy: all image rows are zero or missing" in line


def test_rows_of_zeros_of_a_folder(tmp_path, capsys):
    folder = writers.write_diffmm(world(), tmp_path / "source")
    image = world().features["image"].copy()
    image[[0, 39]] = 0
    np.save(folder / "image_feat.npy", image)
    data = run(folder, "--zero-rows", "missing")
    assert np.flatnonzero(~data.present["image"]).tolist() == [0, 39]
    output = capsys.readouterr().out
    assert "2 of 40 items have no image" in output
    assert "all zero" not in output  # as the reader still says of them
    again = run("out", to="again")  # what is missing stays so
    np.testing.assert_array_equal(again.present["image"], data.present["image"])


def test_warnings_are_those_of_the_features_that_are_written(tmp_path, capsys):
    folder = writers.write_diffmm(world(), tmp_path / "source")
    np.save(folder / "image_feat.npy", np.ones((40, 2)))
    save("i.npy", 40)
    assert "39 of 40 image feature rows repeat" in load(str(folder)).warnings[-1]
    run(folder, "--modality", "image=i.npy")
    assert "repeat" not in capsys.readouterr().out


# Tables


def test_splits_of_a_table(table):
    data = run(table)
    assert (data.num_users, data.num_items) == (USERS, ITEMS)
    degrees = {split: np.diff(getattr(data, split).indptr).tolist() for split in SPLITS}
    assert degrees == {"train": [12] * USERS, "val": [2] * USERS, "test": [1] * USERS}
    assert sum(getattr(data, split) for split in SPLITS).toarray().all()
    source = about()["source"]
    assert source["layout"] == "table"
    assert source["columns"] == {"user": "userId", "item": "itemId"}
    assert source["pairs"] == {"rows": 180, "distinct pairs": 180, "in the 5-core": 180}
    assert {key: source[key] for key in ("min_rating", "k_core", "split", "seed")} == {
        "min_rating": None,
        "k_core": 5,
        "split": "per-user",
        "seed": 0,
    }
    assert list(source["files"]) == ["ratings.csv"]
    assert source["mmssl_jax"] == __version__


def test_the_hash_of_a_source_is_that_of_the_file(table):
    run(table)
    done = subprocess.run(["sha256sum", table], capture_output=True, text=True, check=True)
    assert about()["source"]["files"]["ratings.csv"] == done.stdout.split()[0]


def test_the_last_in_time_is_left_out(table):
    data = run(table, "--split", "leave-last")
    for user in range(USERS):
        by_time = sorted(range(ITEMS), key=lambda item: (7 * item + user) % ITEMS)
        assert data.test[[user]].indices.tolist() == [by_time[-1]]
        assert data.val[[user]].indices.tolist() == [by_time[-2]]
    assert about()["source"]["columns"]["time"] == "timestamp"


def test_cold_items(table):
    data = run(table, "--split", "cold-items")
    pairs = {split: np.diff(getattr(data, split).tocsc().indptr) for split in SPLITS}
    assert [int((pairs[split] == USERS).sum()) for split in SPLITS] == [12, 2, 1]
    assert any("3 of 15 items have no training pair" in warning for warning in data.warnings)


@pytest.mark.parametrize("split", ["per-user", "cold-items"])
def test_the_seed_decides(table, split):
    flags = (table, "--split", split)
    prints = [run(*flags, "--seed", seed, to=f"{i}").fingerprint for i, seed in enumerate("0011")]
    assert prints[0] == prints[1]
    assert prints[2] == prints[3]
    assert prints[0] != prints[2]
    assert run(*flags, to="default").fingerprint == prints[0]


def test_the_order_of_rows_does_not_matter(table):
    header, *lines = table.read_text().splitlines()
    mixed = table.with_name("mixed.csv")
    mixed.write_text("\n".join([header, *np.random.default_rng(0).permutation(lines)]))
    for split in ("per-user", "leave-last", "cold-items"):
        one, other = (run(path, "--split", split, to=path.stem + split) for path in (table, mixed))
        assert one.fingerprint == other.fingerprint


def test_filters(table, capsys, monkeypatch):
    lines = {(u, i) for u in range(USERS) for i in range(ITEMS) if u % 3 + i % 3 >= 3}
    data = run(table, "--min-rating", "3", "--k-core", "0", "--name", "Rated")
    assert (data.num_users, data.num_items) == (8, 10)
    assert sum(getattr(data, split).nnz for split in SPLITS) == len(lines)
    assert (data.name, about()["name"]) == ("Rated", "Rated")
    assert about()["source"]["columns"]["rating"] == "rating"
    core = run(table, "--min-rating", "3", to="core")
    assert (core.num_users, core.num_items) == (8, 5)
    assert "no pair is left" in refused(capsys, monkeypatch, table, "--k-core", "13", to="none")


def test_columns_and_separators(table):
    expected = run(table, to="expected")
    text = table.read_text().replace(",", ";")
    Path("odd.txt").write_text(text.replace("userId", "who").replace("itemId", "what"))
    columns = ("--user-column", "who", "--item-column", "what")
    data = run("odd.txt", *columns, "--separator", ";", to="odd")
    assert data.fingerprint == expected.fingerprint
    Path("bare.dat").write_text(table.read_text().partition("\n")[2].replace(",", "\t"))
    columns = ("--user-column", "1", "--item-column", "2", "--time-column", "4")
    data = run("bare.dat", "--no-header", "--split", "leave-last", *columns, to="bare")
    assert data.fingerprint == run(table, "--split", "leave-last", to="last").fingerprint


def test_users_that_lose_their_training_pairs_are_warned_of(capsys):
    lines = "".join(f"u{item},i{item}\nall,i{item}\n" for item in range(10))
    Path("t.csv").write_text(f"user,item\n{lines}")
    data = run("t.csv", "--split", "cold-items", "--k-core", "0")
    assert (np.diff(data.train.indptr) == 0).sum() == 2
    assert "2 of 11 users have no training pair" in capsys.readouterr().out


# What is written, and what is not


@pytest.mark.parametrize("to", [[], ["--to", "out"]])
def test_a_dry_run_writes_nothing(table, tmp_path, capsys, to):
    folder = writers.write_mmrec(world(), tmp_path / "source")
    before = snapshot(tmp_path)
    mmssl("data", "import", str(table), "--dry-run", *to)
    output = capsys.readouterr().out
    for text in ("layout: table", "user userId", "180", "nothing was written", "none"):
        assert text in output
    mmssl("data", "import", str(folder), "--dry-run", *to)
    output = capsys.readouterr().out
    for text in ("layout: mmrec", "240", "40 x 5", "nothing was written"):
        assert text in output
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("items", "flag"), [(19, ""), (20, "10,20"), (49, "10,20"), (50, ""), (51, "")]
)
def test_fewer_items_than_the_default_cutoffs_need_are_said(tmp_path, capsys, items, flag):
    pairs = [f"u{user},{(11 * user + step) % items}" for user in range(60) for step in range(5)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["user,item", *pairs]) + "\n")
    assert run(path, "--k-core", "0").num_items == items
    *_, last = output = capsys.readouterr().out.splitlines()
    said = [line for line in output if line.startswith(f"warning: there are {items} items")]
    assert len(said) == (items < 50)
    assert ("--config.evaluation.cutoffs" in last) == bool(flag)
    if flag:
        assert f" --config.evaluation.cutoffs={flag} " in last
        assert said[0].endswith(f"add --config.evaluation.cutoffs={flag}")
    elif items < 50:
        assert said[0].endswith("training needs 20, as Recall@20 selects the epoch")


def test_the_next_command_is_printed(table, capsys):
    run(table, to="my data")
    output = capsys.readouterr().out
    to = "--workdir 'runs/my data' --config.data.path='my data'"
    assert f"mmssl train --config baby {to}" in output


def test_occupied_folders_are_replaced_only_when_asked(table, capsys, monkeypatch):
    first = run(table)
    assert "exists already" in refused(capsys, monkeypatch, table, "--seed", "1")
    second = run(table, "--seed", "1", "--overwrite")
    assert second.fingerprint != first.fingerprint
    assert sorted(path.name for path in Path().iterdir()) == ["out", "ratings.csv"]
    Path("other").mkdir()
    Path("other/thesis.tex").write_text("years of work")
    for to in ("other", ".", "ratings.csv", "ratings.csv/out"):
        line = refused(capsys, monkeypatch, table, "--overwrite", to=to)
        assert "is not a data folder" in line or "cannot" in line
    Path("empty").mkdir()
    assert run(table, to="empty").fingerprint == first.fingerprint


def test_a_source_is_not_overwritten(table, capsys, monkeypatch):
    run(table)
    save("out/audio.npy", ITEMS)
    for argv in (["out"], [table, "--modality", "audio=out/audio.npy"], ["."]):
        line = refused(capsys, monkeypatch, *argv, "--overwrite")
        assert "would remove what is read" in line


def test_a_link_is_followed(table):
    Path("disk").mkdir()
    Path("out").symlink_to("disk")
    run(table)
    run(table, "--seed", "1", "--overwrite")
    assert Path("out").is_symlink()
    assert load("disk", "none").fingerprint == load("out", "none").fingerprint
    assert sorted(path.name for path in Path().iterdir()) == ["disk", "out", "ratings.csv"]


KILLED = """
import os, signal, sys
from mmssl_jax import commands
from mmssl_jax.data.layouts import canonical
write = canonical.write_split
canonical.write_split = lambda *args: (write(*args), os.kill(os.getpid(), signal.SIGKILL))
commands.call(["data", "import", *sys.argv[1:]])
"""


def killed(*argv):
    """An import that is killed when it has written its first file."""
    argv = [sys.executable, "-c", KILLED, *map(str, argv)]
    assert subprocess.run(argv, env=environment()).returncode == -signal.SIGKILL


def environment():
    return os.environ | {"PYTHONPATH": str(ROOT)}


def test_a_killed_import_leaves_nothing_and_is_cleaned_up(table):
    killed(table, "--to", "out")
    assert not Path("out").exists()
    (left,) = (path for path in Path().iterdir() if path != Path(table.name))
    assert left.name.startswith(".out.")
    assert (left / "train.json").is_file()
    other = run(table, to="other")  # another name leaves it alone
    assert left.exists()
    assert run(table).fingerprint == other.fingerprint
    assert sorted(path.name for path in Path().iterdir()) == ["other", "out", "ratings.csv"]
    killed(table, "--to", "out", "--overwrite", "--seed", "1")
    assert load("out", "none").fingerprint == other.fingerprint


def test_a_kill_between_the_two_moves_of_a_replacement(table):
    first = run(table)
    Path("out").rename(".out.0123abcd.replaced")
    with pytest.raises(InputError, match="does not exist"):
        load("out", "none")
    with pytest.raises(OSError, match="stop"), new_folder.new_folder(Path("out")):
        raise OSError("stop")
    assert load("out", "none").fingerprint == first.fingerprint
    Path(".out.0123abcd.replaced").mkdir()
    run(table, "--overwrite", "--seed", "1")
    assert sorted(path.name for path in Path().iterdir()) == ["out", "ratings.csv"]


def test_a_folder_that_is_being_written_stays(table):
    with new_folder.new_folder(Path("out")) as partial:
        Path(partial / "train.json").write_text("{}")
        data = run(table)
        assert partial.is_dir()
        Path(partial / "val.json").write_text("{}")
    assert sorted(path.name for path in Path("out").iterdir()) == ["train.json", "val.json"]
    assert data.num_users == USERS


def test_names_that_only_look_like_leftovers_stay(table):
    for name in (".out.partial", ".out.x.0123abcd.partial", ".out2.0123abcd.partial"):
        Path(name).mkdir()
    Path(".out.0123abcd.partial").write_text("a file")
    before = set(Path().iterdir())
    run(table)
    assert set(Path().iterdir()) == before | {Path("out")}


def test_a_full_disk_leaves_the_old_data(table, monkeypatch):
    first = run(table)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(canonical, "write_split", fail)
    with pytest.raises(InputError, match=r"out: cannot be written \(No space left on device\)"):
        mmssl("data", "import", str(table), "--to", "out", "--overwrite")
    assert load("out", "none").fingerprint == first.fingerprint
    assert sorted(path.name for path in Path().iterdir()) == ["out", "ratings.csv"]


# Without a terminal


def test_an_import_from_python_prints_nothing_and_writes_what_is_asked(table, capsys):
    before = snapshot(Path())
    dataset, source, folder = imports.import_data(ImportOptions(table, split="leave-last"))
    assert (dataset.num_users, dataset.num_items) == (USERS, ITEMS)
    assert (source["layout"], source["split"], folder) == ("table", "leave-last", None)
    assert snapshot(Path()) == before
    written = imports.import_data(ImportOptions(table, to=Path("out"), split="leave-last"))
    assert written.dataset.fingerprint == dataset.fingerprint == load("out", "none").fingerprint
    assert about()["source"] == json.loads(json.dumps(written.source))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"split": "leave_last"}, "--split is 'leave_last'; it must be one of per-user, leave-"),
        ({"layout": "csv"}, "--from is 'csv'; it must be one of mmssl, "),
        ({"modalities": {"a,b": Path("x.npy")}}, "'a,b' cannot name a modality"),
        (
            {"modalities": {"Image": Path("x.npy"), "image": Path("y.npy")}},
            "modalities Image and image differ in case alone",
        ),
        ({"seed": -1}, "--seed -1 is not a whole number from 0 to 999999999"),
        ({"min_rating": float("nan")}, "--min-rating nan is not a number"),
        ({"separator": "::"}, "--separator '::' is not one character"),
        ({"split": "by-time", "fractions": (0.5, 0.5)}, "'0.5,0.5' is not three fractions"),
        ({"time_order": "rows"}, "--time-order is read only for --split leave-last or by-time"),
    ],
)
def test_options_that_cannot_be_are_refused_from_python_too(table, options, says):
    with pytest.raises(InputError) as caught:
        imports.import_data(ImportOptions(table, **options))
    assert says in str(caught.value)


# Command lines


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["none.csv"], "data folder 'none.csv' does not exist"),
        (["n" * 300], "is no usable path"),
        (["."], "no known data layout"),
        (["ratings.csv", "--from", "mmssl"], "is not a folder"),
        (["ratings.csv", "--modality", "text"], "is not NAME=FILE"),
        (["ratings.csv", "--modality", "=f.npy"], "is not NAME=FILE"),
        (["ratings.csv", "--modality", "none=f.npy"], "is not NAME=FILE"),
        (["ratings.csv", "--modality", "../x=f.npy"], "is not NAME=FILE"),
        (["ratings.csv", "--modality", "a,b=f.npy"], "is not NAME=FILE"),
        (["ratings.csv", "--modality", "text=none.npy"], "none.npy: cannot be read"),
        (["ratings.csv", "--modality", "a=1", "--modality", "a=2"], "each may be there once"),
        (["ratings.csv", "--item-order", "o.txt"], "--item-order is for the files of --modality"),
        (["ratings.csv", "--k-core", "-1"], "is not a whole number from 0"),
        (["ratings.csv", "--seed", "x"], "is not a whole number from 0"),
        (["ratings.csv", "--min-rating", "nan"], "is not a number"),
        (["ratings.csv", "--separator", "::"], "of lines like 1::7::5 it is ':'"),
        (["ratings.csv", "--split", "random"], "'random' is not one of 'per-user', 'leave-last'"),
        (["ratings.csv", "--rating-column", "rating"], "--min-rating"),
        (["ratings.csv", "--time-column", "timestamp"], "--split leave-last"),
        (["ratings.csv", "--user-column", "who"], "has no column 'who'"),
        (["folder", "--k-core", "3"], "--k-core is for tables"),
        (["folder", "--no-header"], "--no-header is for tables"),
        (["ratings.csv", "--nonsense"], "No such option '--nonsense'"),
        ([""], "is no usable path"),
        ([], "Missing argument 'PATH'"),
    ],
)
def test_wrong_command_lines(table, capsys, monkeypatch, argv, says):
    Path("folder").mkdir()
    assert says in refused(capsys, monkeypatch, *argv)


def test_wrong_destinations(table, capsys, monkeypatch):
    assert "no --to given" in refused(capsys, monkeypatch, table, to=None)
    assert "'' is no usable path" in refused(capsys, monkeypatch, table, to="")
    assert "is no usable path" in refused(capsys, monkeypatch, table, to="n" * 300)
    assert "cannot write" in refused(capsys, monkeypatch, table, to="ratings.csv/out")


@pytest.mark.parametrize("command", [["data", "import"], ["data", "check"], ["encode"]])
def test_the_help_of_each_command_ends_with_an_example(capsys, command):
    with pytest.raises(SystemExit) as exit_:
        mmssl(*command, "--help")
    assert exit_.value.code == 0
    output = capsys.readouterr().out
    first, *_, last = output.splitlines()
    assert first.startswith(f"Usage: mmssl {' '.join(command)} [OPTIONS]")
    assert last.strip().startswith(f"mmssl {' '.join(command)} ")
    assert len(output.splitlines()) < 90


def test_the_commands_of_data(capsys):
    with pytest.raises(SystemExit) as exit_:
        mmssl("data", "--help")
    assert exit_.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-2:]] == ["import", "check"]
    with pytest.raises(SystemExit) as exit_:
        mmssl("data")
    assert exit_.value.code == 2
    assert "Usage: mmssl data [OPTIONS] COMMAND" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"No such command 'improt'\. Did you mean 'import'"):
        mmssl("data", "improt")
    with pytest.raises(InputError, match=r"'--modalty'. .*'--modality'"):
        mmssl("data", "import", "x", "--modalty", "image=x.npy")


def test_the_command_starts_without_jax(table):
    code = "import sys; from mmssl_jax import commands; commands.call(sys.argv[1:]); "
    code += "assert 'jax' not in sys.modules"
    argv = [sys.executable, "-c", code, "data", "import", str(table), "--to", "out"]
    subprocess.run(argv, check=True, capture_output=True, env=environment())
    assert load("out", "none").num_users == USERS


# Real data


@pytest.mark.parametrize(
    ("name", "pairs"), [("tiktok", [59541, 3051, 6130]), ("baby", [118551, 21682, 20559])]
)
def test_real_data(name, pairs):
    folder = REAL / name
    if not folder.is_dir():
        pytest.skip(f"no data in {folder}")
    start = time.perf_counter()
    data = run(folder)
    assert time.perf_counter() - start < 10
    assert [getattr(data, split).nnz for split in SPLITS] == pairs
    source = load(str(folder), "" if data.features else "none")
    assert data.fingerprint == source.fingerprint
    for modality, values in source.features.items():
        np.testing.assert_array_equal(data.features[modality], values)


@pytest.mark.parametrize("path", ["", "a" * 5000, "~no-such-user/data", "a\0b"])
@pytest.mark.parametrize("flag", ["--to", "--item-order", "--modality"])
def test_paths_that_no_file_can_have(flag, path):
    value = f"image={path}" if flag == "--modality" else path
    with pytest.raises(InputError, match=f"'{flag}': .*(no usable path|is not NAME=FILE)"):
        mmssl("data", "import", "ratings.csv", "--to", "new", flag, value)


def test_a_pipe_in_place_of_a_file_is_refused(table, capsys, monkeypatch):
    os.mkfifo("pipe")
    for flags in (
        ["--modality", "image=pipe"],
        ["--modality", "image=x.npy", "--item-order", "pipe"],
    ):
        np.save("x.npy", np.ones((3, 2), np.float32))
        assert "pipe: cannot be read (it is no file" in refused(capsys, monkeypatch, table, *flags)


def test_a_line_with_a_field_too_many_is_refused(tmp_path):
    table = tmp_path / "wide.csv"
    table.write_text("user,item,x\na,b,1\nDoe, Jane,i3,1\n")
    with pytest.raises(InputError, match="a line has more fields than the first"):
        mmssl("data", "import", table, "--to", tmp_path / "to", "--k-core", "0")
