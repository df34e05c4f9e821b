"""Several processes that train one model: how they find each other, agree, and end together.

Each runs the same program on its own devices. The first, number 0, alone prints and writes small
files; checkpoints are written by all.
"""

import threading
import time
from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from orbax.checkpoint import multihost

from mmssl_jax.errors import InputError

CALL = 5  # seconds between two calls of the roll
ANSWER = 20  # seconds that an answer may take; then a process is lost
STUCK = 300  # seconds that a part of the work may take, at least; see `Roll.moved`
FIRST = 3600  # seconds for reading, building and compiling
_HEARTBEAT = 100  # seconds after which jax itself ends all processes, in many lines


def join(coordinator: str | None, processes: int | None, process: int | None) -> None:
    """Makes this process one of several, before jax computes anything.

    What is None is found under SLURM, Open MPI or Kubernetes, as `jax.distributed` does.

    Args:
      coordinator: host:port of process 0.
      processes: how many there are.
      process: the number of this one, from 0.

    Raises:
      InputError: something is missing, or the processes do not find each other.
    """
    jax.config.update("jax_enable_preemption_service", False)  # SIGTERM is ours: `any_of`
    # Programs that wait for no other one would run at once on a CPU, in each process in an order of
    # its own, and their collectives would meet those of others.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    try:
        jax.distributed.initialize(
            coordinator, processes, process, heartbeat_timeout_seconds=_HEARTBEAT
        )
    except (ValueError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"--distributed: the processes did not find each other ({reason}); give --coordinator "
            "HOST:PORT of process 0, --processes N and --process I to each, or start them by "
            "SLURM, Open MPI or Kubernetes (launch/)"
        ) from error
    if jax.default_backend() == "cpu":
        # A program from the cache takes its collectives in another order than its neighbour's.
        jax.config.update("jax_enable_compilation_cache", False)


def several() -> bool:
    """Whether this process is one of several."""
    more: bool = jax.process_count() > 1
    return more


def is_first() -> bool:
    """Whether this process prints, and writes small files."""
    first: bool = jax.process_index() == 0
    return first


def wait(what: str) -> None:
    """Waits until all processes come to a place; a `Roll` ends what waits for a lost one."""
    if several() and not meet(what, FIRST):
        raise InputError(f"not all processes came to '{what}'; the same command goes on")


def meet(what: str, seconds: float) -> bool:
    """Whether all processes come to a place within so many seconds."""
    try:
        multihost.get_barrier_sync_fn()(key=what, timeout_ms=int(1000 * seconds))
    except Exception:  # of the coordination service, of several kinds
        return False
    return True


def any_of(asked: bool, mesh: Mesh) -> jax.Array:
    """bool []: whether it holds in any process; all must ask equally often."""
    flags = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
    own = np.array([asked])
    everywhere = jax.make_array_from_callback((mesh.size,), flags, lambda _: own)
    answer: jax.Array = _any(everywhere)
    return answer


@jax.jit
def _any(flags: jax.Array) -> jax.Array:
    return flags.any()


class Roll:
    """Calls the roll: ends this process where another is lost, or where all are stuck.

    A thread meets those of the other processes every few seconds. A process that was killed does
    not come, nor does one whose work stands still. Collectives would wait for it for ever.
    """

    def __init__(self, end: Callable[[str], None], *, stuck: float = STUCK, first: float = FIRST):
        """Makes it; `with` starts the thread.

        Args:
          end: ends this process at once; gets the reason.
          stuck: seconds that a part of the work may take before it counts as stuck, at least.
          first: the same before the first part is done.
        """
        self._end, self._stuck, self._limit = end, stuck, first
        self._longest, self._last = 0.0, time.monotonic()
        self._over = threading.Event()

    def __enter__(self) -> "Roll":
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def moved(self) -> None:
        """A part of the work is done; the next may take ten times as long as the longest yet."""
        now = time.monotonic()
        self._longest, self._last = max(self._longest, now - self._last), now
        self._limit = max(self._stuck, 10 * self._longest)

    def _run(self) -> None:
        number = 0
        while not self._over.wait(CALL):
            number += 1
            if time.monotonic() - self._last > self._limit:
                self._end(f"nothing has moved for {self._limit:.0f} s: a process is stuck")
            if not meet(f"roll/{number}", ANSWER) and not self._over.is_set():
                self._end("another process was lost")
