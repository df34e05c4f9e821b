"""Training: the state, one step, and the loop over epochs."""

from mmssl_jax.training.loop import evaluate_run, train

__all__ = ["evaluate_run", "train"]
