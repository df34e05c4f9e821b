"""Attacks on the service over real sockets; `faults.hostile_service` says what is sent."""

import contextlib
import os
import re
import shutil
import socket
import urllib.request

import jax
import numpy as np
import pytest
from uneven import uneven_world
from worlds import Place

pytest.importorskip("fastapi", reason="needs the extra serve")
from faults import hostile_service
from faults.tally import Tally


@pytest.fixture(scope="module", name="service")
def _service(tmp_path_factory):
    jax.config.update("jax_disable_most_optimizations", True)
    folder = tmp_path_factory.mktemp("attacked")
    place = Place(folder, uneven_world())
    place.train("--config.model.name=popularity", "--config.train.epochs=1")
    jax.config.update("jax_disable_most_optimizations", False)
    with hostile_service.serving(place.run, folder) as service:
        yield service


def test_a_service_under_attack_lets_go_of_the_slow_and_answers_the_others(service):
    tally = Tally()
    hostile_service.attack(service, tally, np.random.default_rng(0), 0.04)
    assert tally.failures == []
    assert set(tally.kinds) >= {"idle connections", "slow heads", "slow bodies"}


def test_what_is_wrong_after_an_answer_breaks_the_connection_off_in_silence(service):
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with service.connected() as connection:
        connection.sendall(head)
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"no chunk\r\n")
        assert not left(connection)
    service.check()


def test_a_body_that_is_broken_is_answered_once_and_nothing_is_logged(service):
    """The application has the request by then, and must not answer it as well."""
    for line in (b"GET /health", b"POST /recommend"):
        for ending in (
            b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n",
            b"\r\n\r\n GET / HTTP/1.1",
        ):
            with service.connected() as connection:
                connection.sendall(line + b" HTTP/1.1\r\nHost: localhost\r\n" + ending)
                connection.shutdown(socket.SHUT_WR)
                answer = b""
                with contextlib.suppress(ConnectionError):
                    while part := connection.recv(1 << 16):
                        answer += part
            assert answer.count(b"HTTP/1.1 400 ") <= 1
    service.check()


def left(connection):
    """What comes until the other side ends it."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(1 << 16):
            found += part
    return found.partition(b"}")[2]  # of the answer


def test_no_page_of_the_service_asks_another_host(service):
    page, head = asked(service, "/docs")
    assert "default-src 'none'" in head["content-security-policy"]
    local = re.findall(r"(?:src|href)=\"([^\"]+)\"", page)
    assert len(local) >= 3
    for path in local:
        assert path.startswith("/")
        assert not path.startswith("//")
        assert len(asked(service, path)[0]) > 1000
    assert asked(service, "/openapi.json")[1]["x-content-type-options"] == "nosniff"


def asked(service, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{service.port}{path}", timeout=30) as answer:
        return answer.read().decode("utf-8", "replace"), answer.headers


def test_the_page_of_the_description_works_without_a_network(service):
    playwright = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("no Chromium; apt-get install chromium")
    said, requested = [], []
    with playwright.sync_playwright() as driver:
        sandbox = [] if os.name != "posix" or os.geteuid() else ["--no-sandbox"]
        browser = driver.chromium.launch(executable_path=path, args=sandbox)
        page = browser.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: requested.append(request.url))
        page.goto(f"http://127.0.0.1:{service.port}/docs")
        page.wait_for_selector(".opblock", timeout=60_000)  # a path, as its script draws it
        browser.close()
    assert said == []
    own = f"http://127.0.0.1:{service.port}/"
    assert [url for url in requested if not url.startswith((own, "data:"))] == []
