"""TikTok (9308 users, 6710 items; image 128, text 768, audio 128), the authors' published settings.

python train.py --config configs/tiktok_released.py --config.data.path=FOLDER
python evaluate.py --config configs/tiktok_released.py

configs/tiktok.py has other settings.

Published: test Recall@20 .0921, NDCG@20 .0392 (WWW 2023, all three modalities).
"""

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/tiktok"
    config.mmssl.learning_rate = 5.4e-4
    config.mmssl.adversarial_weight = 1.8e-3
    config.mmssl.real_temperature = 0.002
    config.mmssl.graph_rate = 0.01
    return config
