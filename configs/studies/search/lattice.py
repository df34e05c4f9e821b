"""A search of LATTICE that any data set can have.

mmssl tune --config configs/studies/search/lattice.py --config.data.path=FOLDER --trials 20
"""

from typing import Any

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/tiktok"
    config.model.name = "lattice"
    config.model.embedding_dim = 128
    return config


def get_search_space() -> dict[str, Any]:
    """What `mmssl tune` searches."""
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        "train.learning_rate": FloatDistribution(2e-4, 4e-3, log=True),
        "train.embedding_l2": FloatDistribution(1e-6, 1e-1, log=True),
        "item_graph.neighbors": IntDistribution(5, 20),
        "item_graph.raw_weight": FloatDistribution(0.1, 1.0),
        "model.layers": IntDistribution(1, 3),
    }
