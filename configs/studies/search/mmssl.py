"""A search of MMSSL that any data set can have; critic, contrast and fusion are off.

mmssl tune --config configs/studies/search/mmssl.py --config.data.path=FOLDER --trials 20

It is that of configs/tiktok_mmssl.py.
"""

from typing import Any

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/tiktok"
    config.data.standardize = True
    config.model.embedding_dim = 128
    config.train.patience = 40
    config.critic.enabled = False
    config.mmssl.normalization = "symmetric"
    config.mmssl.last_softmax = False
    config.mmssl.modality_graph = "none"  # and so neither contrast nor fusion
    return config


def get_search_space() -> dict[str, Any]:
    """What `mmssl tune` searches."""
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        "mmssl.learning_rate": FloatDistribution(1e-3, 5e-3, log=True),
        "train.embedding_l2": FloatDistribution(1e-5, 1e-1, log=True),
        "mmssl.modality_weight": FloatDistribution(0.05, 1.0, log=True),
        "mmssl.feature_dropout": FloatDistribution(0.0, 0.5),
        "model.layers": IntDistribution(1, 4),
    }
