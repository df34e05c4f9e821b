"""LLMRec with its release's settings for Netflix, on a folder with its side information.

python train.py --config configs/llmrec.py --config.data.path=FOLDER

docs/llmrec.md says what the folder has to hold.
"""

from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.model.name = "llmrec"
    return config
