"""The checkpoint that is served, and a better one in its place as soon as the run has it."""

import contextlib
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from mmssl_jax.errors import InputError
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.serving.service.catalogue import Catalogue
from mmssl_jax.serving.service.engine import Engine
from mmssl_jax.training import session

EVERY = 1.0  # seconds between two looks at the folder


class State(NamedTuple):
    """What tells whether anything was written to a run's folder."""

    config: bytes
    checkpoints: dict[str, tuple[int, int]]  # name -> its file and time


class Live:
    """The engine of a run's best checkpoint; `engine` is replaced whole."""

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        path: str | None = None,
        kind: str = "exact",
        say: Callable[[str], None] = lambda line: None,
    ):
        """Opens the run.

        Args:
          folder: of the run.
          path: of its data, where they are elsewhere now.
          kind: of `vector_index.KINDS`.
          say: is told of warnings, and of checkpoints that are taken up or cannot be.

        Raises:
          InputError: there is no run, no checkpoint, or other data.
        """
        self._run, self._path, self._kind, self._say = RunFolder(folder), path, kind, say
        self._seen = self._state()
        self.engine = self._opened()
        self.loaded_at = time.time()
        self.swaps = self.failures = 0

    @contextlib.contextmanager
    def watching(self, every: float = EVERY) -> Iterator[None]:
        """Looks at the folder until the end of the block, in a thread."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(every):
                self.refresh()

        thread = threading.Thread(target=watch, name="watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def refresh(self) -> bool:
        """Takes up what the folder has now, if it is another; whether it was taken up.

        What cannot be read, such as a checkpoint that a run deletes meanwhile, leaves the engine as
        it is, and is tried again.
        """
        state = self._state()
        if state == self._seen:
            return False
        try:
            engine = self._changed(state)
        except (InputError, OSError) as error:
            self.failures += 1
            if self.failures == 1 or state != self._seen:
                self._say(f"still epoch {self.engine.trained.epoch}: {error}")
            return False
        self._seen = state
        if engine is None:
            return False
        self.engine = engine  # in one step: a request has the old one or this
        self.loaded_at, self.swaps = time.time(), self.swaps + 1
        self._say(f"now epoch {engine.trained.epoch}")
        return True

    def _changed(self, state: State) -> Engine | None:
        """The engine of a folder that has changed; None where its best checkpoint is the same."""
        if state.config != self._seen.config:
            return self._opened()
        trained = session.best_now(self.engine.trained, self._run)
        name, before = str(trained.epoch), self.engine.trained.epoch
        same = state.checkpoints.get(name) == self._seen.checkpoints.get(name)
        if trained.epoch == before and same:
            return None
        return Engine(trained, self.engine.catalogue, self._kind)

    def _opened(self) -> Engine:
        config, dataset = session.open_run(self._run, path=self._path, warn=self._say)
        trained = session.best_of_run(config, dataset, self._run)
        return Engine(trained, Catalogue(dataset, trained.model.scores_cold_items), self._kind)

    def _state(self) -> State:
        try:
            config = self._run.config.read_bytes()
        except OSError:
            config = b""
        found = {}
        with contextlib.suppress(OSError):
            for path in sorted(self._run.checkpoints.iterdir()):
                if path.name.isdecimal():
                    about = path.stat()
                    found[path.name] = (about.st_ino, about.st_mtime_ns)
        return State(config, found)
