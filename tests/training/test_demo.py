"""The demo: what content brings there, with the whole game on."""

import dataclasses

import pytest

from mmssl_jax import config as configs
from mmssl_jax import data, models, training


@pytest.fixture(scope="module")
def demo():
    return data.load(data.DEMO)


def recall(dataset, folder):
    """Test Recall@20 of a short run of the demo's config with a narrow critic."""
    config = configs.Config()
    config.data.path = data.DEMO
    config.train.epochs, config.train.learning_rate, config.critic.hidden = 3, 5e-3, 64
    config.train.evaluate_every = 3  # there is none to choose from
    config = models.resolve(config)
    return training.train(config, dataset, folder)["test/recall@20"]


def test_content_brings_much_on_the_demo(demo, tmp_path):
    without = dataclasses.replace(demo, features={})
    bare = recall(without, tmp_path / "none")
    full = recall(demo, tmp_path / "all")
    assert full >= 1.3 * bare > 0.05, "random would be 20 / 2400"
