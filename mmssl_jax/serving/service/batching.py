"""Queries of many requests, answered together: what has come while others were answered."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from mmssl_jax.serving.service.engine import Answer, Engine, Query
from mmssl_jax.serving.service.scoring import MOST_AT_ONCE

MOST_WAITING = 4096  # queries


class Busy(Exception):
    """There are too many queries waiting."""


class Batcher:
    """Answers queries in one thread, in the order in which they come."""

    def __init__(self, count: Callable[[int], None] = lambda size: None):
        """`count` is told of the size of each batch."""
        self._count = count
        self._waiting: asyncio.Queue[tuple[Engine, Query, asyncio.Future[Answer]]]

    async def start(self) -> None:
        """Begins to answer, in the event loop that runs."""
        self._waiting = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="answers")
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends; queries that wait are not answered."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._thread.shutdown()

    async def ask(self, engine: Engine, queries: Sequence[Query]) -> list[Answer]:
        """The answers of an engine to queries, in their order.

        Raises:
          Busy: too many are waiting.
        """
        if self._waiting.qsize() + len(queries) > MOST_WAITING:
            raise Busy
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in queries]
        for query, future in zip(queries, futures, strict=True):
            self._waiting.put_nowait((engine, query, future))
        return list(await asyncio.gather(*futures))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < MOST_AT_ONCE and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            engines = {id(engine): engine for engine, _, _ in batch}
            for name, engine in engines.items():  # two, where a checkpoint was replaced
                part = [(query, future) for own, query, future in batch if id(own) == name]
                self._count(len(part))
                queries = [query for query, _ in part]
                try:
                    answers = await loop.run_in_executor(self._thread, engine.answer, queries)
                except Exception as error:  # the requests fail, not those that come
                    for _, future in part:
                        if not future.done():
                            future.set_exception(error)
                    continue
                for (_, future), answer in zip(part, answers, strict=True):
                    if not future.done():  # whose request was broken off
                        future.set_result(answer)
