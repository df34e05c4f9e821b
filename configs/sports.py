"""Amazon-Sports (35598 users, 18357 items; image 4096, text 1024): the authors' settings but one.

python train.py --config configs/sports.py --config.data.path=FOLDER
python evaluate.py --config configs/sports.py

One setting is not theirs: the softmax of the last layer, which cost a tenth of the validation
Recall@20 on TikTok (docs/results.md), is off. configs/sports_released.py has all of theirs.

Published: test Recall@20 .0998, NDCG@20 .0470 (WWW 2023).
"""

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/sports"
    config.mmssl.last_softmax = False
    config.mmssl.learning_rate = 5e-4
    config.mmssl.adversarial_weight = 1e-4
    config.mmssl.graph_rate, config.mmssl.graph_refresh = 0.02, 2
    config.mmssl.real_temperature = 0.002
    return config
