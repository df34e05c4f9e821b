"""Training: the session of a config, one step, and the loop over epochs."""

from mmssl_jax.training.epochs import Outside
from mmssl_jax.training.loop import FAILURES, OUT_OF_MEMORY, train
from mmssl_jax.training.results import evaluate_run
from mmssl_jax.training.session import best_of_run
from mmssl_jax.training.stopping import Stopped

__all__ = [
    "FAILURES",
    "OUT_OF_MEMORY",
    "Outside",
    "Stopped",
    "best_of_run",
    "evaluate_run",
    "train",
]
