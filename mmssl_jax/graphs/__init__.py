"""Sparse graphs, and the training pairs of a batch: the only room that knows sparse formats."""
