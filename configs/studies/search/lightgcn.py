"""A search of LightGCN that any data set can have, as wide as in configs/tiktok_lightgcn.py.

mmssl tune --config configs/studies/search/lightgcn.py --config.data.path=FOLDER --trials 20
"""

from typing import Any

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/tiktok"
    config.data.modalities = "none"
    config.model.name = "lightgcn"
    config.model.embedding_dim = 128
    config.train.patience = 40
    return config


def get_search_space() -> dict[str, Any]:
    """What `mmssl tune` searches."""
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        "train.learning_rate": FloatDistribution(2e-4, 4e-3, log=True),
        "train.embedding_l2": FloatDistribution(1e-6, 1e-1, log=True),
        "model.layers": IntDistribution(1, 5),
    }
