"""Shapes in colours, which examples/shapes.py draws: GENERATED data whose users' tastes are known.

python examples/shapes.py --to data/shapes
python train.py --config configs/shapes.py
python evaluate.py --config configs/shapes.py

It says nothing about real data.
"""

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/shapes"
    config.train.epochs = 30
    config.train.batch_size = 256
    config.mmssl.learning_rate = 1e-3
    config.critic.hidden = 64
    return config
