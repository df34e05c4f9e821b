"""Each model, from the command to its scores: an epoch, then the evaluation of its checkpoint."""

import json

import pytest
from worlds import Place

from mmssl_jax.models import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_an_epoch_of_each_model(tmp_path, name):
    place = Place(tmp_path)
    flags = ["--config.data.modalities=", "--config.train.epochs=1", "--config.critic.enabled"]
    if name == "ease":
        flags.append("--config.ease.l2=(10.0,)")
    place.train(f"--config.model.name={name}", "--config.item_graph.neighbors=5", *flags)
    assert len(place.metrics) == 1
    found = {name: value for name, value in place.results.items() if "@" in name}
    assert {"val/recall@20", "test/ndcg@5"} <= found.keys()
    assert all(0 <= value <= 1 for value in found.values())
    place.evaluate(f"--json={tmp_path / 'scores.json'}")
    again = json.loads((tmp_path / "scores.json").read_text())
    assert {name: again[name] for name in found} == found
