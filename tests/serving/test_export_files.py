"""What an export has on request; other programs read it without this package."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from uneven import COLD, ITEM_IDS, USER_IDS
from worlds import ITEMS, Place, refused, snapshot

from mmssl_jax.commands import call
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import session


def exported(place: Place, folder, also: str) -> set[str]:
    call(["export", *place.argv(f"--to={folder}", f"--also={also}")])
    always = {"lists.npz", "vectors.npz", "export.json", "files.sha256"}
    return {path.name for path in folder.iterdir()} - always


def test_vectors_are_the_same_in_every_format(places, tmp_path):
    faiss = pytest.importorskip("faiss")
    safetensors = pytest.importorskip("safetensors.numpy")
    found = exported(places("vbpr"), tmp_path / "to", "npy,safetensors,faiss")
    of_npy = {"users.npy", "items.npy", "known_users.npy"}
    assert found == {*of_npy, "vectors.safetensors", "items.faiss", "users.tsv", "items.tsv"}
    with np.load(tmp_path / "to" / "vectors.npz") as content:
        vectors = {name: content[name] for name in ("users", "items", "known_users")}
    packed = safetensors.load_file(tmp_path / "to" / "vectors.safetensors")
    assert packed.keys() == vectors.keys()
    for name, array in vectors.items():
        np.testing.assert_array_equal(packed[name], array, strict=True)
        np.testing.assert_array_equal(np.load(tmp_path / "to" / f"{name}.npy"), array, strict=True)
    index = faiss.read_index(str(tmp_path / "to" / "items.faiss"))
    assert index.ntotal == ITEMS
    _, items = index.search(vectors["users"][:4], 5)
    expected = np.argsort(-(vectors["users"][:4] @ vectors["items"].T), axis=1)[:, :5]
    np.testing.assert_array_equal(items, expected)
    lines = (tmp_path / "to" / "items.tsv").read_text().splitlines()
    assert lines == [f"{index}\t{name}" for index, name in enumerate(ITEM_IDS)]
    assert len((tmp_path / "to" / "users.tsv").read_text().splitlines()) == len(USER_IDS)
    assert COLD not in np.flatnonzero(packed["known_users"])


SCRIPT = """
import sys
import jax, jax.export
import numpy as np

assert not any(name.startswith("mmssl_jax") for name in sys.modules)
program = jax.export.deserialize(bytearray(open("scoring.jax", "rb").read()))
with np.load("scoring.npz", allow_pickle=False) as content:
    arrays = [content[name] for name in sorted(content.files)]
users = np.zeros(64, np.int32)
users[:30] = range(30)
np.save("scores.npy", program.call(*arrays, users)[:30])
assert not any(name.startswith("mmssl_jax") for name in sys.modules)
"""


@pytest.mark.parametrize("model", ["vbpr", "ease", "hybrid", "popularity"])
def test_the_scoring_runs_in_a_process_without_the_package(places, tmp_path, model):
    pytest.importorskip("flatbuffers")
    place, folder = places(model), tmp_path / "to"
    assert {"scoring.jax", "scoring.npz"} <= exported(place, folder, "stablehlo")
    line = [sys.executable, "-P", "-c", SCRIPT]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    run = RunFolder(place.run)
    trained = session.best_of_run(*session.open_run(run), run)
    scores = trained.model.score(trained.representation(), jax.numpy.arange(30))
    np.testing.assert_allclose(np.load(folder / "scores.npy"), scores, rtol=1e-5, atol=1e-6)


def test_a_model_card_has_the_data_the_results_the_limits_and_the_settings(places, tmp_path):
    yaml = pytest.importorskip("yaml")
    place = places("vbpr")
    assert exported(place, tmp_path / "to", "card") == {"README.md"}
    text = (tmp_path / "to" / "README.md").read_text()
    _, header, body = text.split("---\n", 2)
    about, results = yaml.safe_load(header), place.results
    assert about["library_name"] == "mmssl_jax"
    (found,) = about["model-index"][0]["results"]
    values = {each["type"]: each["value"] for each in found["metrics"]}
    assert values["recall@20"] == results["test/recall@20"]
    assert len(values) == len([key for key in results if key.startswith("test/") and "@" in key])
    assert f"`{results['data_fingerprint']}`" in body
    assert f"| recall@20 | {results['test/recall@20']:.4f} |" in body
    assert "It cannot serve a user who was not in training." in body
    assert "without a training pair gets the most popular" in body
    settings = json.loads(body.split("```json\n")[1].split("```")[0])
    assert settings["train.seed"] == results["seed"]
    assert "data.path" not in settings
    for heading in ("## Files", "## Data", "## Results", "## Limits", "## Settings"):
        assert heading in body


@pytest.mark.parametrize(
    ("model", "also", "message"),
    [
        ("vbpr", "onnx", "--also has 'onnx'; it can have npy, safetensors, faiss, stablehlo, card"),
        ("ease", "card,npy,faiss", "'ease' has no vectors, as its scores are no inner products"),
    ],
)
def test_what_cannot_be_exported_leaves_nothing(places, tmp_path, capsys, model, also, message):
    argv = places(model).argv(f"--to={tmp_path / 'to'}", f"--also={also}")
    before = snapshot(tmp_path)
    assert refused("export", argv, capsys).startswith(message)
    assert snapshot(tmp_path) == before
