"""TikTok (9308 users, 6710 items; image 128, text 768, audio 128): the best setting so far.

python train.py --config configs/tiktok.py --config.data.path=FOLDER
python evaluate.py --config configs/tiktok.py

It is the hybrid of item vectors and content, chosen on validation; docs/results.md has the runs.
configs/tiktok_mmssl.py has the best setting of MMSSL, configs/tiktok_released.py that of its
authors. `--config.hybrid.members=3` averages three models, in three times the time.
"""

from typing import Any

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/tiktok"
    config.model.name = "hybrid"
    config.hybrid.user_exponent = 1.0
    config.hybrid.content = (0.8,)
    config.hybrid.content_exponent = 1.0
    config.hybrid.shrinkage = 20_000.0
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
