"""Sparse graphs, and the training pairs of a batch; it alone knows jax's sparse formats."""
