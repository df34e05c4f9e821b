"""MMSSL and its baselines for multi-modal recommendation, in JAX."""

__version__ = "0.1.0"
