"""The canonical folder with its pairs in Parquet: this project's own, and those of engines."""

import dataclasses
import errno
import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mmssl_jax.commands import main
from mmssl_jax.data import load, loading, mapped_pairs
from mmssl_jax.data.checks import doctor
from mmssl_jax.data.dataset import SPLITS
from mmssl_jax.data.importing import imports
from mmssl_jax.data.importing.options import ImportOptions
from mmssl_jax.data.layouts import canonical, splits_parquet
from mmssl_jax.errors import InputError
from mmssl_jax.files import caches

USERS, ITEMS = 30, 20


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def pairs_of(seed=0):
    """Pairs of three splits in random order, some of them twice."""
    rng = np.random.default_rng(seed)
    cells = rng.permutation(USERS * ITEMS)[:300]
    cells = np.append(cells, USERS * ITEMS - 1) if USERS * ITEMS - 1 not in cells else cells
    parts = np.split(cells, [200, 250])
    return {
        split: np.stack(np.divmod(np.append(part, part[:3]), ITEMS), axis=1)
        for split, part in zip(SPLITS, parts, strict=True)
    }


PAIRS = pairs_of()


def frame(pairs, **others):
    users, items = np.asarray(pairs).T
    return pl.DataFrame({"user": users, "item": items}).with_columns(**others)


def as_json(folder):
    folder = Path(folder)
    folder.mkdir()
    for split, pairs in PAIRS.items():
        content = {}
        for user, item in pairs.tolist():
            content.setdefault(str(user), []).append(item)
        (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


def flat(folder):
    """As an import writes it."""
    for split, pairs in PAIRS.items():
        frame(pairs).write_parquet(folder / f"{split}.parquet")


def partitions(folder):
    """As Spark writes partitionBy("split"): parts, checksums, _SUCCESS."""
    (folder / "_SUCCESS").touch()
    (folder / "._SUCCESS.crc").touch()
    for split, pairs in PAIRS.items():
        place = folder / f"split={split}"
        place.mkdir()
        for number, part in enumerate(np.array_split(pairs, 3)):
            name = f"part-0000{number}-5e7c.c000.snappy.parquet"
            kind = (pl.Int32, pl.Int64, pl.UInt32)[number]
            frame(part).cast(kind).write_parquet(
                place / name, compression="snappy", row_group_size=20
            )
            (place / f".{name}.crc").write_bytes(b"crc")
        frame(pairs[:0]).write_parquet(place / "part-00009.parquet")


def columns(folder):
    """As a query engine exports a table, with the split in a column, by another word."""
    words = {"train": "train", "val": "VALID", "test": "test"}
    whole = pl.concat([frame(PAIRS[split], split=pl.lit(words[split])) for split in SPLITS])
    whole = whole.sample(fraction=1, shuffle=True, seed=0)
    for number, part in enumerate(whole.iter_slices(100)):
        part = part.cast({"split": pl.Categorical}) if number else part
        part.write_parquet(folder / f"00000000000{number}.parquet")


def folders_of_parts(folder):
    for split, pairs in PAIRS.items():
        place = folder / (f"{split}.parquet" if split == "val" else split)
        (place / "bucket=1").mkdir(parents=True)
        frame(pairs).write_parquet(place / "bucket=1" / "a.parquet")


FORMS = [flat, partitions, columns, folders_of_parts]


def made(form, name="p"):
    folder = Path(name)
    folder.mkdir()
    form(folder)
    return folder


def same(one, other):
    for split in SPLITS:
        ours, theirs = getattr(one, split), getattr(other, split)
        for field in ("indptr", "indices", "data"):
            np.testing.assert_array_equal(getattr(ours, field), getattr(theirs, field))
            assert getattr(ours, field).dtype == getattr(theirs, field).dtype
        assert ours.shape == theirs.shape
    assert one.fingerprint == other.fingerprint
    assert one.split_fingerprints == other.split_fingerprints


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_data_set(form):
    json_form, folder = as_json("j"), made(form)
    for each in (json_form, folder):
        np.save(each / "image_feat.npy", np.ones((ITEMS, 2), np.float32))
    one, other = load("j"), load("p")
    same(one, other)
    assert list(other.features) == ["image"]
    warned = [[text.replace("j:", "p:", 1) for text in data.warnings] for data in (one, other)]
    assert warned[0] == warned[1]
    facts = [doctor.facts(data) | {"name": ""} for data in (one, other)]
    assert facts[0] == facts[1]
    assert loading.is_canonical(folder)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("step", [7, 10**6])
def test_mapped_pairs_are_the_same(form, step, monkeypatch, tmp_path):
    """And made once; a file that is damaged, or parts that are other ones, are made anew."""
    made(form)
    held = load("p", "none")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(mapped_pairs, "MAPPED_FROM", 1)
    monkeypatch.setattr(mapped_pairs, "_STEP", step)
    monkeypatch.setattr(splits_parquet, "_ROWS", step * 3)
    first, again = load("p", "none"), load("p", "none")
    (kept,) = (path for path in (tmp_path / "cache/mmssl_jax/pairs").iterdir() if path.is_dir())
    written = kept.stat().st_ino
    for mapped in (first, again):
        same(held, mapped)
        assert mapped.fingerprint == held.fingerprint
        assert mapped.mapped_by_item is not None
        assert (mapped.by_item != held.train.T.tocsr()).nnz == 0
        assert mapped.by_item.has_canonical_format
        np.testing.assert_array_equal(mapped.item_degrees, held.item_degrees)
        with pytest.raises(ValueError, match="read-only"):
            mapped.train.indices[0] = 1
    with open(kept / "train.npy", "r+b") as file:
        file.seek(-2, 2)
        file.write(b"\7")
    same(held, load("p", "none"))
    assert kept.stat().st_ino != written
    part = next(
        path for path in sorted(Path("p").rglob("*.parquet")) if len(pl.read_parquet(path)) > 5
    )
    pl.read_parquet(part)[5:].write_parquet(part)
    other = load("p", "none")
    assert other.fingerprint != held.fingerprint
    monkeypatch.setattr(mapped_pairs, "MAPPED_FROM", 10**9)
    same(other, load("p", "none"))


def test_without_a_cache_pairs_are_held(monkeypatch):
    made(flat)
    monkeypatch.setattr(mapped_pairs, "MAPPED_FROM", 1)
    monkeypatch.setattr(caches, "own_folder", lambda name: None)
    assert load("p", "none").mapped_by_item is None


def test_a_full_disk_under_the_mapped_pairs(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    made(flat)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(mapped_pairs, "MAPPED_FROM", 1)
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(InputError, match=r"GB \(No space left on device\); set XDG_CACHE_HOME"):
        load("p", "none")
    assert not [path for path in (tmp_path / "cache/mmssl_jax/pairs").iterdir() if path.is_dir()]


def test_pairs_that_move_after_they_were_mapped(monkeypatch, tmp_path):
    """Where pairs of validation return in train, train is made anew, in memory."""
    made(flat)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(mapped_pairs, "MAPPED_FROM", 1)
    final = load("p", "none", final=True)
    assert final.mapped_by_item is None
    assert (final.by_item != final.train.T.tocsr()).nnz == 0


def test_many_pairs_are_written_as_parquet_and_few_as_json(monkeypatch):
    data = load(str(as_json("j")), "none")
    data = dataclasses.replace(data, user_ids=tuple(f"u{user}" for user in range(USERS)))
    canonical.write(data, Path("few"), {})
    monkeypatch.setattr(canonical, "MOST_IN_JSON", 299)
    canonical.write(data, Path("many"), {"layout": "mmssl"})
    assert not list(Path("few").glob("*.parquet"))
    assert not list(Path("many").glob("t*.json"))
    few, many = load("few", "none"), load("many", "none")
    same(few, many)
    assert few.user_ids == many.user_ids == data.user_ids
    kept = pl.read_parquet("many/train.parquet")
    assert kept.schema == {"user": pl.Int32, "item": pl.Int32}
    about = json.loads(Path("many/dataset.json").read_text())
    assert about["pairs"]["train"] == len(kept)
    with pytest.raises(InputError, match="exists already; name another folder, or replace it"):
        canonical.check_free(Path("many"), overwrite=False)
    canonical.write(data, Path("many"), {}, overwrite=True)
    # A split that is not what dataset.json records.
    Path("many/files.sha256").unlink()
    pl.read_parquet("many/val.parquet").head(9).write_parquet("many/val.parquet")
    with pytest.raises(InputError, match="many: the val split: does not have the sha256"):
        load("many", "none")


def test_import_of_parts_keeps_their_indices():
    folder = made(partitions)
    done = imports.import_data(ImportOptions(folder, Path("out")))
    assert done.source["layout"] == "parquet"
    assert "split=val/part-00000-5e7c.c000.snappy.parquet" in done.source["files"]
    same(load("p", "none"), load("out", "none"))
    flat_too = made(flat, "f")
    (flat_too / "dataset.json").write_text("{}")  # else these would be raw tables
    imports.import_data(ImportOptions(flat_too, Path("out2")))
    same(load("p", "none"), load("out2", "none"))


def rewritten(path, change):
    path = Path(path)
    change(pl.read_parquet(path)).write_parquet(path)


PART = "p/split=val/part-00001-5e7c.c000.snappy.parquet"
WRONG = {
    "nulls": (
        lambda table: table.with_columns(item=pl.when(pl.col("item") > 2).then(pl.col("item"))),
        f"{PART}: column 'item' is null in ",
    ),
    "negative": (
        lambda table: table.with_columns(user=pl.lit(-1)),
        f"{PART}: column 'user' has -1",
    ),
    "large": (
        lambda table: table.with_columns(user=pl.lit(2**40)),
        f"{PART}: column 'user' has 1099511627776; indices are from 0 to 2147483646",
    ),
    "floats": (
        lambda table: table.cast(pl.Float64),
        f"{PART}: column 'user' holds Float64; indices are whole numbers",
    ),
    "text": (lambda table: table.cast(pl.String), f"{PART}: column 'user' holds String"),
    "another schema": (
        lambda table: table.rename({"item": "item_id"}),
        f"{PART}: has no column 'item', but 'user', 'item_id'; a data folder has indices",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_in_a_part_is_one_line_with_its_file(name):
    change, message = WRONG[name]
    made(partitions)
    rewritten(PART, change)
    with pytest.raises(InputError) as caught:
        load("p", "none")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_truncated_part_and_one_that_is_none():
    made(partitions)
    whole = Path(PART).read_bytes()
    for content in (whole[:-20], b"", b"PAR1 none PAR1"):
        Path(PART).write_bytes(content)
        with pytest.raises(InputError, match="part-00001") as caught:
            load("p", "none")
        assert "\n" not in str(caught.value)


def test_check_reports_every_part_and_reads_the_rest(capsys):
    made(partitions)
    rewritten(PART, WRONG["negative"][0])
    other = PART.replace("val", "test")
    rewritten(other, WRONG["floats"][0])
    with pytest.raises(SystemExit):
        main(["data", "check", "p", "--modalities", "none"])
    said = capsys.readouterr().out
    assert f"{PART}: column 'user' has -1" in said.replace("\n", " ").replace("  ", " ")
    assert "Float64" in said
    dataset, findings = doctor.examine(Path("p"), "none")
    assert [finding.check for finding in findings.listed if finding.level == "error"][:2] == [
        "split",
        "split",
    ]
    assert dataset.train.nnz == 200
    assert not dataset.val.nnz


def test_unknown_splits_and_missing_ones():
    made(partitions)
    Path("p/split=test").rename("p/split=holdout")
    with pytest.raises(InputError, match="p/split=holdout: its split is 'holdout'; it must be one"):
        load("p", "none")
    Path("p/split=holdout").rename("p/split=test")
    Path("p/split=val").rename("p/_val")
    with pytest.raises(InputError, match=r"p: val.parquet missing beside split=train/part-0") as no:
        load("p", "none")
    assert "--val-from-train" in str(no.value)
    assert load("p", "none", final=True).train.nnz == 250
    made(columns, "c")
    for path in sorted(Path("c").glob("*.parquet")):
        rewritten(path, lambda table: table.filter(pl.col("split") != "VALID"))
    with pytest.raises(InputError, match="c: the val split is empty"):
        load("c", "none")
    for path in sorted(Path("c").glob("*.parquet")):
        rewritten(path, lambda table: table.with_columns(split=pl.lit("fold1")))
    with pytest.raises(InputError, match=r"000000000000.parquet: its split is 'fold1'"):
        load("c", "none")
    for path in sorted(Path("c").glob("*.parquet")):
        rewritten(path, lambda table: table.with_columns(split=pl.lit(1)))
    with pytest.raises(InputError, match=r"000000000000.parquet: column 'split' holds Int32"):
        load("c", "none")


def test_what_else_lies_there_is_said():
    made(partitions)
    Path("p/split=val/notes.txt").touch()
    frame(PAIRS["val"]).write_parquet("p/more.parquet")
    (text,) = [text for text in load("p", "none").warnings if "beside the pairs" in text]
    assert "2 files beside the pairs are not read, such as more.parquet" in text


def test_a_raw_table_is_no_data_folder():
    Path("r").mkdir()
    for split in SPLITS:
        pl.DataFrame({"user_id": ["a"], "item_id": ["b"]}).write_parquet(f"r/{split}.parquet")
    with pytest.raises(InputError, match=r"r/train.parquet: has no column 'user'.*imported first"):
        load("r", "none")


def test_more_users_than_the_pairs_can_account_for():
    Path("s").mkdir()
    for split in SPLITS:
        frame([[40_000_000, 1]]).write_parquet(f"s/{split}.parquet")
    with pytest.raises(InputError, match="more than 3 pairs"):
        load("s", "none")


def test_pairs_that_claim_to_be_very_many():
    made(flat)
    many = pl.DataFrame({"user": np.zeros(1 << 22, np.int32), "item": np.ones(1 << 22, np.int32)})
    many.write_parquet("p/train.parquet", row_group_size=1 << 22)
    with pytest.raises(InputError, match=r"train.parquet: claims 4194304 rows in \d+ bytes"):
        load("p", "none")


def test_bytes_that_were_changed_are_read_or_refused():
    """Never a crash; a part that is refused is named."""
    made(flat)
    good = Path("p/train.parquet").read_bytes()
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(3):
        bad = bytearray(good)
        for place in rng.integers(0, len(good), 4):
            bad[place] = rng.integers(256)
        Path("p/train.parquet").write_bytes(bad)
        try:
            load("p", "none")
            outcomes.add("read")
        except InputError:
            outcomes.add("refused")
    assert "refused" in outcomes


@pytest.mark.slow
def test_spark_writes_such_a_folder(tmp_path):
    pyspark = pytest.importorskip("pyspark.sql")
    spark = (
        pyspark.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    ).getOrCreate()
    try:
        whole = pl.concat([frame(PAIRS[split], split=pl.lit(split)) for split in SPLITS])
        pairs = spark.createDataFrame(whole.rows(), whole.columns)
        pairs.write.partitionBy("split").parquet(str(tmp_path / "p"))
    finally:
        spark.stop()
    same(load(str(as_json("j")), "none"), load("p", "none"))
