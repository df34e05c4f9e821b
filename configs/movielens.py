"""MovieLens, with features of its posters and plots. No published settings: the defaults.

python train.py --config configs/movielens.py --config.data.path=FOLDER
python evaluate.py --config configs/movielens.py

No result is published for MMSSL on this data.
"""

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/movielens"
    return config
