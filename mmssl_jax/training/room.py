"""Whether a compiled program fits into the memory that is left, before it runs."""

from typing import Any

import jax

from mmssl_jax.config import Config
from mmssl_jax.files import memory


def check(program: Any, config: Config, devices: int) -> None:
    """Raises InputError where the steps of a run need more memory than this machine has left.

    Of a GPU jax says so itself; a processor's memory is the machine's, whose other programs would
    end.

    Args:
      program: compiled by jax, which says what it will take besides its arguments.
      config: of the run.
      devices: over which it runs, all of this machine.
    """
    found = program.memory_analysis() if jax.default_backend() == "cpu" else None
    if found is None:
        return
    new = found.output_size_in_bytes - found.alias_size_in_bytes + found.temp_size_in_bytes
    memory.require(devices * new, "a step of this run", f"try a smaller {smaller(config)}")


def smaller(config: Config) -> str:
    """The settings of a model that take memory."""
    if "critic" in config.own:
        return (
            "critic.hidden, critic.item_block or train.batch_size, or critic.enabled=False, which "
            "needs least"
        )
    return "train.batch_size or model.embedding_dim"
