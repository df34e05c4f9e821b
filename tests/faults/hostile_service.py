"""Attacks on a service over real sockets: what comes slowly, in pieces, in a row, or not at all."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from faults import hostile_texts
from faults.tally import Tally

Rng = np.random.Generator
SECONDS = 2.0  # that the service waits for a client here
_IDLE = 1300  # connections, more than the service takes
_MEMORY = 300 << 20  # bytes that it may grow by
_SERVE = """
import pathlib, sys
from mmssl_jax.serving.service import server
try:
    from mmssl_jax.serving.service import connection
    connection.SECONDS = float(sys.argv[2])
except ImportError:  # before there were bounds
    pass
server.serve(pathlib.Path(sys.argv[1]), port=0, say=lambda line: print(line, flush=True))
"""


class Service(NamedTuple):
    """A process that serves a run."""

    process: subprocess.Popen[str]
    port: int
    stderr: Path
    heard: list[int]  # bytes of stderr that were looked at

    def connected(self, room: int | None = None) -> socket.socket:
        """A connection whose client has room for so many bytes that it has not read."""
        connection = socket.socket()
        if room is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", self.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def health(self) -> None:
        """It answers, within seconds."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=10) as answer:
            assert json.load(answer)["status"] == "ok"

    def sockets(self) -> int:
        """How many it has open."""
        found = 0
        for path in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed since
                found += os.readlink(path).startswith("socket:")
        return found

    def memory(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def check(self) -> None:
        """It lives, answers, and has said nothing on stderr."""
        assert self.process.poll() is None, "it ended"
        self.health()
        said = self.stderr.read_bytes()
        news = said[self.heard[-1] :].decode(errors="replace")
        self.heard.append(len(said))
        assert not news, news[-300:]


@contextlib.contextmanager
def serving(run: Path, folder: Path) -> Iterator[Service]:
    """The service of a run."""
    stderr = folder / "stderr of the service"
    with stderr.open("wb") as said:
        line = [sys.executable, "-P", "-c", _SERVE, str(run), str(SECONDS)]
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=said, text=True)
        try:
            assert process.stdout is not None
            addresses = (re.search(r"http://127\.0\.0\.1:(\d+)", line) for line in process.stdout)
            found = next(filter(None, addresses), None)
            assert found, stderr.read_text()
            yield Service(process, int(found[1]), stderr, [0])
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def attack(service: Service, tally: Tally, rng: Rng, share: float) -> None:
    """Counts each attack; after each the service must answer others as before."""
    before = service.memory()
    for number in range(max(3, round(500 * share))):
        head = _head(rng)
        with tally.fault("heads and bodies over a socket", f"{number}: {head[:120]!r}"):
            _answered_or_closed(service, head)
            if not number % 50:
                service.check()
    slow: dict[str, Callable[[Service, Rng], None]] = {
        "idle connections": _idle,
        "slow heads": _slow_heads,
        "slow bodies": _slow_bodies,
        "answers that nobody takes": _untaken,
        "requests in a row": _in_a_row,
        "names of other hosts": _other_hosts,
    }
    for kind, act in slow.items():
        for number in range(max(1, round(4 * share))):
            with tally.fault(kind, f"time {number}"):
                act(service, rng)
                service.check()
                grown = service.memory() - before
                assert grown < _MEMORY, f"{grown >> 20} MB more"


def _answered_or_closed(service: Service, sent: bytes) -> None:
    """What is sent is answered in HTTP without a 5xx, or the connection is closed, in time."""
    with service.connected() as connection:
        with contextlib.suppress(OSError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(1 << 16):
                answer += part
    assert not answer or re.match(rb"HTTP/1\.1 [1-4]\d\d ", answer), answer[:200]
    assert not re.search(rb"Traceback|File \"", answer), answer[:200]


_LINES = [b"GET /health HTTP/1.1", b"POST /recommend HTTP/1.1", b"GET /recommend?user=a HTTP/1.0"]
_ODD_LINES = [
    *(
        b"GET http://evil/ HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"\x16\x03\x01\x02\0\x01",
        b"PRI * HTTP/2.0",
    ),
    *(
        b"GET /health HTTP/9.9",
        b"GET /health",
        b"\0" * 900,
        b"GET " + b"/x" * 60_000 + b" HTTP/1.1",
    ),
    *(
        b"CONNECT evil:80 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"get /health HTTP/1.1",
        b" GET / HTTP/1.1",
    ),
]
_FIELDS = [
    *(b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 9999999999999999999", b"a: b"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Host: evil.example"),
    *(b"Content-Type: application/json", b"Expect: 100-continue", b"Upgrade: websocket", b": x"),
    *(
        b"Connection: upgrade",
        b"x" * 70_000 + b": 1",
        b"x: " + b"\xff" * 900,
        b"Host: a",
        b" folded",
    ),
    *(
        b"Content-Length: 5\r\nContent-Length: 6",
        b"x: a\0b",
        b"x:\rb",
        b"Upgrade: h2c",
        b"Range: 0-9",
    ),
]
_BODIES = [
    *(b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"fffffffffffffffff\r\n", b"-1\r\n", b"0\r\n\r\n"),
    *(
        b"1\r\nx\r\n" * 40_000,
        b"5;" + b"x" * 70_000,
        b"\xff" * 2_000_000,
        b'{"users": ["reader 7"]}',
    ),
]


def _head(rng: Rng) -> bytes:
    """The bytes of a request, with much or little that is wrong."""
    pick = hostile_texts._pick
    line = pick(rng, _ODD_LINES if not rng.integers(3) else _LINES)
    fields = [b"Host: 127.0.0.1"] * int(rng.integers(1, 8) > 1)
    fields += [pick(rng, _FIELDS) for _ in range(rng.integers(4))]
    if not rng.integers(9):
        fields += [b"a%d: b" % place for place in range(3000)]
    end = pick(rng, [b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"])
    sent = end.join([line, *fields]) + pick(rng, [end * 2, end * 2, end * 2, end, b""])
    return sent + pick(rng, _BODIES) + pick(rng, [b"", b"", sent])


def _idle(service: Service, rng: Rng) -> None:
    """More connections than the service takes, of which none asks for anything."""
    before = service.sockets()
    with contextlib.ExitStack() as stack:
        for _ in range(_IDLE):
            stack.enter_context(service.connected())
        service.health()
        _all_let_go(service, before)


def _slow_heads(service: Service, rng: Rng) -> None:
    """Heads of which a byte comes now and then."""
    _slowly(service, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n")


def _slow_bodies(service: Service, rng: Rng) -> None:
    head = b"POST /recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    _slowly(service, head + b"Content-Length: 1000\r\n\r\n", at_once=True)


def _slowly(service: Service, text: bytes, at_once: bool = False) -> None:
    """Forty connections send byte by byte; the service lets go of them."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(service.connected()) for _ in range(40)]
        for connection in opened if at_once else ():
            connection.sendall(text)
        began, left, place = time.monotonic(), set(opened), 0
        while left and time.monotonic() - began < SECONDS + 5:
            for connection in list(left):
                try:
                    connection.sendall(b" " if at_once else text[place % len(text) :][:1])
                except OSError:
                    left.discard(connection)
            place += 1
            time.sleep(0.1)
        assert not left, f"{len(left)} of 40 were still served after {SECONDS + 5} seconds"


def _untaken(service: Service, rng: Rng) -> None:
    """Long answers are asked for again and again, and none is read."""
    before = service.sockets()
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            connection = stack.enter_context(service.connected(4096))
            connection.setblocking(False)
            with contextlib.suppress(OSError):
                connection.send(b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 600)
        service.health()
        _all_let_go(service, before)


def _all_let_go(service: Service, before: int) -> None:
    """The service closes its side of the connections that came since; one that reads may be new."""
    end = time.monotonic() + SECONDS + 30  # as it may be busy until they have no room for more
    while (now := service.sockets()) > before + 2 and time.monotonic() < end:
        time.sleep(0.1)
    assert now <= before + 2, f"{now - before} were still open after {SECONDS + 30} seconds"


def _in_a_row(service: Service, rng: Rng) -> None:
    """Requests that are sent before any answer is read are answered, each once."""
    count = int(rng.integers(2, 60))
    with service.connected() as connection:
        request = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        last = request[:-2] + b"Connection: close\r\n\r\n"
        connection.sendall(request * (count - 1) + last)
        answer = b""
        while part := connection.recv(1 << 16):
            answer += part
    assert answer.count(b"HTTP/1.1 200 OK") == count


def _other_hosts(service: Service, rng: Rng) -> None:
    """A page of another name, which leads to this machine, is not answered."""
    for host in (b"evil.example", b"evil.example:8000", b"127.0.0.1.evil.example", b"[::2]:80"):
        with service.connected() as connection:
            connection.sendall(b"GET /health HTTP/1.0\r\nHost: " + host + b"\r\n\r\n")
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 400 "), host
    for host in (b"localhost", b"127.0.0.1:80", b"[::1]:80", b"LOCALHOST.:1"):
        with service.connected() as connection:
            connection.sendall(b"GET /health HTTP/1.0\r\nHost: " + host + b"\r\n\r\n")
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 "), host
