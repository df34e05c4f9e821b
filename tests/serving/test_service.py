"""The service: its answers are those of recommend, its limits hold, and it misses no request."""

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
import tracemalloc
import urllib.request
from collections import Counter

import numpy as np
import pytest
from uneven import BUSY, COLD, ITEM_IDS, USER_IDS, uneven_world
from worlds import ITEMS, ROOT, Place, refused

from mmssl_jax.commands import call
from mmssl_jax.errors import InputError
from mmssl_jax.serving import asked as who

pytest.importorskip("fastapi", reason="needs the extra serve")
import httpx2
from fastapi.testclient import TestClient

from mmssl_jax.serving.service import app, batching, bodies
from mmssl_jax.serving.service.live import Live

READER = 7
SERVED = ("lightgcn", "vbpr", "ease", "popularity", "hybrid")


@pytest.fixture(scope="module", name="clients")
def _clients(places):
    """model -> a client of its service."""
    clients: dict[str, TestClient] = {}

    def of(model: str) -> TestClient:
        if model not in clients:
            clients[model] = TestClient(app.application(Live(places(model).run)))
            clients[model].__enter__()
        return clients[model]

    yield of
    for client in clients.values():
        client.__exit__(None, None, None)


def commanded(place: Place, path, *flags: str) -> list[dict]:
    call(["recommend", *place.argv(f"--json={path}", *flags)])
    return json.loads(path.read_text())


def assert_same(found: list[dict], expected: list[dict]) -> None:
    """The same items in the same order, with the same scores but for rounding."""
    for one, other in zip(found, expected, strict=True):
        items = [[each["item_id"] for each in entry["items"]] for entry in (one, other)]
        assert items[0] == items[1]
        titles = [[each["title"] for each in entry["items"]] for entry in (one, other)]
        assert titles[0] == titles[1]
        scores = [[each["score"] for each in entry["items"]] for entry in (one, other)]
        np.testing.assert_allclose(*scores, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", SERVED)
def test_answers_are_those_of_recommend(clients, places, tmp_path, model):
    client, place = clients(model), places(model)
    users = [USER_IDS[READER], USER_IDS[BUSY], USER_IDS[COLD], USER_IDS[READER]]
    found = client.get("/recommend", params={"user": users[0], "top": 7}).json()
    assert found["epoch"] == place.results["best_epoch"]
    named = f"--users={','.join(users[:3])}"
    assert_same(found["lists"], commanded(place, tmp_path / "x", named, "--top=7")[:1])
    many = client.post("/recommend", json={"users": users, "top": ITEMS}).json()["lists"]
    expected = commanded(place, tmp_path / "x", named, f"--top={ITEMS}")
    assert_same(many[:3], expected)
    assert [each["known"] for each in many[:3]] == [each["known"] for each in expected]
    assert many[3] == many[0]
    for rule in ("train", "none"):
        body = {"users": users[:3], "top": ITEMS, "exclude_known": rule}
        flags = (named, f"--top={ITEMS}", f"--exclude-known={rule}")
        lists = client.post("/recommend", json=body).json()["lists"]
        assert_same(lists, commanded(place, tmp_path / "x", *flags))


@pytest.mark.parametrize("model", SERVED)
def test_filters_are_those_of_recommend(clients, places, tmp_path, model):
    names = [USER_IDS[user] for user in range(11)]
    some, sold = list(ITEM_IDS[3:30]), list(ITEM_IDS[8:12])
    body = {"users": names, "top": 9, "only": some, "exclude": sold, "where": "category <> 'toys'"}
    found = clients(model).post("/recommend", json=body).json()["lists"]
    flags = (f"--only={','.join(some)}", f"--exclude={','.join(sold)}", f"--where={body['where']}")
    named = f"--users={','.join(names)}"
    assert_same(found, commanded(places(model), tmp_path / "x", named, "--top=9", *flags))
    assert {ITEM_IDS.index(each["item_id"]) % 3 for each in found[0]["items"]} == {1, 2}
    assert [entry["user_id"] for entry in found] == names


@pytest.mark.parametrize("model", SERVED)
def test_histories_and_similar_items_are_those_of_recommend(clients, places, tmp_path, model):
    client, place = clients(model), places(model)
    if model in who.TAKE_HISTORY.replace(" and ", ", ").split(", "):
        history = list(ITEM_IDS[4:13:2])
        body = {"history": history, "top": 8, "where": "category IN ('toys', 'games')"}
        (entry,) = client.post("/recommend", json=body).json()["lists"]
        flags = (f"--history={','.join(history)}", "--top=8", f"--where={body['where']}")
        assert_same([entry], commanded(place, tmp_path / "x", *flags))
        assert entry["user_id"] is None
    else:
        answer = client.post("/recommend", json={"history": [ITEM_IDS[4]]})
        assert answer.status_code == 422
        assert "this model has scores only for the users" in answer.json()["detail"]
    answer = client.get("/similar", params={"item": ITEM_IDS[4], "top": 6})
    if model == "popularity":
        assert answer.status_code == 422
        return
    flags = (f"--similar-to={ITEM_IDS[4]}", "--top=6")
    assert_same([answer.json()], commanded(place, tmp_path / "x", *flags))


def test_hnsw_finds_the_same_among_few_items(clients, places):
    live = Live(places("vbpr").run, kind="hnsw")
    with TestClient(app.application(live)) as client:
        assert client.get("/health").json()["answers"] == "hnsw"
        for user in USER_IDS[:10]:
            wanted = {"user": user, "top": 5}
            found = [each.get("/recommend", params=wanted) for each in (client, clients("vbpr"))]
            assert_same(*(each.json()["lists"] for each in found))


def test_health_and_metrics(clients, places):
    client = clients("ease")
    health = client.get("/health").json()
    assert (health["status"], health["model"], health["answers"]) == ("ok", "ease", "lists")
    assert health["fingerprint"] == places("ease").results["data_fingerprint"]
    client.get("/recommend", params={"user": USER_IDS[READER]})
    text = client.get("/metrics").text
    ok = re.search(r'mmssl_requests_total\{path="/recommend",status="200"\} (\d+)', text)
    assert ok is not None
    assert int(ok[1]) >= 1
    for name in ("mmssl_epoch ", "mmssl_batch_queries_bucket", "process_resident_memory_bytes "):
        assert name in text
    assert client.get("/docs").status_code == 200
    assert "/recommend" in client.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"users": ["nobody"]}, 404, "the data has no user 'nobody'"),
        ({"users": ["a\u202eb"]}, 404, r"the data has no user 'a\u202eb'"),
        ({"history": ["B0"]}, 404, "the data has no item 'B0'"),
        ({"users": ["reader 7"], "only": ["zz"]}, 404, "the data has no item 'zz'"),
        ({}, 422, "body: it must be an object with either users or a history"),
        (
            {"users": ["reader 7"], "history": ["B002"]},
            422,
            "body: it must be an object with either",
        ),
        ({"users": []}, 422, "body.users: List should have at least 1 item"),
        ({"users": ["reader 7"] * 201}, 422, "body.users: List should have at most 200"),
        ({"users": ["x" * 1001]}, 422, "body.users.0: String should have at most 1000"),
        ({"users": [7]}, 422, "body.users.0: Input should be a valid string"),
        ({"users": ["reader 7"], "top": 0}, 422, "body.top: Input should be greater than"),
        ({"users": ["reader 7"], "top": 501}, 422, "body.top: Input should be less than"),
        (
            {"users": ["reader 7"], "top": True},
            422,
            "body.top: Input should be a valid integer",
        ),
        (
            {"users": ["reader 7"], "sql": "x"},
            422,
            "body.sql: Extra inputs are not permitted",
        ),
        (
            {"users": ["reader 7"], "exclude_known": "x"},
            422,
            "body.exclude_known: Input should be",
        ),
        (
            {"users": ["reader 7"], "where": "id IN (SELECT a FROM read_csv('/etc/passwd'))"},
            422,
            "where cannot have 'SELECT'",
        ),
        (
            {"users": ["reader 7"], "where": "x" * 1001},
            422,
            "body.where: String should have at",
        ),
        ([], 422, "body: it must be an object"),
        ("__import__('os')", 422, "body: it must be an object"),
    ],
)
def test_what_cannot_be_answered_is_one_line(clients, body, status, detail):
    answer = clients("ease").post("/recommend", json=body)
    assert (answer.status_code, answer.json().keys()) == (status, {"detail"})
    assert answer.json()["detail"].startswith(detail)
    assert "\n" not in answer.json()["detail"]
    assert len(answer.content) < 600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04\x95.",  # a pickle
        b"{" * 100_000,
        b"[" * 500_000,
        b'{"users": ["\\ud800"]}',
        b'{"users": ["reader 7"], "top": NaN}',
        b'{"users": ["reader 7"], "top": 1e999}',
        b'{"users": ["reader 7"], "top": ' + b"9" * 5000 + b"}",
        b'{"users": ["reader 7", ',
        "{'users': ['é']}".encode("utf-16"),
        b'{"where": "category = \'\\ud800\'", "users": ["reader 7"]}',
        b'{"users": ["reader 7"], "\\ud800": 1}',
        b'{"users": ["reader 7"], "a\\nb": 1}',
    ],
)
def test_hostile_bodies_are_refused_in_json(clients, content):
    headers = {"content-type": "application/json"}
    answer = clients("ease").post("/recommend", content=content, headers=headers)
    assert answer.status_code in (400, 404, 422)
    assert answer.json()["detail"].isprintable()


@pytest.mark.parametrize(
    "content",
    [
        b'{"users": ["reader 7"], "only": [' + b"0," * 400_000 + b"0]}",
        b'{"users": [' + b"0," * 400_000 + b"0]}",
        b"{" + b",".join(b'"k%d":1' % number for number in range(60_000)) + b"}",
    ],
)
def test_a_body_with_a_hundred_thousand_errors_costs_no_more_than_one(clients, content):
    client, headers = clients("ease"), {"content-type": "application/json"}
    tracemalloc.start()
    try:
        answer = client.post("/recommend", content=content, headers=headers)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 422
    assert most < 40 << 20


def test_a_name_of_another_host_is_not_answered(places):
    live = Live(places("ease").run)
    with TestClient(app.application(live, {"localhost", "::1", "recs.example"})) as client:
        for host in ("localhost", "LOCALHOST:8000", "[::1]:8000", "recs.example.:80"):
            assert client.get("/health", headers={"host": host}).status_code == 200
        for host in ("evil.example", "localhost.evil.example", "[::2]", "testserver"):
            answer = client.get("/health", headers={"host": host})
            assert answer.status_code == 400
            assert "see mmssl serve --allow-host" in answer.json()["detail"]


def test_no_answer_leads_to_the_host_that_a_request_names(clients):
    answer = clients("ease").get(
        "/recommend/?user=a", headers={"host": "evil.example"}, follow_redirects=False
    )
    assert answer.status_code == 404
    assert "location" not in answer.headers


def test_a_body_that_is_too_long_is_not_read(clients):
    client = clients("ease")
    answer = client.post("/recommend", content=b" " * (bodies.MOST_BYTES + 1))
    assert answer.status_code == 413
    assert answer.json()["detail"] == f"the body has more than {bodies.MOST_BYTES} bytes"
    sent = 0

    def parts():
        nonlocal sent
        for _ in range(64):
            sent += 1
            yield b" " * 100_000

    answer = client.post("/recommend", content=parts())  # without a length
    assert answer.status_code == 413


def test_too_many_waiting_queries_are_told_to_come_again(clients, monkeypatch):
    monkeypatch.setattr(batching, "MOST_WAITING", 2)
    answer = clients("ease").post("/recommend", json={"users": list(USER_IDS[:3])})
    assert (answer.status_code, list(answer.json())) == (503, ["detail"])
    assert clients("ease").get("/recommend", params={"user": USER_IDS[1]}).status_code == 200


def with_ids_of_the_data(case, number: int):
    """Every second case asks for users and items that there are."""
    if number % 2:
        return case
    for name, ids in (("user", USER_IDS), ("item", ITEM_IDS)):
        if case.query and name in case.query:
            case.query[name] = ids[number % len(ids)]
    for name, ids in (("users", USER_IDS), ("history", ITEM_IDS), ("only", ITEM_IDS)):
        if isinstance(case.body, dict) and isinstance(case.body.get(name), list):
            case.body[name] = list(ids[number % 9 : number % 9 + len(case.body[name])])
    return case


def test_every_answer_is_as_the_service_describes_it(places):
    """Schemathesis makes requests, right and wrong, from the service's own description."""
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, given, settings
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    schema = schemathesis.openapi.from_asgi(
        "/openapi.json", app.application(Live(places("ease").run))
    )
    limited = settings(
        max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    statuses: dict[tuple[str, str], list[int]] = {}

    def check(case):
        # A text that is no condition is a text all the same.
        free = isinstance(case.body, dict) and case.body.get("where") is not None
        answer = case.call_and_validate(excluded_checks=[positive_data_acceptance] if free else [])
        statuses.setdefault((case.method, case.path), []).append(answer.status_code)

    def as_described(case):
        check(with_ids_of_the_data(case, sum(map(len, statuses.values()))))

    def otherwise(case):
        check(case)

    for found in schema.get_all_operations():
        operation = found.ok()
        strategies = [(schemathesis.GenerationMode.POSITIVE, as_described)]
        if operation.path in ("/recommend", "/similar"):
            strategies.append((schemathesis.GenerationMode.NEGATIVE, otherwise))
        for mode, test in strategies:
            limited(given(case=operation.as_strategy(generation_mode=mode))(test))()
    print({operation: Counter(seen) for operation, seen in statuses.items()})
    assert {("GET", "/recommend"), ("POST", "/recommend"), ("GET", "/similar")} <= statuses.keys()
    assert all(max(seen) < 500 and 200 in seen for seen in statuses.values())
    assert sum(map(len, statuses.values())) > 100


def test_a_better_checkpoint_is_taken_up_without_losing_a_request(tmp_path):
    place = Place(tmp_path, uneven_world())
    flags = ("--config.model.name=mf", "--config.train.learning_rate=0.01")
    place.train(*flags, "--config.train.epochs=1")
    said: list[str] = []
    live = Live(place.run, say=said.append)
    application = app.application(live)
    epochs, statuses = set(), []

    async def ask(client, training):
        while not training.done() or len(epochs) < 2:
            answers = [
                await client.get("/recommend", params={"user": USER_IDS[READER]}),
                await client.post("/recommend", json={"users": list(USER_IDS), "where": "1 = 1"}),
            ]
            statuses.extend(answer.status_code for answer in answers)
            epochs.update(answer.json()["epoch"] for answer in answers)
            for answer in answers:
                assert all(entry["items"] for entry in answer.json()["lists"])

    def train():  # in a process of its own: within one orbax takes one caller at a time
        line = [sys.executable, "-m", "mmssl_jax", "train"]
        line += place.argv(*flags, "--config.train.epochs=12", "--quiet")
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL, timeout=300)

    async def all_of_it():
        transport = httpx2.ASGITransport(application)
        async with (
            application.router.lifespan_context(application),
            httpx2.AsyncClient(transport=transport, base_url="http://service") as client,
        ):
            training = asyncio.create_task(asyncio.to_thread(train))
            await asyncio.gather(*(ask(client, training) for _ in range(8)))
            await training

    with live.watching(every=0.05):
        asyncio.run(asyncio.wait_for(all_of_it(), 300))
    live.refresh()
    assert set(statuses) == {200}
    assert len(statuses) > 50
    assert live.swaps >= 1
    assert len(epochs) >= 2
    assert live.engine.trained.epoch == place.results["best_epoch"]
    assert f"now epoch {place.results['best_epoch']}" in said


def test_what_cannot_be_read_leaves_the_engine_as_it_is(places, tmp_path):
    run = shutil.copytree(places("vbpr").run, tmp_path / "run")
    live = Live(run, say=(said := []).append)
    engine, config = live.engine, run / "config.json"
    assert not live.refresh()
    content = config.read_text()
    config.write_text("{")
    assert not live.refresh()
    assert not live.refresh()
    config.write_text(content)
    assert live.engine is engine
    assert live.failures == 2
    assert said[-1].startswith("still epoch 1: cannot read ")
    assert not live.refresh()
    assert live.engine is engine


def test_the_program_answers_and_ends_when_it_is_asked_to(places):
    line = [sys.executable, "-m", "mmssl_jax", "serve", str(places("ease").run), "--port=0"]
    with subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            said = next(line for line in process.stderr if "http://" in line)
            address = re.search(r"http://127\.0\.0\.1:\d+", said)[0]
            with urllib.request.urlopen(f"{address}/health", timeout=30) as answer:
                assert json.load(answer)["model"] == "ease"
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["no-run"], "no-run holds no run"),
        (["no-run", "--port=99999"], "--port is '99999'; it must be a number from 0 to 65535"),
        (["no-run", "--index=annoy"], "--index is 'annoy'; it must be one of exact, hnsw"),
        (["no-run", "--host=192.0.2.1"], "cannot listen on 192.0.2.1:8000 ("),
        (["no-run", "--host=no host"], "cannot listen on no host:8000 ("),
        ([], "Missing argument 'RUN'"),
    ],
)
def test_serve_refuses(capsys, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    assert refused("serve", flags, capsys).startswith(message)


def test_without_the_extra_one_line_says_what_to_install(monkeypatch, places):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(InputError, match=r'an extra \(no uvicorn\): pip install "\.\[serve\]"'):
        call(["serve", str(places("ease").run), "--port=0"])
