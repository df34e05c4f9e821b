"""The models, each one file. A new model is its file and one line here."""

from mmssl_jax.models import mmssl
from mmssl_jax.models.model import Model

MODELS = {
    "mmssl": mmssl,
}

__all__ = ["MODELS", "Model"]
