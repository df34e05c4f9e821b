"""The folder of a run: its config, checkpoints, metrics, and what made them."""
