"""The process that serves a run; with `connection` the only user of uvicorn, of the extra serve."""

import contextlib
import gc
import ipaddress
import pathlib
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

from mmssl_jax.errors import InputError
from mmssl_jax.training.session import Trained

_OWN = ("localhost", "127.0.0.1", "::1")  # what this machine calls itself
_FILES = 4096  # open at a time: connections, and what else there is
_LAST_SECONDS = 10  # for the requests in hand, once the service is to end


def serve(
    folder: pathlib.Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    kind: str = "exact",
    path: str | None = None,
    hosts: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Serves a run until Ctrl-C or SIGTERM; requests in hand are then still answered.

    Args:
      folder: of the run.
      host: the address to listen on; any but this machine's own is open to others.
      port: 0 takes a free one.
      kind: of `vector_index.KINDS`.
      path: of the data, where they are elsewhere now.
      hosts: names by which it may be called; none is this machine's own where it listens to that
        alone, else any.
      say: is told the address, and of checkpoints that are taken up.

    Raises:
      InputError: the extra is not installed, the run cannot be read, or the address not be used.
    """
    try:
        import uvicorn  # noqa: F401 (asked for before the run is read)

        from mmssl_jax.serving.service import app
        from mmssl_jax.serving.service.live import Live
    except ImportError as error:
        raise InputError(
            f'mmssl serve needs an extra (no {error.name}): pip install ".[serve]"'
        ) from error

    with _listening(host, port) as listening:
        live = Live(folder, path=path, kind=kind, say=say)
        own = ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback
        called = {name.lower() for name in (*_OWN, host, *hosts)} if own or hosts else None
        _allow_files()
        server = _server(app.application(live, called))
        gc.collect()
        gc.freeze()  # what is loaded stays; to look it through stops all answers for .1 s
        # A signal may come as soon as the address is said, before uvicorn would heed it.
        with _ending(server.handle_exit), live.watching():
            say(_said(live.engine.trained, listening))
            if not own:
                say("warning: other machines can ask it, and it asks nobody for a password")
            server.run(sockets=[listening])


def _server(application: Any) -> Any:
    """One that ends at a signal, with bounds for what a stranger can hold."""
    import uvicorn

    from mmssl_jax.serving.service import connection

    settings = uvicorn.Config(
        application,
        http=connection.Connection,
        ws="none",
        log_level="error",  # a stranger can make warnings without end
        access_log=False,
        limit_concurrency=connection.MOST,
        timeout_graceful_shutdown=_LAST_SECONDS,
        server_header=False,
    )
    server: Any = uvicorn.Server(settings)
    server.capture_signals = contextlib.nullcontext  # which raises the signal anew at the end
    return server


def _allow_files() -> None:
    """Lets this process have as many files open as it takes connections, where it may."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _said(trained: Trained, listening: socket.socket) -> str:
    """What is served, and where."""
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return (
        f"{trained.config.model.name} of '{trained.dataset.name}', epoch {trained.epoch}, at "
        f"http://{shown}:{port} (/docs, /health, /metrics); Ctrl-C ends it"
    )


@contextlib.contextmanager
def _ending(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Around a server that ends at a signal."""
    asked = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handle) for number in asked}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that is bound, before minutes go into reading a run."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"cannot listen on {host}:{port} ({reason}); give another --port"
        ) from error
    with listening:
        yield listening
