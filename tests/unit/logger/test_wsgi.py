"""The WSGI middleware, driven as a server drives it, also as no good server would."""

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from pipeline.logger.request import CURRENT, bind_user
from pipeline.logger.security import SecurityLogger
from pipeline.logger.wsgi import SecurityWSGIMiddleware
from pipeline.testing import captured_events

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = [
    (b"user-agent", b"curl/8"),
    (b"x-forwarded-for", b"6.6.6.6, 198.51.100.7"),
    (b"traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode()),
    (b"content-type", b"application/json"),
]


def environ_of(**changes: Any) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/caf\xc3\xa9",
        "QUERY_STRING": "q=1",
        "REMOTE_ADDR": "10.0.0.1",
        "HTTP_USER_AGENT": "curl/8",
        "HTTP_X_FORWARDED_FOR": "6.6.6.6,198.51.100.7",
        "HTTP_TRACEPARENT": f"00-{TRACE}-00f067aa0ba902b7-01",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "22",
        "wsgi.input": io.BytesIO(b'{"password":"hunter2"}'),
        **changes,
    }


def serve_wsgi(
    security: SecurityLogger, app: Any, environ: dict[str, Any] | None = None, *, most: int = 100, **options: Any
) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Serve one request, reading at most `most` parts of the response; return events and parts."""
    wrapped = SecurityWSGIMiddleware(app, security=security, **options)
    parts: list[bytes] = []
    with captured_events() as events:
        response = wrapped(environ if environ is not None else environ_of(), lambda *arguments: parts.append)
        try:
            for part in response:
                parts.append(part)
                if len(parts) >= most:
                    break
        finally:
            close = getattr(response, "close", None)
            if close is not None:
                close()
    assert CURRENT.get() is None
    return events, parts


def test_a_wsgi_request_becomes_an_event(security: SecurityLogger) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        bind_user("u-1")
        start_response("403 Forbidden", [])
        return [b"no"]

    (event,), parts = serve_wsgi(security, app, trusted_proxies=["10.0.0.0/8"], body=True)
    assert parts == [b"no"]
    assert event["event"]["code"] == "HTTP_REQUEST"
    assert event["event"]["outcome"] == "failure"
    assert event["http"] == {"request": {"method": "POST"}, "response": {"status_code": 403}}
    assert event["url"] == {"path": "/café", "query": "q=1"}
    assert event["source"]["ip"] == "198.51.100.7"
    assert event["user"]["id"] == "u-1"
    assert event["trace"]["id"] == TRACE
    assert event["siemlite"]["data"]["http.request.body.content"] == {"password": "[REDACTED]"}


def test_a_wsgi_stream_has_its_context_while_it_runs_and_is_logged_when_it_ends(security: SecurityLogger) -> None:
    seen: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        for part in (b"a", b"b"):
            context = CURRENT.get()
            seen.append(context.ip if context else None)
            yield part

    (event,), parts = serve_wsgi(security, app)
    assert parts == [b"a", b"b"]
    assert seen == ["10.0.0.1", "10.0.0.1"]
    assert event["http"]["response"]["status_code"] == 200


def test_a_wsgi_response_that_is_closed_early_is_logged_as_cancelled_and_closed_once(security: SecurityLogger) -> None:
    closed: list[bool] = []

    class Response:
        def __iter__(self) -> Iterator[bytes]:
            yield from (b"a", b"b", b"c")

        def close(self) -> None:
            closed.append(True)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Response()

    (event,), parts = serve_wsgi(security, app, most=1)
    assert parts == [b"a"]
    assert closed == [True]
    assert (event["event"]["outcome"], event["event"]["reason"]) == ("unknown", "cancelled")


def test_the_body_of_an_answer_to_head_need_not_be_read(security: SecurityLogger) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"never sent"

    wrapped = SecurityWSGIMiddleware(app, security=security)
    with captured_events() as events:
        response: Any = wrapped(environ_of(REQUEST_METHOD="HEAD"), lambda *arguments: None)
        response.close()
    assert "reason" not in events[0]["event"]


@pytest.mark.parametrize("moment", ["call", "iteration", "close"])
def test_a_wsgi_exception_is_logged_once_and_raised_again(security: SecurityLogger, moment: str) -> None:
    class Response:
        def __iter__(self) -> Iterator[bytes]:
            if moment == "iteration":
                raise KeyError("broken")
            yield b"a"

        def close(self) -> None:
            if moment == "close":
                raise KeyError("broken")

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if moment == "call":
            raise KeyError("broken")
        start_response("200 OK", [])
        return Response()

    with captured_events() as events, pytest.raises(KeyError, match="broken"):
        serve_wsgi(security, app)
    # The capture inside is not returned when it raises; the outer one sees the same event.
    (event,) = events
    assert event["error"]["type"] == "KeyError"
    assert event["log"]["level"] == "error"


def test_start_response_is_passed_on_with_its_exception_and_its_writer(security: SecurityLogger) -> None:
    calls: list[tuple[Any, ...]] = []

    def start(*arguments: Any) -> Callable[[bytes], None]:
        calls.append(arguments)
        return lambda data: calls.append((data,))

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("a", "b")])
        write = start_response("500 Oops", [], (None, None, None))
        write(b"x")
        return []

    wrapped = SecurityWSGIMiddleware(app, security=security)
    with captured_events() as events:
        wrapped(environ_of(), start)
    assert calls == [("200 OK", [("a", "b")]), ("500 Oops", [], (None, None, None)), (b"x",)]
    assert events[0]["http"]["response"]["status_code"] == 500


@pytest.mark.parametrize(
    "reading", ["read", "read in steps", "readline", "readlines", "iteration", "read1", "readinto"]
)
def test_the_application_reads_its_input_in_any_way(security: SecurityLogger, reading: str) -> None:
    data = b'{"a":\n1}'
    read = b""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        nonlocal read
        source = environ["wsgi.input"]
        assert source.seekable()
        if reading == "read":
            read = source.read()
        elif reading == "read in steps":
            read = b"".join(iter(lambda: source.read(3), b""))
        elif reading == "readline":
            read = b"".join(iter(source.readline, b""))
        elif reading == "readlines":
            read = b"".join(source.readlines())
        elif reading == "read1":
            read = source.read1(100)
        elif reading == "readinto":
            buffer = bytearray(100)
            read = bytes(buffer[: source.readinto(buffer)])
        else:
            read = b"".join(source)
        start_response("200 OK", [])
        return []

    environ = environ_of(**{"wsgi.input": io.BytesIO(data), "CONTENT_LENGTH": str(len(data))})
    (event,), _ = serve_wsgi(security, app, environ, body=True)
    assert read == data
    assert event["siemlite"]["data"]["http.request.body.content"] == {"a": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"PATH_INFO": "/\xff\xfe"},
        {"QUERY_STRING": "\xff"},
        {"REMOTE_ADDR": ""},
        {"HTTP_USER_AGENT": "\xff" * 10_000},
        {"PATH_INFO": "/\u20ac"},
    ],
)
def test_odd_wsgi_requests_are_served_and_logged(security: SecurityLogger, changes: dict[str, Any]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"ok"]

    events, parts = serve_wsgi(security, app, environ_of(**changes))
    assert parts == [b"ok"]
    assert len(events) == 1
