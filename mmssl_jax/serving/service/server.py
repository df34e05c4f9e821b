"""The process that serves a run; the only user of uvicorn (an extra: pip install ".[serve]")."""

import contextlib
import gc
import ipaddress
import pathlib
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from mmssl_jax.errors import InputError
from mmssl_jax.training.session import Trained

_CONNECTIONS = 1024  # at a time; others are told to come again
_LAST_SECONDS = 10  # for the requests in hand, once the service is to end


def serve(
    folder: pathlib.Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    kind: str = "exact",
    path: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Serves a run until Ctrl-C or SIGTERM; requests in hand are then still answered.

    Args:
      folder: of the run.
      host: the address to listen on; any but this machine's own is open to others.
      port: 0 takes a free one.
      kind: of `vector_index.KINDS`.
      path: of the data, where they are elsewhere now.
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
        gc.collect()
        gc.freeze()  # what is loaded stays; to look it through stops all answers for .1 s
        server = _server(app.application(live))
        say(_said(live.engine.trained, listening))
        if not ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback:
            say("warning: other machines can ask it, and it asks nobody for a password")
        # Before uvicorn would, as a signal may come as soon as the address is said.
        with _ending(server.handle_exit), live.watching():
            server.run(sockets=[listening])


def _server(application: Any) -> Any:
    """One that ends at a signal, with bounds for what a stranger can hold."""
    import uvicorn

    settings = uvicorn.Config(
        application,
        http="h11",  # which bounds the head of a request
        ws="none",
        log_level="warning",
        access_log=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_LAST_SECONDS,
        server_header=False,
    )
    server: Any = uvicorn.Server(settings)
    server.capture_signals = contextlib.nullcontext  # which raises the signal anew at the end
    return server


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
