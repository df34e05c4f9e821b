"""The models, each one file. A new model is its file and one line here."""

from mmssl_jax.models import ease, lattice, lightgcn, mf, micro, mmssl, ngcf, popularity, vbpr
from mmssl_jax.models.model import Model

MODELS = {
    "mmssl": mmssl,
    "lattice": lattice,
    "micro": micro,
    "lightgcn": lightgcn,
    "ngcf": ngcf,
    "mf": mf,
    "vbpr": vbpr,
    "ease": ease,
    "popularity": popularity,
}

__all__ = ["MODELS", "Model"]
