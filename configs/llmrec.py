"""LLMRec with its release's settings for Netflix, on a folder with its side information.

python train.py --config configs/llmrec.py

docs/llmrec.md says what the folder has to hold.
"""

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/netflix"
    config.model.name = "llmrec"
    return config
