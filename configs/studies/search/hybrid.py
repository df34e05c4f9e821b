"""A search of the hybrid that any data set can have.

mmssl tune --config configs/studies/search/hybrid.py --config.data.path=FOLDER --trials 20
"""

from typing import Any

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/tiktok"
    config.model.name = "hybrid"
    return config


def get_search_space() -> dict[str, Any]:
    """What `mmssl tune` searches."""
    from optuna.distributions import FloatDistribution

    return {
        "train.learning_rate": FloatDistribution(5e-4, 2e-3, log=True),
        "train.embedding_l2": FloatDistribution(2.5e-3, 1e-1, log=True),
        "hybrid.user_exponent": FloatDistribution(0.5, 1.0),
        "hybrid.content_exponent": FloatDistribution(0.0, 1.25),
    }
