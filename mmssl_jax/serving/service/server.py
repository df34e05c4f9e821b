"""The process that serves a run; the only user of uvicorn (an extra: pip install ".[serve]")."""

import contextlib
import ipaddress
import pathlib
import signal
import socket
from collections.abc import Callable, Iterator

from mmssl_jax.errors import InputError

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
        import uvicorn

        from mmssl_jax.serving.service import app
        from mmssl_jax.serving.service.live import Live
    except ImportError as error:
        raise InputError(
            f'mmssl serve needs an extra (no {error.name}): pip install ".[serve]"'
        ) from error

    class Server(uvicorn.Server):
        """One that ends at a signal, and does not raise it anew."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            asked = (signal.SIGINT, signal.SIGTERM)
            before = {number: signal.signal(number, self.handle_exit) for number in asked}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    with _listening(host, port) as listening:
        live = Live(folder, path=path, kind=kind, say=say)
        settings = uvicorn.Config(
            app.application(live),
            http="h11",  # which bounds the head of a request
            ws="none",
            log_level="warning",
            access_log=False,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=_LAST_SECONDS,
            server_header=False,
        )
        own = listening.getsockname()
        shown = f"[{own[0]}]" if ":" in own[0] else own[0]
        trained = live.engine.trained
        say(
            f"{trained.config.model.name} of '{trained.dataset.name}', epoch {trained.epoch}, at "
            f"http://{shown}:{own[1]} (/docs, /health, /metrics); Ctrl-C ends it"
        )
        if not ipaddress.ip_address(own[0].partition("%")[0]).is_loopback:
            say("warning: other machines can ask it, and it asks nobody for a password")
        with live.watching():
            Server(settings).run(sockets=[listening])


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
