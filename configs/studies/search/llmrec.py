"""A search of LLMRec that any data set with its side information can have.

mmssl tune --config configs/studies/search/llmrec.py --config.data.path=FOLDER --trials 20
"""

from typing import Any

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/tiktok-stand-in"
    config.model.name = "llmrec"
    config.model.embedding_dim = 128
    config.train.patience = 20
    return config


def get_search_space() -> dict[str, Any]:
    """What `mmssl tune` searches."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    return {
        "train.learning_rate": FloatDistribution(5e-4, 2e-2, log=True),
        "train.weight_decay": FloatDistribution(1e-3, 1.0, log=True),
        "llmrec.profile_weight": FloatDistribution(0.02, 3.0, log=True),
        "llmrec.modality_weight": FloatDistribution(0.005, 0.5, log=True),
        "llmrec.pruned": FloatDistribution(0.0, 0.8),
        "llmrec.last_softmax": CategoricalDistribution([True, False]),
        "model.layers": IntDistribution(1, 3),
    }
