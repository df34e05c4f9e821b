"""TikTok: LightGCN in its best setting so far; width, rate, L2 and layers are MMSSL's as well.

python train.py --config configs/tiktok_lightgcn.py
python evaluate.py --config configs/tiktok_lightgcn.py

Five seeds: test Recall@20 .1081 +- .0032, NDCG@20 .0506 +- .0038. docs/results.md has the runs, and
how the setting was chosen on validation.
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
    config.train.embedding_l2 = 2e-2
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
