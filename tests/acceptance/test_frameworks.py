"""Applications of real frameworks behind real servers: what they log lies in their spools."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.unit.logger.support import ROOT, environment, spooled

FOLDER = Path(__file__).parent / "applications"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = {
    "User-Agent": "test/1",
    "X-Forwarded-For": "6.6.6.6, 198.51.100.7",
    "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
}
FRAMEWORKS = ["fastapi", "flask", "django"]

Events = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Served:
    """An application that is being served."""

    framework: str
    port: int
    home: Path

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers=HEADERS, timeout=20, trust_env=False, verify=False
        )

    def events(self, expected: int, matching: Callable[[dict[str, Any]], bool] = lambda event: True) -> Events:
        """Return the spooled events that match, as soon as there are `expected`."""
        end = time.monotonic() + 20
        found: Events = []
        while time.monotonic() < end:
            found = [event for event in spooled(self.home) if matching(event)] if self.home.exists() else []
            if len(found) >= expected:
                break
            time.sleep(0.05)
        assert len(found) == expected, [event["event"] for event in found]
        return found


@contextmanager
def served(framework: str, home: Path) -> Iterator[Served]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.acceptance.applications.{framework}_application"],
        env=environment(home),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        yield Served(framework, port, home)
    finally:
        process.stdout.close()
        process.terminate()
        process.wait(20)


@pytest.fixture(params=FRAMEWORKS)
def application(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    with served(request.param, tmp_path) as running:
        yield running


def is_request(event: dict[str, Any]) -> bool:
    return bool(event["event"]["code"] == "HTTP_REQUEST")


def test_a_failed_login_and_its_request_tell_the_same_story(application: Served) -> None:
    with application.client() as client:
        answer = client.post("/login?next=%2Fhome", json={"user": "ann", "password": "hunter2"})
    assert answer.status_code == 401
    failure, request = sorted(application.events(2), key=is_request)
    assert failure["event"]["code"] == "LOGIN_FAILURE"
    assert failure["event"]["reason"] == "invalid_password"
    for event in (failure, request):
        assert event["service"]["name"] == "shop"
        assert event["user"]["id"] == "ann"
        assert event["source"]["ip"] == "198.51.100.7"
        assert event["user_agent"]["original"] == "test/1"
        assert event["trace"]["id"] == TRACE
    assert request["http"] == {"request": {"method": "POST"}, "response": {"status_code": 401}}
    assert request["url"] == {"path": "/login", "query": "next=%2Fhome"}
    assert request["event"]["outcome"] == "failure"
    assert request["event"]["duration"] > 0
    assert request["siemlite"]["data"]["http.request.body.content"] == {"user": "ann", "password": "[REDACTED]"}


def test_an_exception_of_a_view_is_logged_and_answered_by_the_framework(application: Served) -> None:
    with application.client() as client:
        assert client.get("/broken").status_code == 500
    (event,) = application.events(1)
    assert event["error"] == {"type": "ValueError", "message": "out of order"}
    assert event["http"]["response"]["status_code"] == 500
    assert event["log"]["level"] == "error"
    assert any("broken" in place for place in event["siemlite"]["data"]["traceback"])


def test_a_stream_arrives_whole_and_its_end_knows_the_request(application: Served) -> None:
    with application.client() as client:
        assert client.get("/stream").text == "part part part "
    export, request = sorted(application.events(2), key=is_request)
    assert export["event"]["code"] == "BULK_DATA_EXPORT"
    assert export["source"]["ip"] == "198.51.100.7"
    assert request["event"]["outcome"] == "success"


def test_head_is_answered_and_logged(application: Served) -> None:
    with application.client() as client:
        client.head("/a/page")
    (event,) = application.events(1)
    assert event["http"]["request"]["method"] == "HEAD"
    assert event["http"]["response"]["status_code"] in (200, 405)


@pytest.mark.parametrize("target", ["/%ff%fe?%ff=%fe", "/a%00b", "/%F0%9F%98%80?\xe9"])
def test_odd_bytes_in_a_path_are_served_and_logged(application: Served, target: str) -> None:
    with socket.create_connection(("127.0.0.1", application.port), timeout=20) as connection:
        request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode("latin-1"))
        status = b""
        while part := connection.recv(65_536):
            status += part
    if application.framework == "fastapi" and not target.isascii():
        assert b" 400 " in status.partition(b"\r\n")[0]  # Refused by uvicorn before it reaches the application.
        return
    (event,) = application.events(1)
    assert event["url"]["path"].startswith("/")
    assert event["http"]["response"]["status_code"] == int(status.split(b" ")[1])


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_concurrent_requests_in_threads_keep_their_contexts_apart(framework: str, tmp_path: Path) -> None:
    def visit(number: int) -> int:
        with running.client() as client:
            headers = {"X-Forwarded-For": f"198.51.100.{number}"}
            return client.get(f"/in-a-thread/user-{number}", headers=headers).status_code

    with served(framework, tmp_path) as running:
        with ThreadPoolExecutor(12) as pool:
            assert set(pool.map(visit, range(1, 61))) == {200}
        kinds = 3 if framework == "fastapi" else 2
        for event in running.events(60 * kinds):
            number = event["source"]["ip"].rpartition(".")[2]
            assert event["user"]["id"] == f"user-{number}"


def test_a_client_that_goes_away_in_the_middle_of_a_stream_is_logged(tmp_path: Path) -> None:
    with served("fastapi", tmp_path) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
            connection.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
            connection.recv(1_000)
        (event,) = running.events(1)
    assert event["url"]["path"] == "/endless"
    assert event["event"]["code"] == "HTTP_REQUEST"


def test_a_path_that_is_excluded_is_not_logged(tmp_path: Path) -> None:
    with served("fastapi", tmp_path) as running:
        with running.client() as client:
            assert client.get("/health").json() == {"status": "ok"}
            client.get("/page")
        (event,) = running.events(1)
    assert event["url"]["path"] == "/page"


def test_a_form_is_kept_redacted(tmp_path: Path) -> None:
    with served("flask", tmp_path) as running:
        with running.client() as client:
            assert client.post("/form", data={"user": "ann", "password": "hunter2"}).json() == {"fields": 2}
        (event,) = running.events(1)
    assert event["siemlite"]["data"]["http.request.body.content"] == {"user": "ann", "password": "[REDACTED]"}


def test_what_is_logged_last_is_kept_when_the_server_is_told_to_stop(tmp_path: Path) -> None:
    with served("fastapi", tmp_path) as running, running.client() as client:
        for number in range(100):
            client.get(f"/{number}")
    assert len([event for event in spooled(tmp_path) if event["event"].get("code") != "LOGOUT"]) == 100


def test_what_is_logged_while_the_server_ends_is_kept_though_it_ends_by_a_signal(tmp_path: Path) -> None:
    with served("fastapi", tmp_path) as running, running.client() as client:
        client.get("/health")
    assert [event["event"]["code"] for event in spooled(tmp_path)] == ["LOGOUT"]


def test_a_websocket_has_its_context_and_is_left_alone(tmp_path: Path) -> None:
    with served("fastapi", tmp_path) as running:
        url = f"ws://127.0.0.1:{running.port}/chat"
        with connect(url, additional_headers=HEADERS, proxy=None) as connection:
            connection.send("hello")
            assert connection.recv() == "HELLO"
        (event,) = running.events(1)
    assert event["event"]["code"] == "ACCESS_DENIED"
    assert event["source"]["ip"] == "198.51.100.7"
    assert event["trace"]["id"] == TRACE
