"""Training: the state, one step, and the loop over epochs."""

from mmssl_jax.training.finished import best_of_run, evaluate_run
from mmssl_jax.training.loop import FAILURES, OUT_OF_MEMORY, train

__all__ = ["FAILURES", "OUT_OF_MEMORY", "best_of_run", "evaluate_run", "train"]
