"""An endpoint that misbehaves, a budget, and kills: nothing is lost, and nothing is believed."""

import asyncio
import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from types import SimpleNamespace

import chat_server
import pytest
from chat_server import NASTY, Server, completion, good, well
from worlds import ROOT

from mmssl_jax.augmentation import answers, asking, endpoint
from mmssl_jax.augmentation.answer_file import AnswerFile
from mmssl_jax.augmentation.answers import Refused
from mmssl_jax.augmentation.options import AugmentOptions
from mmssl_jax.augmentation.prompts import Question, question
from mmssl_jax.errors import InputError

CANDIDATES = [30, 10, 20]


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def questions(count: int) -> list[Question]:
    def one(number: int) -> Question:
        text = f"Person {number}\n[1] a\n[2] b\n[3] c"
        request = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": text}]}
        return question("pairs", number, request, lambda text: answers.pair(CANDIDATES, text))

    return [one(number) for number in range(count)]


def ask(folder, behave, count=12, **options):
    """Asks a server that behaves so; gives what came of it, the pairs, and the server."""
    own = AugmentOptions("endpoint", model="m", **{"concurrency": 4, "timeout": 5} | options)
    with Server(behave).running() as server, AnswerFile.open(folder) as file:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OPENAI_BASE_URL", server.url)
            url = endpoint.address()
        done = asking.ask(iter(questions(count)), url, file, own, lambda done: None)
        found = [asking.accepted(each, file.of(each.key)) for each in questions(count)]
    return SimpleNamespace(
        failed=done.failed,
        out_of_budget=done.out_of_budget,
        pairs=[each.value for each in found if each.value is not None],
        refused=sum((each.refused for each in found), Counter()),
        server=server,
    )


@pytest.mark.parametrize(
    "behave", [chat_server.well, chat_server.slow, chat_server.busy, chat_server.failing]
)
def test_a_server_that_answers_in_the_end_loses_nothing(tmp_path, behave):
    done = ask(tmp_path, behave)
    assert done.pairs == [(30, 20)] * 12
    assert not done.failed
    assert done.server.most_at_once <= 4


def test_requests_go_out_together(tmp_path):
    assert ask(tmp_path, chat_server.slow).server.most_at_once > 1


def test_hostile_answers_are_refused_each_with_its_reason(tmp_path):
    done = ask(tmp_path, chat_server.hostile, count=30, tries=20, concurrency=1)
    assert done.pairs == [(30, 20)] * 30
    assert set(done.refused) == {
        "is no JSON object",
        "likes and dislikes one item",
        "names no candidate",
        "is too long",
    }


def test_tries_end(tmp_path):
    done = ask(tmp_path, lambda handler, *_: handler.answer(completion("no")), count=3, tries=2)
    assert len(done.server.requests) == 6
    assert done.refused == {"is no JSON object": 6}
    again = ask(tmp_path, well, count=3, tries=2)
    assert not again.server.requests


def test_malformed_bodies_are_asked_again_by_the_next_call(tmp_path):
    first = ask(tmp_path, chat_server.malformed, count=7, concurrency=1)
    assert first.failed == {"an answer that is no chat completion": 6}
    assert len(ask(tmp_path, well, count=7).pairs) == 7


def test_lies_about_tokens_are_replaced_by_an_estimate(tmp_path):
    usage = {"prompt_tokens": -3, "completion_tokens": 10**30}
    ask(tmp_path, lambda h, n, text: h.answer(completion(good(text), usage)), count=1)
    with AnswerFile.open(tmp_path) as file:
        assert 0 < file.tokens[0] < 30
        assert file.tokens[1] == 50


def test_a_budget_is_never_exceeded_and_can_be_raised(tmp_path):
    done = ask(tmp_path, chat_server.slow, budget=300)
    with AnswerFile.open(tmp_path) as file:
        assert sum(file.tokens) <= 300
    assert done.out_of_budget
    assert 0 < len(done.pairs) < 12
    assert len(ask(tmp_path, well, budget=10_000).pairs) == 12


@pytest.mark.parametrize("status", [301, 307, 401, 403, 404])
def test_what_no_request_can_mend_ends_at_once(tmp_path, status):
    def refuse(handler, *_):
        body = json.dumps({"error": {"message": f"no {NASTY}"}}).encode()
        handler.answer(body, status, Location="http://127.0.0.1:9/elsewhere")

    with pytest.raises(InputError, match=f"the endpoint answers with status {status}") as caught:
        ask(tmp_path, refuse)
    assert str(caught.value).isprintable()


def dropping(handler, number, prompt):
    handler.connection.close()


def huge(handler, number, prompt):
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(100):
            handler.wfile.write(b" " * 1_000_000)


def packed(handler, number, prompt):
    handler.answer(gzip.compress(completion("x" * 10_000)), Content_Encoding="gzip")


def dripping(handler, number, prompt):
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(60):
            handler.wfile.write(b" ")
            time.sleep(0.1)


def silent(handler, number, prompt):
    time.sleep(3)


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (dropping, "no connection, or one that broke off"),
        (huge, "an answer that is too long"),
        (packed, "an answer that is packed"),
        (dripping, "no answer in time"),
        (silent, "no answer in time"),
    ],
)
def test_a_server_that_never_answers_is_given_up(tmp_path, monkeypatch, behave, reason):
    monkeypatch.setattr(endpoint, "RETRIES", 0)
    with pytest.raises(
        InputError, match=f"3 requests in a row have failed, the last with {reason}"
    ):
        ask(tmp_path, behave, timeout=1)


def test_nobody_there(tmp_path, monkeypatch):
    monkeypatch.setattr(endpoint, "RETRIES", 0)
    options = AugmentOptions("endpoint", model="m")
    with AnswerFile.open(tmp_path) as file, pytest.raises(InputError, match="no connection"):
        asking.ask(iter(questions(9)), "http://127.0.0.1:9/v1", file, options, print)


def test_one_prompt_that_fails_is_not_the_end(tmp_path):
    def picky(handler, number, prompt):
        if "Person 5\n" in prompt:
            handler.answer(b'{"error": {"message": "too long for me"}}', 400)
        else:
            well(handler, number, prompt)

    done = ask(tmp_path, picky)
    assert len(done.pairs) == 11
    assert [count for reason, count in done.failed.items() if "status 400" in reason] == [1]


def test_one_prompt_that_a_gateway_forbids_is_not_the_end(tmp_path):
    def moderated(handler, number, prompt):
        if "Person 5\n" in prompt:
            handler.answer(b'{"error": {"message": "not this"}}', 403)
        else:
            well(handler, number, prompt)

    assert len(ask(tmp_path, moderated, concurrency=1).pairs) == 11


def test_an_answer_without_text_is_paid_for_and_counted(tmp_path):
    usage = {"prompt_tokens": 20, "completion_tokens": 50}
    done = ask(tmp_path, lambda h, *_: h.answer(completion(None, usage)), count=2, tries=2)
    assert len(done.server.requests) == 4
    with AnswerFile.open(tmp_path) as file:
        assert file.tokens == [80, 200]
    assert not ask(tmp_path, well, count=2, tries=2).server.requests


def test_a_key_that_a_server_repeats_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    ask(tmp_path, lambda h, *_: h.answer(completion("sk-secret")), count=1)
    assert b"sk-secret" not in (tmp_path / "answers.jsonl").read_bytes()
    with pytest.raises(InputError, match=r"bad key \*\*\*") as caught:
        ask(tmp_path, lambda h, *_: h.answer(b'{"error": {"message": "bad key sk-secret"}}', 401))
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize("text", ['I {think}: {"like": 1, "dislike": "[3]"}', '{} {"like": 1}'])
def test_the_first_object_counts(text):
    if text.startswith("I"):
        assert answers.pair(CANDIDATES, text) == (30, 20)
    else:
        with pytest.raises(Refused):
            answers.pair(CANDIDATES, text)


def test_the_key_is_sent_and_kept_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    done = ask(tmp_path, well)
    assert done.server.headers[0]["authorization"] == "Bearer sk-secret"
    assert all(b"sk-secret" not in path.read_bytes() for path in tmp_path.iterdir())


def test_two_at_once_are_refused(tmp_path):
    with (
        AnswerFile.open(tmp_path),
        pytest.raises(InputError, match="another process is augmenting"),
        AnswerFile.open(tmp_path),
    ):
        pass


@pytest.mark.parametrize("cut", [b'{"custom_id": "k", "ans', b"x" * 3_000_000, b"\xff\xfe", b"[1]"])
def test_broken_lines_hide_no_others(tmp_path, cut):
    path = tmp_path / "answers.jsonl"
    whole = b'{"custom_id": "k", "answer": "a"}\n'
    path.write_bytes(whole + cut)
    with AnswerFile.open(tmp_path) as file:
        assert len(file.unreadable) == 1
        file.add("new", asking.Reply("b", None), "m")
    with AnswerFile.open(tmp_path) as file:
        assert (file.of("k"), file.of("new"), len(file.unreadable)) == (["a"], ["b"], 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"summary": "Calm\\u001b[2J \\ud800 one."}', "Calm [2J one"),
        ('{"likes": "tea", "dislikes": ["n/a", null, 3]}', "likes tea. dislikes 3"),
        ('{"likes": ["a", "b."], "summary": ""}', "likes a, b"),
    ],
)
def test_profiles_are_one_printable_line(text, said):
    assert answers.profile(text) == said


@pytest.mark.parametrize(
    "text", ["{}", '{"likes": ["unknown"], "summary": "N/A."}', '{"likes": {}}']
)
def test_profiles_that_say_nothing_are_refused(text):
    with pytest.raises(Refused, match="says nothing"):
        answers.profile(text)


def test_attributes_are_those_that_were_asked_for():
    text = '{"colour": ["red", "blue"], "size": null, "password": "x"}'
    assert answers.attributes(["colour", "size"], text) == {"colour": "red, blue", "size": ""}
    with pytest.raises(Refused, match="is too long"):
        answers.attributes(["colour"], json.dumps({"colour": "x" * 300}))


_PATHS = [os.path.dirname(__file__), f"{ROOT}/tests", str(ROOT)]
_DRIVER = f"""
import pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
sys.path[:0] = {_PATHS!r}
from test_endpoint import ask
from chat_server import slow
ask(pathlib.Path(sys.argv[1]), slow, count=40, concurrency=2)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_what_is_answered_before_a_kill_is_not_asked_again(tmp_path, number):
    command = [sys.executable, "-c", _DRIVER, str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    file = tmp_path / "answers.jsonl"
    deadline = time.monotonic() + 60
    while not file.exists() or file.read_bytes().count(b"\n") < 5:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate(timeout=60)
    kept = file.read_bytes().count(b"\n")
    assert 5 <= kept < 40
    done = ask(tmp_path, well, count=40)
    assert len(done.pairs) == 40
    assert len(done.server.requests) == 40 - kept


def test_asking_can_be_cancelled(tmp_path):
    """Ctrl-C cancels what waits for answers; nothing hangs."""

    async def run():
        with Server(silent).running() as server:
            async with endpoint.connected(server.url, 5, 2) as connected:
                task = asyncio.create_task(connected.ask(questions(1)[0].request))
                await asyncio.sleep(0.2)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    asyncio.run(run())
