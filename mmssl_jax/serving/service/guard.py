"""Around the application: bodies that are too long are not read, and requests are counted."""

import time
from collections.abc import Callable

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Guard:
    """An ASGI application around another."""

    def __init__(self, app: ASGIApp, most_bytes: int, count: Callable[[str, int, float], None]):
        """`count` is told path, status and seconds of each request."""
        self._app, self._most, self._count = app, most_bytes, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status, taken = time.perf_counter(), 500, 0
        said = dict(scope["headers"]).get(b"content-length", b"0")
        announced = int(said) if said.isdigit() else 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        async def limited() -> Message:
            nonlocal taken
            if announced <= self._most:
                message = await receive()
                taken += len(message.get("body", b""))
            if max(announced, taken) > self._most:
                raise HTTPException(413, f"the body has more than {self._most} bytes")
            return message

        try:
            await self._app(scope, limited, counted)
        finally:
            self._count(scope["path"], status, time.perf_counter() - start)
