"""The paths of the service, made with FastAPI (an extra: pip install ".[serve]")."""

import contextlib
import json
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi_offline import FastAPIOffline

from mmssl_jax import __version__
from mmssl_jax.errors import InputError, printable
from mmssl_jax.serving import asked as who
from mmssl_jax.serving.service import engine as engines
from mmssl_jax.serving.service.batching import Batcher, Busy
from mmssl_jax.serving.service.bodies import (
    MOST_BYTES,
    MOST_ID,
    Asked,
    Health,
    Lists,
    OfHistory,
    OfUsers,
    Problem,
    Similar,
    Top,
)
from mmssl_jax.serving.service.catalogue import Filters, Unknown
from mmssl_jax.serving.service.engine import Answer, Engine
from mmssl_jax.serving.service.guard import Guard
from mmssl_jax.serving.service.live import Live
from mmssl_jax.serving.service.measures import CONTENT_TYPE, Measures

PATHS = ("/recommend", "/similar", "/health", "/metrics")
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "A body that cannot be read, or a name of another host"},
    404: {"model": Problem, "description": "An id that the data does not have"},
    413: {"model": Problem, "description": "A body that is too long"},
    422: {"model": Problem, "description": "A request that cannot be understood or answered"},
    503: {"model": Problem, "description": "Too many requests are waiting"},
}
AnId = Annotated[str, Query(min_length=1, max_length=MOST_ID)]


def application(live: Live, hosts: Collection[str] | None = None) -> FastAPI:
    """The service of a run, which may be replaced in `live` at any time.

    Args:
      live: the run.
      hosts: names by which it is called; None is any.
    """
    measures = Measures(live)
    batcher = Batcher(measures.batch)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await batcher.start()
        yield
        await batcher.stop()

    app = FastAPIOffline(  # whose page has its script with it
        title="mmssl_jax",
        summary="What a trained run recommends.",
        version=__version__,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,  # to whatever host a request names
    )
    _answer_problems(app)
    _add_lists(app, live, batcher)

    @app.get("/health", response_model=Health)
    async def health() -> Response:
        """What is served; 200 as soon as there are answers."""
        return _json(_health(live.engine))

    @app.get("/metrics", responses={200: {"content": {CONTENT_TYPE: {}}}}, response_class=Response)
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(measures.text(), media_type=CONTENT_TYPE)

    def count(path: str, status: int, seconds: float) -> None:
        measures.request(path if path in PATHS else "other", status, seconds)

    app.add_middleware(Guard, most_bytes=MOST_BYTES, count=count, hosts=hosts)
    return app


def _add_lists(app: FastAPI, live: Live, batcher: Batcher) -> None:
    @app.get("/recommend", response_model=Lists, responses=_PROBLEMS)
    async def recommend(user: AnId, top: Top = 10) -> Response:
        """The best items of one user."""
        engine = live.engine
        catalogue = engine.catalogue
        query = engines.Query(
            top, user=catalogue.user(user), rule=catalogue.rule, allowed=catalogue.scored
        )
        return _json(_lists(engine, [user], await batcher.ask(engine, [query])))

    @app.post("/recommend", response_model=Lists, responses=_PROBLEMS)
    async def recommend_many(body: Asked) -> Response:
        """The best items of many users, or of a new user by a history, after filters."""
        engine = live.engine
        queries = await run_in_threadpool(_queries, engine, body)
        answers = await batcher.ask(engine, queries)
        users = body.users if isinstance(body, OfUsers) else [None]
        return _json(await run_in_threadpool(_lists, engine, users, answers))

    @app.get("/similar", response_model=Similar, responses=_PROBLEMS)
    async def similar(item: AnId, top: Top = 10) -> Response:
        """What is most like an item."""
        engine = live.engine
        catalogue = engine.catalogue
        index = catalogue.item(item)
        who.check_similar(index, engine.model, catalogue.fallback.scores)
        query = engines.Query(top, item=index, allowed=catalogue.scored)
        (answer,) = await batcher.ask(engine, [query])
        found = {"epoch": engine.trained.epoch, "similar_to": item}
        return _json(found | {"items": _entries(engine, answer)})


def _queries(engine: Engine, body: OfUsers | OfHistory) -> list[engines.Query]:
    """What a body asks for; Unknown or InputError where that cannot be answered."""
    catalogue = engine.catalogue
    only = None if body.only is None else tuple(body.only)
    allowed = catalogue.allowed(Filters(tuple(body.exclude or ()), only, body.where))
    rule = body.exclude_known or catalogue.rule
    if isinstance(body, OfHistory):
        who.check_history(engine.model)
        history = catalogue.items(body.history)
        return [engines.Query(body.top, history=history, rule=rule, allowed=allowed)]
    return [
        engines.Query(body.top, user=catalogue.user(user), rule=rule, allowed=allowed)
        for user in body.users
    ]


def _lists(
    engine: Engine, users: Sequence[str | None], answers: Sequence[Answer]
) -> dict[str, Any]:
    lists = [
        {"user_id": user, "known": answer.known, "items": _entries(engine, answer)}
        for user, answer in zip(users, answers, strict=True)
    ]
    return {"epoch": engine.trained.epoch, "lists": lists}


def _entries(engine: Engine, answer: Answer) -> list[dict[str, Any]]:
    ids, titles = engine.catalogue.item_ids, engine.catalogue.titles
    return [
        {"rank": rank, "item_id": ids[item], "title": titles[item], "score": score}
        for rank, (item, score) in enumerate(zip(answer.items, answer.scores, strict=True), start=1)
    ]


def _health(engine: Engine) -> dict[str, Any]:
    trained, catalogue = engine.trained, engine.catalogue
    return {
        "status": "ok",
        "model": trained.config.model.name,
        "epoch": trained.epoch,
        "data": trained.dataset.name,
        "fingerprint": trained.dataset.fingerprint,
        "users": len(catalogue.user_ids),
        "items": len(catalogue.item_ids),
        "answers": engine.answers_from,
    }


def _json(value: Any, status: int = 200) -> Response:
    """Without a second look at what is made here; text that UTF-8 cannot hold is escaped."""
    return Response(json.dumps(value).encode(), status, media_type="application/json")


def _answer_problems(app: FastAPI) -> None:
    def problem(status: int, detail: str) -> Response:
        return _json({"detail": printable(detail)}, status)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = list(first["loc"])
        if place[0] == "body" and len(place) > 1:
            del place[1]  # the kind of body, or where its JSON breaks off
        where = ".".join(map(str, place))
        return problem(422, f"{where}: {first['msg']}"[:300])

    @app.exception_handler(Unknown)
    async def unknown(_: Request, error: Unknown) -> Response:
        return problem(404, str(error))

    @app.exception_handler(InputError)
    async def refused(_: Request, error: InputError) -> Response:
        return problem(422, str(error).replace("--", ""))

    @app.exception_handler(Busy)
    async def busy(_: Request, error: Busy) -> Response:
        return problem(503, "too many requests are waiting; try again")
