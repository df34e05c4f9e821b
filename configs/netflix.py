"""Netflix (17366 items; image 512, text 768), in the layout of LLMRec. No published settings.

python train.py --config configs/netflix.py --config.data.path=FOLDER
python evaluate.py --config configs/netflix.py

No result is published for MMSSL on this data.
"""

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/netflix"
    return config
