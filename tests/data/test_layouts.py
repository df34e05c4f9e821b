"""Every layout: what is written in it is read back, and what is wrong with it is refused."""

import gzip
import json
import pickle
import zlib
from pathlib import Path

import data_layouts_writers as writers
import numpy as np
import pytest
import scipy.sparse
from data_layouts_writers import small
from hypothesis import example, given, settings
from hypothesis import strategies as st
from worlds import REAL

from mmssl_jax.data import Dataset, load
from mmssl_jax.data.dataset import FEW, SPLITS, assemble
from mmssl_jax.data.layouts import canonical
from mmssl_jax.errors import InputError


@st.composite
def parts(draw):
    """Arguments of `assemble`: splits without overlap, modalities, with raw ids or without."""
    users, items = draw(st.integers(1, 6)), draw(st.integers(3, 6))
    cells = draw(st.permutations(range(users * items)))
    cuts = sorted(draw(st.lists(st.integers(1, len(cells)), min_size=3, max_size=3, unique=True)))
    pairs = {
        split: np.divmod(np.array(cells[start:end], np.int64), items)
        for split, start, end in zip(SPLITS, [0, *cuts], cuts, strict=False)
    }
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    widths = draw(st.dictionaries(st.sampled_from("abc"), st.integers(1, 4), min_size=1))
    features = {
        name: rng.normal(size=(items, width)).astype(np.float32) for name, width in widths.items()
    }
    printable = st.characters(min_codepoint=33, exclude_categories=["Cc", "Cs", "Z"])
    ids = st.lists(
        st.text(printable, min_size=1, max_size=8), min_size=users, max_size=users, unique=True
    )
    user_ids = draw(st.none() | ids.map(tuple))
    item_ids = draw(st.none() | st.just(tuple(f"B{index:03}" for index in range(items))))
    return {
        "shape": (users, items),
        "pairs": pairs,
        "features": features,
        "user_ids": user_ids,
        "item_ids": item_ids,
    }


def raw_ids_with(*user_ids: str) -> dict:
    """Arguments of `assemble`, small ones, with these raw ids of users."""
    pairs = {split: (np.array([0]), np.array([index])) for index, split in enumerate(SPLITS)}
    features = {"a": np.ones((3, 1), np.float32)}
    ids = {"user_ids": user_ids, "item_ids": None}
    return {"shape": (len(user_ids), 3), "pairs": pairs, "features": features} | ids


def random_dataset(parts) -> Dataset:
    return assemble("random", "random", **parts)


def assert_same(read: Dataset, written: Dataset, users: int | None = None) -> None:
    """The same pairs, features and ids; `users` where fewer users can be known from the files."""
    assert read.train.shape == (users or written.num_users, written.num_items)
    assert read.split_fingerprints == written.split_fingerprints
    assert list(read.features) == list(written.features)
    for name, values in written.features.items():
        np.testing.assert_array_equal(read.features[name], values, strict=True)
    assert read.user_ids == written.user_ids
    assert read.item_ids == written.item_ids


MANY = settings(max_examples=40, deadline=None)


@MANY
@given(parts=parts())
def test_canonical(tmp_path_factory, parts):
    written = random_dataset(parts)
    folder = tmp_path_factory.mktemp("canonical") / "data"
    assert_same(load(str(writers.write_canonical(written, folder))), written)


@MANY
@given(parts=parts(), writer=st.sampled_from([writers.write_mmssl, writers.write_diffmm]))
def test_layouts_without_ids(tmp_path_factory, parts, writer):
    written = random_dataset(parts)
    read = load(str(writer(written, tmp_path_factory.mktemp("data"))))
    assert (read.user_ids, read.item_ids) == (None, None)
    assert read.fingerprint == written.fingerprint
    for name, values in written.features.items():
        np.testing.assert_array_equal(read.features[name], values, strict=True)


@MANY
@given(
    parts=parts(),
    seed=st.integers(0, 99),
    separator=st.sampled_from("\t,"),
    index_first=st.booleans(),
)
@example(parts=raw_ids_with("0", ",", '"', '",'), seed=0, separator=",", index_first=False)
@example(parts=raw_ids_with("0", ",", '"', '",'), seed=0, separator="\t", index_first=True)
def test_mmrec(tmp_path_factory, parts, seed, separator, index_first):
    written = random_dataset(parts)
    folder = tmp_path_factory.mktemp("mmrec")
    writers.write_mmrec(written, folder, seed, separator, index_first)
    used = max(getattr(written, split).nonzero()[0].max() for split in SPLITS) + 1
    assert_same(load(str(folder)), written, None if written.user_ids else used)


@MANY
@given(
    parts=parts(),
    core=st.sampled_from(["5-core", "0-core"]),
    separator=st.sampled_from(["\t", " ", "  \t"]),
    header=st.sampled_from(["", "org_id remap_id\n", "org_id\tremap_id\r\n"]),
)
def test_lattice(tmp_path_factory, parts, core, separator, header):
    written = random_dataset(parts)
    folder = tmp_path_factory.mktemp("lattice")
    writers.write_lattice(written, folder, core, separator, header)
    assert_same(load(str(folder / core)), written)
    if core == "5-core":
        assert_same(load(str(folder)), written)


@pytest.mark.parametrize("layout", writers.WRITERS)
def test_real_data_in_every_layout(tmp_path, layout):
    if not (folder := REAL / "tiktok").is_dir():
        pytest.skip(f"no data in {folder}")
    data = load(str(folder))
    read = load(str(writers.WRITERS[layout](data, tmp_path / "data")))
    assert read.fingerprint == data.fingerprint
    assert len(read.warnings) == len(data.warnings)
    for name, values in data.features.items():
        np.testing.assert_array_equal(read.features[name], values, strict=True)


def refusal(folder: Path, modalities: str = "") -> str:
    with pytest.raises(InputError) as caught:
        load(str(folder), modalities)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# MMRec


@pytest.fixture
def mmrec(tmp_path) -> Path:
    return writers.write_mmrec(small(), tmp_path)


def test_mmrec_is_named_by_its_table(mmrec):
    data = load(str(mmrec))
    assert (data.name, data.warnings) == ("data", ())


def test_ratings_of_mmrec_are_said_and_dislikes_left_out(mmrec):
    path, before = mmrec / "data.inter", load(str(mmrec))
    lines = path.read_text().splitlines()
    names = lines[0].split("\t")
    rated, disliked = (names.index(name) for name in ("rating", "x_label"))
    rows = [line.split("\t") for line in lines[1:]]
    first = next(row for row in rows if row[disliked] == "0")
    first[rated], rows[-1][rated] = "2.5", "4.5"
    path.write_text("\n".join(["\t".join(names), *map("\t".join, rows)]) + "\n")
    data = load(str(mmrec))
    assert data.fingerprint == before.fingerprint
    (said,) = data.warnings
    assert "'rating' (2.5 to 5); --min-rating X" in said
    assert "import --from table" in said
    first[rated] = "-1"
    path.write_text("\n".join(["\t".join(names), *map("\t".join, rows)]) + "\n")
    data = load(str(mmrec))
    assert data.train.nnz == before.train.nnz - 1
    assert "1 row is negative in column 'rating'" in data.warnings[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty, or its first line is"),
        ("\n" + "\t" * 100_000 + "\n", "is empty, or its first line is"),
        ("userID\titemID\tx_label", "the train split is empty"),
        ("userID" + "\t" * 100_000 + "\n", "its first line has more than 1000 columns"),
        ("userID\titemID\n0\t0\n", "has no column x_label; its first line"),
        ("userID,itemID,x_label\n0,0,0\n", "has no column userID and no itemID and no x_label"),
        ("userID\titemID\tx_label\n0\t0\t0\t0\n", "is not a table in UTF-8 text"),
        (b"userID\titemID\tx_label\n0\t\xff\t0\n", "is not a table in UTF-8 text"),
        ("userID\titemID\tx_label\n0\t0\t0\n0\t1\t3\n", "x_label is '3' in row 2"),
        ("userID\titemID\tx_label\n0\t0\t\n", "x_label is '' in row 1"),
        ("userID\titemID\tx_label\n0\n", "itemID is '' in row 1"),
        ("userID\titemID\tx_label\n-1\t0\t0\n", "userID is '-1' in row 1"),
        ("userID\titemID\tx_label\n0\t1.0\t0\n", "itemID is '1.0' in row 1"),
        ("userID\titemID\tx_label\n0\tB00\t0\n", "itemID is 'B00' in row 1"),
        ("userID\titemID\tx_label\n0\t\x1b[2J\t0\n", r"itemID is '\x1b[2J' in row 1"),
        (f"userID\titemID\tx_label\n0\t{2**31}\t0\n", "from 0 to 2147483646"),
        (f"userID\titemID\tx_label\n0\t{10**30}\t0\n", "from 0 to 2147483646"),
        ("userID\titemID\tx_label\n0\t49000000\t0\n", "49000001 items are more than 5 pairs and"),
        ("userID\titemID\tx_label\n0\t0\t0\n0\t1\t1\n", "the test split is empty"),
    ],
)
def test_bad_inter_is_refused(mmrec, text, says):
    raw = text if isinstance(text, bytes) else text.encode()
    (mmrec / "data.inter").write_bytes(raw)
    assert says in refusal(mmrec)


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_compressed_inter_is_not_unpacked(mmrec, compress):
    raw = (mmrec / "data.inter").read_bytes()
    (mmrec / "data.inter").write_bytes(compress(raw))
    assert "is compressed; unpack it first" in refusal(mmrec)


def test_blank_lines_and_other_line_ends_are_read(mmrec):
    before = load(str(mmrec)).fingerprint
    text = (mmrec / "data.inter").read_text()
    (mmrec / "data.inter").write_bytes(("\ufeff" + text.replace("\n", "\r\n") + "\r\n").encode())
    assert load(str(mmrec)).fingerprint == before


def test_only_one_inter(mmrec):
    (mmrec / "other.inter").write_text("")
    assert "must hold one .inter file, not data.inter, other.inter" in refusal(mmrec)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("asin\titemID\na\t0\nb\t1\nc\t2\n", "lists 3 raw ids of 4"),
        ("asin\titemID\na\t0\nb\t1\nc\t1\nd\t2\n", "every index from 0 to 3 once"),
        ("asin\titemID\na\t0\nb\t1\nc\t2\nd\t49000000\n", "every index from 0 to 3 once"),
        ("asin\titemID\na\tx\n", "itemID is 'x' in row 1"),
        ('"\n"' + "\t" * 100_000 + "\n", "has a quote that is not closed"),
        ("asin\tindex\na\t0\n", "must name two columns, itemID and one of raw ids"),
        ("itemID\n0\n", "must name two columns, itemID and one of raw ids"),
    ],
)
def test_bad_mapping_is_refused(mmrec, text, says):
    (mmrec / "i_id_mapping.csv").write_text(text)
    assert says in refusal(mmrec)


def test_raw_ids_are_text_and_no_paths(mmrec, tmp_path):
    odd = ["../../x", "/etc/passwd", "a\0b", "~root"]
    lines = [f"{index}\t{raw}" for index, raw in reversed(list(enumerate(odd)))]
    (mmrec / "i_id_mapping.csv").write_text("\n".join(["itemID\tasin", *lines, ""]))
    data = load(str(mmrec))
    assert data.item_ids == tuple(odd)
    canonical.write(data, tmp_path / "copy", {"from": "tests"})
    assert load(str(tmp_path / "copy")).item_ids == data.item_ids


# LATTICE


@pytest.fixture
def lattice(tmp_path) -> Path:
    return writers.write_lattice(small(), tmp_path / "baby")


def test_lattice_folder_is_its_5_core_and_0_core_is_another(lattice, monkeypatch):
    cold = small(features={}, item_ids=None, user_ids=None)
    moved = {"train": cold.val, "val": cold.train, "test": cold.test}
    writers.write_lattice(cold, lattice, "0-core")
    for split, matrix in moved.items():
        content = {str(user): matrix[[user]].indices.tolist() for user in range(3)}
        (lattice / "0-core" / f"{split}.json").write_text(json.dumps(content))
    warm, cold = load(str(lattice)), load(str(lattice / "0-core"))
    assert (warm.name, cold.name) == ("baby", "baby 0-core")
    assert (warm.train.nnz, cold.train.nnz) == (4, 1)
    assert any("3 of 4 items have no training pair" in text for text in cold.warnings)
    np.testing.assert_array_equal(warm.features["image"], cold.features["image"])
    assert warm.item_ids == cold.item_ids
    monkeypatch.chdir(lattice / "0-core")
    assert load(".").fingerprint == cold.fingerprint


def test_lists_at_the_top_are_read(lattice):
    (lattice / "5-core" / "item_list.txt").rename(lattice / "item_list.txt")
    assert load(str(lattice)).item_ids == ("a", "b", "c", "d")


def test_a_canonical_folder_may_be_called_5_core(tmp_path):
    folder = writers.write_canonical(small(features={}), tmp_path / "5-core")
    np.save(tmp_path / "image_feat.npy", np.ones((9, 2)))
    data = load(str(folder), "none")
    assert (data.name, data.num_items) == ("small", 4)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"a\t0\nb\t1\nc\t2\n", "lists 3 raw ids of 4"),
        (b"a\t0\nb\t1\nc\t2\nd\t4\n", "every index from 0 to 3 once"),
        (b"a\t0\nb\nc\t2\nd\t3\n", "'b' is not a raw id and an index"),
        (b"a\t0\nb\t1\nc\t2\nd\t-3\n", r"'d\t-3' is not a raw id and an index"),
        (b"a\t0\nb\t1\nc\t2\nd\t99999999999\n", "is not a raw id and an index"),
        (b"\xff\t0\n", "cannot be read as UTF-8"),
    ],
)
def test_bad_list_is_refused(lattice, text, says):
    (lattice / "5-core" / "item_list.txt").write_bytes(text)
    assert says in refusal(lattice)


def test_incomplete_5_core_names_what_is_missing(lattice):
    (lattice / "5-core" / "val.json").unlink()
    assert "5-core/val.json missing beside 5-core/train.json" in refusal(lattice)


# train_mat, unused ids, and counts


@pytest.fixture
def mmssl(tmp_path) -> Path:
    return writers.write_mmssl(small(), tmp_path)


def put_train_mat(folder: Path, cells: list[tuple[int, int]], shape: tuple[int, int]) -> None:
    rows, columns = np.array(cells).T
    matrix = scipy.sparse.csr_matrix((np.ones(len(cells)), (rows, columns)), shape=shape)
    (folder / "train_mat").write_bytes(pickle.dumps(matrix))


def test_equal_train_mat_says_nothing(mmssl):
    assert load(str(mmssl)).warnings == ()


def test_differing_train_mat_is_counted_and_not_used(mmssl):
    put_train_mat(mmssl, [(0, 0), (0, 1), (1, 3), (2, 3), (2, 2)], (3, 4))
    data = load(str(mmssl))
    assert [text for text in data.warnings if "train_mat: 3 pairs are in it or in" in text]
    assert data.fingerprint == small().fingerprint


def test_larger_train_mat_counts(mmssl):
    np.save(mmssl / "image_feat.npy", np.eye(5))
    put_train_mat(mmssl, [(0, 0), (0, 1), (1, 2), (2, 3)], (6, 5))
    data = load(str(mmssl))
    assert data.train.shape == (6, 5)
    said = " ".join(data.warnings)
    assert "users is taken as 6, the largest of the splits 3, train_mat 6" in said
    assert "items is taken as 5, the largest of the splits 4, image_feat.npy 5, train_mat 5" in said
    assert "train_mat: " not in said


def test_hostile_train_mat_is_only_a_warning(mmssl):
    (mmssl / "train_mat").write_bytes(b"cposix\nsystem\n(S'touch x'\ntR.")
    (warning,) = load(str(mmssl)).warnings
    assert "train_mat: refused, and nothing in it was run: it asks for posix.system" in warning


def test_unused_users_and_items_are_counted_with_their_gaps(tmp_path):
    pairs = {"train": [(0, 0), (2, 6)], "val": [(0, 2)], "test": [(2, 0)]}
    splits = {split: tuple(np.array(cells).T) for split, cells in pairs.items()}
    warnings = assemble("x", "x", (5, 9), splits, {}).warnings
    assert (
        "x: 3 of 5 users are in NO SPLIT; 1 of their indices lie below the largest in use, 2"
        in (warnings)
    )
    assert (
        "x: 6 of 9 items are in NO SPLIT; 4 of their indices lie below the largest in use, 6"
        in (warnings)
    )


def test_a_few_unused_items_are_said_calmly():
    pairs = {"train": (np.zeros(38, int), np.arange(38)), "val": ([0], [38]), "test": ([0], [39])}
    splits = {split: (np.asarray(rows), np.asarray(cols)) for split, (rows, cols) in pairs.items()}
    warnings = assemble("x", "x", (1, 41), splits, {}).warnings
    assert "x: 1 of 41 items are in no split" in warnings


def test_counts_must_be_accounted_for(mmssl):
    (mmssl / "train_mat").unlink()
    content = json.loads((mmssl / "train.json").read_text())
    for last, fits in ((FEW - 1, True), (FEW, False), (49_999_999, False)):
        (mmssl / "train.json").write_text(json.dumps(content | {str(last): [0]}))
        if fits:
            assert load(str(mmssl)).num_users == FEW
        else:
            assert f"{last + 1} users are more than 12 pairs and feature rows" in refusal(mmssl)


def test_counts_do_not_depend_on_the_modalities_chosen(tmp_path):
    folder = writers.write_mmssl(small(), tmp_path)
    (folder / "train_mat").unlink()
    np.save(folder / "image_feat.npy", np.ones((FEW + 1, 1), np.float16))
    assert load(str(folder), "none").num_items == FEW + 1


@pytest.mark.parametrize("layout", writers.WRITERS)
def test_masks_are_read_beside_the_features_of_every_layout(tmp_path, layout):
    folder = writers.WRITERS[layout](small(), tmp_path / "data")
    np.save(folder / "image_present.npy", np.array([True, False, True, True]))
    read = load(str(folder))
    np.testing.assert_array_equal(read.present["image"], [True, False, True, True])
    assert not read.features["image"][1].any()
    assert any("1 of 4 items has no image" in warning for warning in read.warnings)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("vggish.npy", "--modality NAME=FILE of import"),
        ("text_feat.npy.zip", "unpack it to <modality>_feat.npy"),
        ("text_feat.h5", "save the array with numpy.save as <modality>_feat.npy"),
        ("none_feat.npy", "--modality NAME=FILE of import"),
        ("a,b_feat.npy", "--modality NAME=FILE of import"),
    ],
)
def test_files_that_look_like_features_but_are_not_read_are_warned_of(tmp_path, name, says):
    folder = writers.write_mmrec(small(), tmp_path / "data")
    (folder / name).write_bytes(b"")
    read = load(str(folder))
    assert list(read.features) == ["image"]
    assert any(f"{name}: is not read; {says}" in warning for warning in read.warnings)


def test_a_folder_of_two_layouts_says_which_is_not_read(tmp_path):
    folder = writers.write_mmssl(small(), tmp_path / "data")
    assert not any("not read" in warning for warning in load(str(folder)).warnings)
    writers.write_mmrec(small(), folder)
    assert any(
        "holds *.inter as well, which are not" in text for text in load(str(folder)).warnings
    )


def test_the_core_that_is_read_is_not_warned_of(tmp_path):
    """Neither given as FOLDER/5-core, nor where the folder has the same splits at the top."""
    top = writers.write_lattice(small(), tmp_path / "data")
    for folder in (top, top / "5-core"):
        assert not any("not read" in text for text in load(str(folder)).warnings)
    for name in ("train.json", "val.json", "test.json"):
        (top / name).write_bytes((top / "5-core" / name).read_bytes())
    assert not any("not read" in text for text in load(str(top)).warnings)
    (top / "5-core" / "test.json").write_text("{}")
    says = "holds 5-core/train.json, 5-core/val.json, 5-core/test.json as well, which are not read"
    assert any(says in text for text in load(str(top)).warnings)


@pytest.mark.parametrize("ids", [("u0", "u1", "u0"), ("u0", "", "u2")])
def test_raw_ids_that_are_not_one_a_user_are_refused(tmp_path, ids):
    folder = writers.write_mmssl(small(), tmp_path / "data")
    (folder / "users.tsv").write_text("".join(f"{index}\t{raw}\n" for index, raw in enumerate(ids)))
    with pytest.raises(InputError, match=r"raw user id '(u0' is listed 2 times|' is empty)"):
        load(str(folder))
