"""Bytes -> `Dataset`: the folder layouts, the checks on load, and the demo generator."""

from mmssl_jax.data.dataset import Dataset
from mmssl_jax.data.loading import DEMO, load

__all__ = ["DEMO", "Dataset", "load"]
