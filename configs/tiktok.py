"""TikTok (9308 users, 6710 items; image 128, text 768, audio 128), the authors' published settings.

python train.py --config configs/tiktok.py --config.data.path=FOLDER
python evaluate.py --config configs/tiktok.py

Published: test Recall@20 .0921, NDCG@20 .0392 (WWW 2023, all three modalities).
Expected with image and audio alone, and --config.critic.enabled=False for speed: test Recall@20
about .083, NDCG@20 .035 (docs/results.md).
"""

from typing import Any

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/tiktok"
    config.mmssl.learning_rate = 5.4e-4
    config.mmssl.adversarial_weight = 1.8e-3
    config.mmssl.real_temperature = 0.002
    return config


def get_search_space() -> dict[str, Any]:
    """What `python -m mmssl_jax.tune --config configs/tiktok.py --trials N` searches."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    return {
        "mmssl.learning_rate": FloatDistribution(3e-4, 1e-2, log=True),
        "mmssl.normalization": CategoricalDistribution(["one_sided", "symmetric"]),
        "mmssl.last_softmax": CategoricalDistribution([True, False]),
        "mmssl.modality_graph": CategoricalDistribution(["none", "observed", "top_k"]),
        "mmssl.contrast_fused": CategoricalDistribution([True, False]),
        "mmssl.contrastive_weight": FloatDistribution(3e-3, 0.3, log=True),
        "mmssl.temperature": FloatDistribution(0.1, 1.0, log=True),
        "mmssl.modality_weight": FloatDistribution(0.05, 2.0, log=True),
        "mmssl.feature_dropout": FloatDistribution(0.0, 0.5),
        "data.standardize": CategoricalDistribution([True, False]),
        "model.layers": IntDistribution(1, 4),
    }
