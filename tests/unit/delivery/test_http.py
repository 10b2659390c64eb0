"""What each answer, and each failure, of a real HTTP server means; and what is never said about it."""

import gzip
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme
from pydantic import SecretStr

from pipeline.delivery.channels.base import SendError
from pipeline.delivery.channels.http import Poster
from pipeline.delivery.channels.pagerduty import PagerDutyChannel
from pipeline.delivery.channels.webhook import WebhookChannel
from pipeline.delivery.retry import Failure
from tests.unit.clocks import ManualClock
from tests.unit.delivery.dripping import dripping
from tests.unit.delivery.receiver import Answer, receiver
from tests.unit.waiting import until

SECRET = "s3cr3tXYZ"


def failure_of(answer: Answer, timeout_s: float = 10.0) -> Failure:
    with receiver(lambda _: answer) as server:
        poster = Poster(SecretStr(server.url), ManualClock(), timeout_s=timeout_s)
        with pytest.raises(SendError) as raised:
            poster.post(b"{}", {})
        poster.close()
        until(lambda: bool(server.requests))  # the client may have given up before the server looked
        assert len(server.requests) == 1
    assert SECRET not in repr(raised.value)
    assert SECRET not in repr(raised.value.failure)
    return raised.value.failure


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_2xx_answer_is_success(status: int) -> None:
    with receiver(lambda _: Answer(status, b"")) as server:
        poster = Poster(SecretStr(server.url), ManualClock())
        poster.post(b'{"a":1}', {"X-Y": "z"})
        poster.close()
        [request] = server.requests
    assert (request.json, request.headers["X-Y"]) == ({"a": 1}, "z")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422, 301, 307])
def test_what_can_never_succeed_is_permanent(status: int) -> None:
    headers = {"location": "http://127.0.0.1:1/elsewhere"} if status < 400 else {}
    failure = failure_of(Answer(status, b"no_service", headers))
    assert failure == Failure(f"HTTP {status}: no_service", permanent=True)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_succeed_later_is_not(status: int) -> None:
    assert failure_of(Answer(status, b"")) == Failure(f"HTTP {status}")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("Sun, 15 Jun 2025 15:07:40 GMT", 60.0),
        ("soon", None),
        ("-5", None),
        ("9" * 40, 999999999.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str, seconds: float | None) -> None:
    assert failure_of(Answer(429, b"", {"retry-after": header})).retry_after_s == seconds


def test_a_server_that_hangs_is_given_up_and_tried_again_later() -> None:
    release = threading.Event()
    try:
        failure = failure_of(Answer(hang=release), timeout_s=0.2)
    finally:
        release.set()
    assert not failure.permanent
    assert failure.reason == "no answer in time (ReadTimeout)"


DRIPS: dict[str, tuple[bytes, bytes]] = {
    "a header line after the other": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "a header line, byte by byte": (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "early hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
    "a body": (b"HTTP/1.1 500 Broken\r\nContent-Length: 1900\r\n\r\n", b"x"),
    "a body that decodes to nothing": (
        b"HTTP/1.1 500 Broken\r\nContent-Encoding: gzip\r\nContent-Length: 90000\r\n\r\n" + gzip.compress(b"x")[:10],
        b"\x00\x00\x00\xff\xff",
    ),
    "the extension of a chunk": (b"HTTP/1.1 500 Broken\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"e"),
}


@pytest.mark.parametrize("what", DRIPS)
def test_an_answer_that_comes_drop_by_drop_is_waited_for_until_the_deadline_only(what: str) -> None:
    begin, drop = DRIPS[what]
    with dripping(begin, drop) as port:
        poster = Poster(SecretStr(f"http://127.0.0.1:{port}/"), ManualClock(), exchange_s=0.3)
        with pytest.raises(SendError, match=r"HTTP 500: the answer broke off|no answer in time") as raised:
            poster.post(b"{}", {})
        poster.close()
    assert not raised.value.failure.permanent


def test_a_message_that_was_taken_waits_for_no_answers_end() -> None:
    with dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1900\r\n\r\n", b"x") as port:
        poster = Poster(SecretStr(f"http://127.0.0.1:{port}/"), ManualClock())
        poster.post(b"{}", {})
        poster.close()


def test_the_deadline_holds_under_tls_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    with dripping(*DRIPS["early hints"], context) as port:
        poster = Poster(SecretStr(f"https://localhost:{port}/"), ManualClock(), exchange_s=0.3)
        with pytest.raises(SendError, match="no answer in time"):
            poster.post(b"{}", {})
        poster.close()


def test_a_connection_that_breaks_is_tried_again_later() -> None:
    assert not failure_of(Answer(reset=True)).permanent


def test_a_server_that_is_not_there_is_tried_again_later() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/{SECRET}"
        with pytest.raises(SendError) as raised:
            Poster(SecretStr(url), ManualClock()).post(b"", {})
    assert not raised.value.failure.permanent
    assert raised.value.failure.reason.startswith("ConnectError: ")


def test_a_name_that_does_not_resolve_is_tried_again_later() -> None:
    with pytest.raises(SendError) as raised:
        Poster(SecretStr(f"https://nowhere.invalid/{SECRET}"), ManualClock()).post(b"", {})
    assert not raised.value.failure.permanent
    assert SECRET not in raised.value.failure.reason


@pytest.fixture
def untrusted_tls_port() -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            context.wrap_socket(server.accept()[0], server_side=True)
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    server.close()
    thread.join(5)


def test_a_certificate_that_nobody_trusts_is_no_place_for_a_secret(untrusted_tls_port: int) -> None:
    with pytest.raises(SendError) as raised:
        Poster(SecretStr(f"https://localhost:{untrusted_tls_port}/{SECRET}"), ManualClock()).post(b"", {})
    assert not raised.value.failure.permanent
    assert "CERTIFICATE_VERIFY_FAILED" in raised.value.failure.reason


def test_an_answer_that_repeats_the_secret_is_not_quoted() -> None:
    failure = failure_of(Answer(404, f"no such path /services/T000/B000/{SECRET}".encode()))
    assert failure.reason == "HTTP 404: no such path [REDACTED]"


def test_a_channel_that_is_shown_shows_no_secret() -> None:
    key = SecretStr("R0UT1NGKEY")
    poster = Poster(SecretStr(f"https://example.org/{SECRET}"), ManualClock(), secrets=(key,))
    shown = repr([vars(poster), vars(PagerDutyChannel(key, poster)), vars(WebhookChannel(key, poster, ManualClock()))])
    poster.close()
    assert SECRET not in shown
    assert key.get_secret_value() not in shown


def test_an_endless_or_hostile_answer_is_cut_and_escaped() -> None:
    failure = failure_of(Answer(500, b"\x1b[2J" + b"A" * 1_000_000))
    assert failure.reason.startswith("HTTP 500: \\x1b[2JAAAA")
    assert len(failure.reason) < 150


def test_the_librarys_own_log_names_the_host_alone(caplog: pytest.LogCaptureFixture) -> None:
    with receiver() as server, caplog.at_level(logging.DEBUG):
        poster = Poster(SecretStr(server.url), ManualClock())
        poster.post(b"{}", {})
        poster.close()
    assert any(record.name == "httpx" for record in caplog.records)
    assert SECRET not in caplog.text


def test_a_proxy_of_the_environment_is_not_used_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with receiver() as server:
        poster = Poster(SecretStr(server.url), ManualClock())
        poster.post(b"{}", {})
        poster.close()
        assert len(server.requests) == 1
        with pytest.raises(httpx.ConnectError):
            httpx.post("http://example.invalid/", content=b"")
