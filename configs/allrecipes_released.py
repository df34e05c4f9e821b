"""Allrecipes (image 2048, text 20): the authors' published settings.

python train.py --config configs/allrecipes_released.py --config.data.path=FOLDER
python evaluate.py --config configs/allrecipes_released.py

Published: test Recall@20 .0367, NDCG@20 .0135 (WWW 2023).
"""

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/allrecipes"
    config.mmssl.learning_rate = 5.6e-4
    config.critic.learning_rate = 2.5e-4
    config.mmssl.adversarial_weight = 3e-4
    config.mmssl.graph_rate, config.mmssl.graph_refresh = 0.02, 2
    config.mmssl.real_temperature = 0.02
    config.mmssl.temperature = 0.3
    config.mmssl.id_weight = 0.34
    return config
