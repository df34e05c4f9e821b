"""Hostile requests to the service, within a process: every answer is JSON, and none is a 5xx."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from faults import hostile_texts
from mmssl_jax.errors import InputError
from mmssl_jax.serving.service import app
from mmssl_jax.serving.service.live import Live

Rng = np.random.Generator
_MOST = 12 << 20  # bytes of an answer: 200 lists of 500


def requests(run: Path) -> Callable[[Rng], tuple[str, Callable[[], None]]]:
    """What makes a request to the service of a run, and asks it."""
    service = app.application(Live(run))
    loop = asyncio.new_event_loop()
    loop.run_until_complete(service.router.lifespan_context(service).__aenter__())
    for rule in ("all", "train", "none"):  # programs of every shape, which are made once
        for users in (1, 8, 200):
            body = {
                "users": ["reader 7"] * users,
                "top": 500,
                "exclude_known": rule,
                "only": ["B003"],
            }
            for kind in (body, body | {"users": None, "history": ["B003"] * users, "top": 5}):
                content = json.dumps({k: v for k, v in kind.items() if v is not None}).encode()
                good = (
                    "POST",
                    "/recommend",
                    b"",
                    [(b"content-type", b"application/json")],
                    content,
                )
                loop.run_until_complete(_asked(service, good))
    for item in (b"item=B003", b"item=B003&top=100", b"item=B003&top=500"):
        loop.run_until_complete(_asked(service, ("GET", "/similar", item, [], b"")))

    def make(rng: Rng) -> tuple[str, Callable[[], None]]:
        request = hostile_texts.request(rng)
        what = f"{request[0]} {request[1][:40]!a} {request[2][:40]!a} {request[4][:90]!a}"

        def read() -> None:
            status, head, answer = loop.run_until_complete(_asked(service, request))
            assert 200 <= status < 500, (status, answer[:200])
            assert b"location" not in head, head  # which a head Host would lead elsewhere
            if status < 400:
                return
            assert len(answer) < 1000, len(answer)
            if request[0] != "HEAD":
                assert head[b"content-type"] == b"application/json", head
                assert json.loads(answer)["detail"].isprintable(), answer
            raise InputError(str(status))

        return what, read

    return make


async def _asked(service: Any, request: Any) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, head and body of the answer."""
    method, path, query, head, body = request
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(errors="surrogatepass"),
        "root_path": "",
        "query_string": query,
        "headers": head,
        "client": ("127.0.0.1", 7),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    parts = [body[start : start + 50_000] for start in range(0, len(body), 50_000)] or [b""]
    answer: dict[str, Any] = {"body": b""}

    async def receive() -> dict[str, Any]:
        if not parts:
            await asyncio.sleep(0)
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.update(status=message["status"], head=dict(message["headers"]))
        else:
            answer["body"] += message.get("body", b"")
            assert len(answer["body"]) < _MOST

    await service(scope, receive, send)
    return answer["status"], answer["head"], answer["body"]
