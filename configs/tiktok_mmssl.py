"""TikTok (9308 users, 6710 items; image 128, text 768, audio 128): the best setting of MMSSL.

python train.py --config configs/tiktok_mmssl.py --config.data.path=FOLDER
python evaluate.py --config configs/tiktok_mmssl.py

With image and audio, five seeds: test Recall@20 .1104 +- .0014, NDCG@20 .0484 +- .0015. Published:
.0921, .0392 (WWW 2023, all three modalities). docs/results.md has the runs, how the setting was
chosen on validation, and that LightGCN in that of configs/tiktok_lightgcn.py does as well.
configs/tiktok_released.py has the settings of the authors.
"""

from typing import Any

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/tiktok"
    config.data.standardize = True
    config.model.embedding_dim = 128
    config.train.embedding_l2 = 2e-2
    config.train.patience = 40  # validation goes up and down, and may rise for 130 epochs
    config.critic.enabled = False
    config.mmssl.normalization = "symmetric"
    config.mmssl.last_softmax = False
    config.mmssl.modality_graph = "none"  # and so neither contrast nor fusion
    config.mmssl.modality_weight = 0.3
    config.mmssl.learning_rate = 2.4e-3
    return config


def get_search_space() -> dict[str, Any]:
    """What `mmssl tune --config configs/tiktok_mmssl.py --trials N` searches."""
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        "mmssl.learning_rate": FloatDistribution(1e-3, 5e-3, log=True),
        "train.embedding_l2": FloatDistribution(3e-3, 1e-1, log=True),
        "mmssl.modality_weight": FloatDistribution(0.05, 1.0, log=True),
        "mmssl.feature_dropout": FloatDistribution(0.0, 0.5),
        "model.layers": IntDistribution(1, 4),
    }
