"""Features in files of other kinds than .npy: read by import, named where they are not read."""

import dataclasses
import json
import os
import pickle
import zipfile
from pathlib import Path

import data_layouts_writers as writers
import numpy as np
import polars as pl
import pytest
from raw_tables import no_trial
from worlds import mmssl, world

from mmssl_jax.data import load
from mmssl_jax.data.arrays import torch_file
from mmssl_jax.data.checks import doctor
from mmssl_jax.data.features import files, folder
from mmssl_jax.errors import InputError

VALUES = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
LINES = [",".join(map(str, row)) for row in VALUES.tolist()]
NUMBERS = [7 * row for row in range(6)]
IDS = tuple(f"B{row}" for row in NUMBERS)


def lines(*ids, header=""):
    rows = [f"{raw},{line}" for raw, line in zip(ids, LINES, strict=True)] if ids else LINES
    return (f"{header}\n" if header else "") + "\n".join(rows) + "\n"


def frame(**columns):
    return pl.DataFrame(columns | {f"c{place}": VALUES[:, place] for place in range(3)})


def test_every_kind_that_is_named_beside_npy_has_a_reader():
    assert set(folder.OTHER_KINDS) == set(files._READERS)


WRITE = {
    "a.npz": lambda path: np.savez(path, VALUES),
    "packed.npz": lambda path: np.savez_compressed(path, features=VALUES.astype("f8")),
    **{
        f"protocol{number}.pkl": lambda path, number=number: path.write_bytes(
            pickle.dumps(VALUES, number)
        )
        for number in (2, 3, 4, 5)
    },
    "fortran5.pkl": lambda path: path.write_bytes(pickle.dumps(np.asfortranarray(VALUES), 5)),
    "fortran4.pickle": lambda path: path.write_bytes(pickle.dumps(np.asfortranarray(VALUES), 4)),
    "plain.csv": lambda path: path.write_text(lines()),
    "blank.csv": lambda path: path.write_text(lines() + "\n\n"),
    "windows.csv": lambda path: path.write_bytes(lines().replace("\n", "\r\n").encode()),
    "bom.csv": lambda path: path.write_text("\ufeff" + lines(header="x,y,z")),
    "bom_alone.csv": lambda path: path.write_text("\ufeff" + lines()),
    "named.csv": lambda path: path.write_text(lines(header="x,y,z")),
    "quoted.csv": lambda path: path.write_text(
        '"' + lines()[:-1].replace(",", '","').replace("\n", '"\n"') + '"\n'
    ),
    "ends.csv": lambda path: path.write_text(lines().replace("\n", ",\n")),
    "word2vec.txt": lambda path: path.write_text(lines().replace(",", " ").replace("\n", " \n")),
    "spaces.txt": lambda path: np.savetxt(path, VALUES),
    "tabs.tsv": lambda path: path.write_text(lines().replace(",", "\t")),
    "semicolons.csv": lambda path: path.write_text(lines().replace(",", ";")),
    "pandas.csv": lambda path: path.write_text(lines(*range(6), header=",a,b,c")),
    "columns.parquet": lambda path: frame().write_parquet(path),
    "lists.parquet": lambda path: pl.DataFrame({"e": VALUES.tolist()}).write_parquet(path),
    "arrays.parquet": lambda path: pl.DataFrame({"e": VALUES}).write_parquet(path),
    "index.parquet": lambda path: frame(__index_level_0__=range(6)).write_parquet(path),
}
WITH_IDS = {
    "named.csv": lambda path: path.write_text(lines(*IDS, header="item_id,x,y,z")),
    "typed.csv": lambda path: path.write_text(lines(*IDS, header="item_id:token,x,y,z")),
    "text.csv": lambda path: path.write_text(lines(*IDS)),
    **{
        f"{name}.csv": lambda path, name=name: path.write_text(
            lines(*IDS, header=f"{name},x,y,z").replace("B", "")
        )
        for name in ("book_id", "songId", "gameid", "recipe_id", "artist id")
    },
    "numbers.parquet": lambda path: frame(book_id=NUMBERS).write_parquet(path),
    "quoted.csv": lambda path: path.write_text(lines(*(f'"{raw}"' for raw in IDS))),
    "blank.csv": lambda path: path.write_text(lines(*IDS).replace("\n", "\n\n")),
    "text.tsv": lambda path: path.write_text(lines(*IDS).replace(",", "\t")),
    "columns.parquet": lambda path: frame(asin=IDS).write_parquet(path),
    "lists.parquet": lambda path: pl.DataFrame({"asin": IDS, "e": VALUES.tolist()}).write_parquet(
        path
    ),
}


@pytest.mark.parametrize("name", WRITE)
def test_every_kind_of_file_is_read(tmp_path, name):
    WRITE[name](tmp_path / name)
    read = files.read(tmp_path / name)
    assert (read.values.dtype, read.ids) == (np.float32, None)
    np.testing.assert_allclose(read.values, VALUES, rtol=1e-6)


@pytest.mark.parametrize("name", WITH_IDS)
def test_ids_in_a_table_are_found(tmp_path, monkeypatch, name):
    no_trial(monkeypatch)
    WITH_IDS[name](tmp_path / name)
    read = files.read(tmp_path / name)
    assert read.ids in (IDS, tuple(map(str, NUMBERS)))
    np.testing.assert_allclose(read.values, VALUES, rtol=1e-6)


def test_what_is_guessed_is_said(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(lines(*(12, 5, 9, 3, 99, 1)))
    read = files.read(path)
    assert read.ids == ("12", "5", "9", "3", "99", "1")
    assert (
        read.said == f"{path}: the first column, the only one of whole numbers, is taken as raw ids"
    )
    assert files.read(path, guess_ids=False).values.shape == (6, 4)
    path.write_text(lines(*(12, 5, 9, 3, 99, 12)))  # not all different
    assert files.read(path).values.shape == (6, 4)
    path.write_text("1,2\n2,3\n3,5\n")  # whole numbers like the others
    assert files.read(path).values.shape == (3, 2)
    path.write_text(lines(header="0,1,2"))
    assert files.read(path).said == f"{path}: its first line is taken as names"


@pytest.mark.encode
def test_tensors_of_torch_are_read(tmp_path):
    import torch

    path = tmp_path / "a.pt"
    whole = torch.tensor(VALUES)
    for saved, expected in (
        (whole, VALUES),
        (whole.double(), VALUES),
        (whole.half(), VALUES.astype("f2")),
        (whole.T, VALUES.T),
        (whole[2:5], VALUES[2:5]),
        (torch.nn.Parameter(whole), VALUES),
        ({"image": whole}, VALUES),
        (VALUES, VALUES),
    ):
        torch.save(saved, path)
        np.testing.assert_array_equal(files.read(path).values, expected)
    torch.save(whole.bfloat16(), path)
    np.testing.assert_array_equal(files.read(path).values, whole.bfloat16().float())
    for saved, says in (
        (whole[:, :2], "strides (3, 1); save tensor.contiguous()"),
        (whole[:1].expand(5, 3), "strides (0, 1)"),
        (whole[0], "has the shape (3,)"),
        (whole[:0], "it has no rows"),
        (whole.int(), "torch.IntStorage, which is not allowed"),
        ({"a": whole, "b": whole}, "no single tensor"),
        ([whole], "EMPTY_LIST"),
        (torch.nn.Linear(2, 3), "torch.nn.modules.linear.Linear, which is not allowed"),
    ):
        torch.save(saved, path)
        assert says in refusal(path)
    torch.save(whole, path, _use_new_zipfile_serialization=False)
    assert "since torch 1.6" in refusal(path)


def refusal(path):
    with pytest.raises(InputError) as caught:
        files.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message


def archive(
    path, data=None, member="data/0", program=None, packing=zipfile.ZIP_STORED, order="little"
):
    """A file as torch.save writes it, made by hand."""
    with zipfile.ZipFile(path, "w", packing) as file:
        file.writestr("x/data.pkl", tensor() if program is None else program)
        file.writestr("x/byteorder", order)
        file.writestr(f"x/{member}", VALUES.tobytes() if data is None else data)


def tensor(count=18, shape=(6, 3), stride=(3, 1), offset=0, kind="FloatStorage", key="0"):
    """The pickle of a tensor, without torch."""
    persistent = b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu")
    persistent += pickle.dumps(count, 2)[2:-1] + b"tQ"
    rest = b"".join(pickle.dumps(part, 2)[2:-1] for part in (offset, shape, stride, False))
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + persistent + rest + hooks + b"tR."


def text(value):
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def test_a_tensor_made_by_hand_is_read(tmp_path):
    archive(tmp_path / "a.pt")
    np.testing.assert_array_equal(torch_file.read(tmp_path / "a.pt"), VALUES)
    archive(tmp_path / "a.pt", VALUES.astype(">f4").tobytes(), order="big")
    np.testing.assert_array_equal(torch_file.read(tmp_path / "a.pt"), VALUES)
    archive(tmp_path / "a.pt", VALUES.T.tobytes(), program=tensor(stride=(1, 6)))
    np.testing.assert_array_equal(torch_file.read(tmp_path / "a.pt"), VALUES)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data": b"short"}, "does not hold the 18 values"),
        ({"member": "data/1"}, "has no values of its tensor"),
        ({"packing": zipfile.ZIP_DEFLATED}, "has them compressed"),
        ({"program": tensor(count=17)}, "does not hold the 17 values"),
        ({"program": tensor(offset=1)}, "larger than its values"),
        ({"program": tensor(offset=-1)}, "has no values"),
        ({"program": tensor(shape=(1 << 30, 1 << 30), stride=(0, 0))}, "larger than its values"),
        ({"program": tensor(stride=(0, 0))}, "strides (0, 0)"),
        ({"program": tensor(shape=(1 << 30, 3))}, "larger than its values"),
        ({"program": tensor(shape=(6, 3.0))}, "something else than lengths"),
        ({"program": tensor(key="../../canary")}, "has no values of its tensor"),
        ({"program": tensor(kind="LongStorage")}, "torch.LongStorage, which is not allowed"),
        ({"program": b"\x80\x02cos\nsystem\n" + text("true") + b"\x85R."}, "os.system"),
        ({"program": pickle.dumps(None)}, "no single tensor"),
        ({"program": b"\x80\x02" + b"N" * 2_000_000 + b"."}, "no data.pkl of a single tensor"),
        ({"program": b""}, "damaged"),
        ({"order": "0" * 99_999_999, "packing": zipfile.ZIP_DEFLATED}, "neither little nor big"),
    ],
)
def test_odd_and_hostile_tensors_are_refused(tmp_path, changes, says):
    archive(tmp_path / "a.pt", **changes)
    assert says in refusal(tmp_path / "a.pt")


class Touch:
    """Pickles as a call that makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("suffix", ["pkl", "pickle", "pt", "npz", "npy"])
def test_nothing_in_a_file_is_run(tmp_path, suffix):
    canary, path = tmp_path / "canary", tmp_path / f"a.{suffix}"
    call = pickle.dumps(Touch(canary))
    if suffix == "pt":
        archive(path, program=call)
    elif suffix in ("npz", "npy"):
        save = np.savez if suffix == "npz" else np.save
        save(path, np.array([Touch(canary)], object), allow_pickle=True)
    else:
        path.write_bytes(call)
    refusal(path)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.pkl", pickle.dumps(VALUES.astype(int)), "holds integers (int64)"),
        ("a.pkl", pickle.dumps(VALUES[0]), "is not 2-d"),
        ("a.pkl", pickle.dumps({"a": VALUES}), "is not an array"),
        ("a.pkl", pickle.dumps([VALUES]), "EMPTY_LIST"),
        ("a.pkl", pickle.dumps(VALUES[:0]), "it has no rows"),
        ("a.csv", b"", "is empty"),
        ("a.csv", lines().encode() + b"1,x,3\n", "could not parse `x`"),
        ("a.csv", lines().encode() + b"1,2,3,4\n", "found more fields"),
        ("a.csv", lines().encode() + b"1,2\n", "1 NaN or infinite values, the first in row 6"),
        ("a.csv", lines().encode() + b"1,1e300,2\n", "1 NaN or infinite values"),
        ("a.csv", b"1,2\n,\n3,4\n", "2 NaN or infinite values, the first in row 1"),
        ("a.csv", b"1,2\n\n3,4\n", "2 NaN or infinite values, the first in row 1"),
        ("a.csv", lines(*"aabcde").encode(), "the id 'a' twice"),
        ("a.csv", lines(*["", *"abcde"]).encode(), "a row without an id"),
        ("a.csv", b"item_id\n1\n2\n", "no column of numbers"),
        ("a.csv", b"1," * 30_000 + b"1\n", "30001 columns, more than 20000"),
        ("a.csv", b"\x1f\x8b" + bytes(50), "is compressed; unpack it first"),
        ("a.npz", b"PK\x03\x04 no archive", "damaged (BadZipFile"),
        ("a.parquet", b"PAR1 nothing PAR1", "cannot be read as a table"),
        ("a.parquet", b"nothing", "it is no Parquet file"),
        ("a.h5", b"\x89HDF", "nor one of .npz, .pt"),
    ],
)
def test_what_is_no_features_is_refused(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    assert says in refusal(tmp_path / name)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"e": [[1.0], [1.0, 2.0]]}, "not all of one length"),
        ({"e": [[1.0], [2.0]], "x": [1.0, 2.0]}, "other columns beside the lists"),
        ({"a": ["x", "y"], "b": ["x", "y"]}, "several columns that may be ids, 'a', 'b'"),
        ({"asin": ["x", "y"], "book_id": [4, 7], "b": [1.0, 2.0]}, "ids, 'asin', 'book_id'"),
        ({"a": ["x", "x"], "b": [1.0, 2.0]}, "the id 'x' twice"),
        ({"a": [True, False]}, "holds Boolean, not numbers"),
        ({"a": ["x", "y"]}, "no column of numbers"),
        ({"a": pl.Series([], dtype=pl.String), "b": pl.Series([], dtype=pl.Float32)}, "no rows"),
    ],
)
def test_odd_parquet_is_refused(tmp_path, columns, says):
    pl.DataFrame(columns).write_parquet(tmp_path / "a.parquet")
    assert says in refusal(tmp_path / "a.parquet")


def test_bombs_are_refused(tmp_path):
    zeros = np.zeros((1 << 13, 1 << 12), np.float32)  # 128 MB
    np.savez_compressed(tmp_path / "a.npz", zeros)
    assert (tmp_path / "a.npz").stat().st_size < 1 << 18
    assert "unpacks to" in refusal(tmp_path / "a.npz")
    constant = pl.select(**{f"c{place}": pl.repeat(0.5, 1 << 18) for place in range(99)})
    constant.write_parquet(tmp_path / "a.parquet")
    assert "more than its size can" in refusal(tmp_path / "a.parquet")


# Folders


OTHERS = {
    "audio_feat.csv": "plain.csv",
    "text_feat.npz": "a.npz",
    "video_feat.pkl": "protocol5.pkl",
}


@pytest.fixture(name="folder")
def _folder(tmp_path):
    """A folder with image features as .npy and others beside it, of 40 items."""
    folder = writers.write_mmssl(world(), tmp_path / "data")
    (folder / "text_feat.npy").unlink()
    values = np.random.default_rng(1).normal(size=(world().num_items, 3)).astype(np.float32)
    np.savetxt(folder / "audio_feat.csv", values, delimiter=",")
    np.savez(folder / "text_feat.npz", values + 1)
    (folder / "video_feat.pkl").write_bytes(pickle.dumps(values + 2))
    return folder


def test_training_names_what_it_does_not_read(folder):
    dataset = load(str(folder))
    assert list(dataset.features) == ["image"]
    _, findings = doctor.examine(folder, "")
    for name in OTHERS:
        modality = name.partition("_")[0]
        says = f"{folder / name}: is not read; --modality {modality}={folder / name} of import"
        assert sum(says in text for text in dataset.warnings) == 1
        assert sum(says in one.message for one in findings.listed) == 1


def test_without_any_npy_the_error_names_what_there_is(folder):
    (folder / "image_feat.npy").unlink()
    says = r"no <modality>_feat\.npy found, but audio_feat\.csv, text_feat\.npz, video_feat\.pkl, w"
    with pytest.raises(InputError, match=says):
        load(str(folder))
    with pytest.raises(InputError, match=r"asks for 'text', found: no modality, but audio"):
        load(str(folder), "text")
    assert load(str(folder), "none").features == {}


def test_import_makes_them_npy(folder, tmp_path, capsys):
    mmssl("data", "import", str(folder), "--to", str(tmp_path / "out"))
    dataset = load(str(tmp_path / "out"))
    assert list(dataset.features) == ["audio", "image", "text", "video"]
    np.testing.assert_allclose(dataset.features["text"], dataset.features["audio"] + 1, rtol=1e-5)
    np.testing.assert_allclose(dataset.features["video"], dataset.features["audio"] + 2, rtol=1e-5)
    source = json.loads((tmp_path / "out" / "dataset.json").read_text())["source"]
    assert source["files"].keys() >= set(OTHERS)
    assert "not read" not in capsys.readouterr().out


def test_import_says_what_it_cannot_read_and_goes_on(folder, tmp_path, capsys):
    (folder / "text_feat.npz").write_bytes(b"PK\x03\x04 nothing")
    mmssl("data", "import", str(folder), "--to", str(tmp_path / "out"))
    assert list(load(str(tmp_path / "out")).features) == ["audio", "image", "video"]
    printed = capsys.readouterr().out
    assert f"warning: {folder / 'text_feat.npz'}: refused as features" in printed
    assert "text is left out, and --modality text=FILE takes another file" in printed
    argv = [str(folder), "--dry-run", "--modality", f"text={folder / 'text_feat.npz'}"]
    with pytest.raises(InputError, match=r"text_feat\.npz: refused as features"):
        mmssl("data", "import", *argv)


def test_a_npy_of_the_name_is_what_is_read(folder, tmp_path, capsys):
    np.save(folder / "text_feat.npy", np.ones((world().num_items, 2), np.float32))
    mmssl("data", "import", str(folder), "--to", str(tmp_path / "out"))
    assert load(str(tmp_path / "out")).features["text"].shape[1] == 2
    assert "text_feat.npz: is not read; --modality NAME=FILE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("clip_embeddings.pt", "--modality NAME=FILE of import takes it"),
        ("item_emb.csv", "--modality NAME=FILE of import takes it"),
        ("text_feat.h5", "save the array with numpy.save"),
        ("text_features.json", "save the array with numpy.save"),
        ("vgg.mat", "save the array with numpy.save"),
        ("text_feat.pt.gz", "unpack it to <modality>_feat.npy"),
        ("image_adj_10.pt", None),
        ("s_adj_mat.npz", None),
        ("user_graph_dict.npy", None),
        ("formats.npz", "--modality NAME=FILE of import takes it"),
        ("item_attribute.csv", None),
        ("features.md", None),
        ("readme.txt", None),
    ],
)
def test_names_that_look_like_features(tmp_path, name, said):
    folder = writers.write_canonical(world(), tmp_path / "data")
    (folder / name).write_bytes(b"")
    warned = [text for text in load(str(folder)).warnings if "is not read" in text]
    assert len(warned) == (said is not None)
    assert said is None or said in warned[0]


def test_beside_tables_they_are_named(tmp_path, capsys):
    folder = tmp_path / "shop"
    folder.mkdir()
    for place, split in enumerate(("train", "val", "test")):
        rows = [f"u{user},i{(user + 3 * place + item) % 9}" for user in range(9) for item in (0, 1)]
        (folder / f"{split}.csv").write_text("\n".join(["user,item", *rows]) + "\n")
    WRITE["plain.csv"](folder / "audio_feat.csv")
    mmssl("data", "import", str(folder), "--dry-run")
    printed = capsys.readouterr().out
    assert f"{folder / 'audio_feat.csv'}: is not read, as items go by their sorted ids" in printed
    assert "--modality audio=FILE takes it" in printed


def test_matrices_are_no_features(tmp_path):
    folder = writers.write_diffmm(world(), tmp_path / "data")
    for path in folder.glob("*Mat.pkl"):
        path.rename(folder / path.name.replace("Mat", "_mat"))
    assert not any("is not read" in text for text in load(str(folder)).warnings)


def test_ids_of_a_table_say_which_item_a_row_is(tmp_path):
    ids = tuple(f"B{place:03}" for place in range(world().num_items))
    named = dataclasses.replace(world(), item_ids=ids)
    folder = writers.write_canonical(named, tmp_path / "data")
    path = tmp_path / "sound.csv"
    rows = [f"{raw},{place}.5,1" for place, raw in enumerate(ids)][:0:-1]  # one item is not there
    path.write_text("\n".join(rows) + "\n")
    mmssl(
        "data", "import", str(folder), "--to", str(tmp_path / "out"), "--modality", f"sound={path}"
    )
    dataset = load(str(tmp_path / "out"))
    np.testing.assert_array_equal(dataset.present["sound"], np.arange(len(ids)) > 0)
    np.testing.assert_array_equal(dataset.features["sound"][1:, 0], np.arange(1, len(ids)) + 0.5)
    order = tmp_path / "order.txt"
    order.write_text("".join(f"{raw}\n" for raw in ids))
    argv = ["--to", "x", "--modality", f"sound={path}", "--item-order", str(order)]
    with pytest.raises(InputError, match="has a column of ids, so leave out --item-order"):
        mmssl("data", "import", str(folder), *argv)
    assert not Path("x").exists()


def test_ids_are_indices_where_there_are_no_raw_ids(tmp_path):
    folder = writers.write_diffmm(world(), tmp_path / "data")
    path = tmp_path / "sound.csv"
    count = world().num_items
    path.write_text("item,a,b\n" + "".join(f"{i},{i}.5,1\n" for i in reversed(range(count))))
    argv = [str(folder), "--to", str(tmp_path / "out"), "--modality", f"sound={path}"]
    mmssl("data", "import", *argv)
    values = load(str(tmp_path / "out")).features["sound"]
    np.testing.assert_array_equal(values[:, 0], np.arange(count) + 0.5)
    path.write_text("item,a,b\nB1,1.5,2\n")
    with pytest.raises(InputError, match="has raw ids, but the data has none"):
        mmssl("data", "import", *argv, "--overwrite")
    path.write_text("item,a,b\n40000000,1.5,2\n")
    with pytest.raises(InputError, match="look for a stray large id"):
        mmssl("data", "import", *argv, "--overwrite", "--catalogue", "keep")
