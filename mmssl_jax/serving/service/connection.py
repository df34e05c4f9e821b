"""A connection of the server, with bounds for what a stranger can hold: places, time and memory.

uvicorn bounds the head of a request, and how long a connection waits between two. It waits without
end for a request that does not come, or an answer that is not taken.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 1024  # connections at a time
SECONDS = 20.0  # for a request to come, or an answer to be taken
MOST_UNREAD = 256 << 20  # bytes of answers, of all connections together
_UNREAD = 1 << 16  # bytes, up to which an answer is as good as taken
_EVERY = 1.0  # seconds between two looks


class Connection(H11Protocol):
    """uvicorn's own, which is broken off where its client is too slow, or others need the place."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()  # it has been the client's turn
        self._next_look = self.loop.call_later(_EVERY, self._look)
        if len(self.connections) >= MOST:
            _break_off_the_slowest([each for each in self._all if each._is_waiting])

    def connection_lost(self, exc: Exception | None) -> None:
        self._next_look.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._since = self.loop.time()
        super().on_response_complete()
        if self._unread > _UNREAD:
            holding = [each for each in self._all if each._unread > _UNREAD]
            while sum(each._unread for each in holding) > MOST_UNREAD:
                holding.remove(_break_off_the_slowest(holding))

    def send_400_response(self, msg: str) -> None:
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:  # it is the body that is broken
            cycle.disconnected = True  # so that no other answer follows
            cycle.message_event.set()
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # what is wrong came after the answer
            self.transport.abort()

    @property
    def _all(self) -> list["Connection"]:
        """The connections of the server, this one too."""
        connections: Any = self.connections  # which may be of other kinds in uvicorn
        return list(connections)

    @property
    def _is_waiting(self) -> bool:
        """Whether the client has to do something, and not the service."""
        cycle: Any = self.cycle
        idle: bool = cycle is None or cycle.response_complete or cycle.more_body
        return idle or self.flow.write_paused  # for want of room for an answer

    @property
    def _unread(self) -> int:
        """Bytes of answers that the client has not taken."""
        size: int = self.transport.get_write_buffer_size()
        return size

    def _look(self) -> None:
        """Breaks the connection off where its client had long enough."""
        if not self._is_waiting:
            self._since = self.loop.time()
        elif self.loop.time() - self._since > SECONDS:
            self.transport.abort()
            return
        self._next_look = self.loop.call_later(_EVERY, self._look)


def _break_off_the_slowest(connections: list[Connection]) -> Connection:
    slowest = min(connections, key=lambda each: each._since)
    slowest.transport.abort()
    slowest.connections.discard(slowest)  # its place is free at once
    return slowest
