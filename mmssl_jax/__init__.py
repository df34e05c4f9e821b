"""Multi-modal recommendation in JAX: MMSSL and its baselines.

    import mmssl_jax as mj

    data = mj.import_table("ratings.csv", split="leave-last")  # or mj.load_data("data/mine")
    run = mj.train(data, model="mmssl", workdir="runs/mine", seed=1)
    run.evaluate()["recall@20"]
    run.recommend(users=["u12"], top=10)

The names in `__all__` are the public API. Everything else is private, and may change at any time.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmssl_jax.api import Run, Vectors, import_table, load_config, load_data, open_run, train
    from mmssl_jax.config import Config
    from mmssl_jax.data import Dataset
    from mmssl_jax.errors import InputError

__version__ = "0.2.0"

__all__ = [
    "Config",
    "Dataset",
    "InputError",
    "Run",
    "Vectors",
    "__version__",
    "import_table",
    "load_config",
    "load_data",
    "open_run",
    "train",
]

_ELSEWHERE = {"Config": "config", "Dataset": "data", "InputError": "errors"}


def __getattr__(name: str) -> Any:
    """Loads what is public when it is asked for, as jax and its kin take seconds."""
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no public name '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_ELSEWHERE.get(name, 'api')}"), name)


def __dir__() -> list[str]:
    return __all__
