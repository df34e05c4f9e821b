"""TikTok: LightGCN, as wide as MMSSL in configs/tiktok.py, in the best setting of a search.

python train.py --config configs/tiktok_lightgcn.py
python evaluate.py --config configs/tiktok_lightgcn.py

The search: python -m mmssl_jax.tune --config configs/tiktok_lightgcn.py --trials 20 --seeds 2
"""

from typing import Any

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/tiktok"
    config.data.modalities = "none"
    config.model.name = "lightgcn"
    config.model.embedding_dim = 128
    config.model.layers = 2
    config.train.learning_rate = 2.4e-3
    config.train.embedding_l2 = 6.7e-3
    return config


def get_search_space() -> dict[str, Any]:
    """What `python -m mmssl_jax.tune` searches."""
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        "train.learning_rate": FloatDistribution(2e-4, 4e-3, log=True),
        "train.embedding_l2": FloatDistribution(1e-6, 1e-2, log=True),
        "model.layers": IntDistribution(1, 5),
    }
