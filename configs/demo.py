"""The built-in demo: GENERATED data with planted structure, three modalities, critic on.

python train.py --config configs/demo.py
python evaluate.py --config configs/demo.py

Expected on this data: test Recall@20 about .210, and .115 with --config.data.modalities=none (seed
2022, a CPU). It says nothing about real data.
"""

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = ":demo:"
    config.train.epochs = 10
    config.mmssl.learning_rate = 5e-3
    return config
