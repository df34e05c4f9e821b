"""What a notebook needs. Public by the names that `mmssl_jax` exports.

Arrays come back as numpy, tables as polars.
"""

from mmssl_jax.api.data import import_table, load_config, load_data
from mmssl_jax.api.run import Run, Vectors, open_run, train

__all__ = ["Run", "Vectors", "import_table", "load_config", "load_data", "open_run", "train"]
