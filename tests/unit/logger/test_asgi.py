"""The ASGI middleware, driven as a server drives it, also as no good server would."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import nullcontext
from contextvars import copy_context
from pathlib import Path
from types import ModuleType, coroutine
from typing import Any

import pytest

from pipeline.events.catalogue import SecurityEvent
from pipeline.logger.asgi import Message, Receive, Scope, SecurityASGIMiddleware, Send
from pipeline.logger.request import CURRENT, bind_user
from pipeline.logger.security import SecurityLogger
from pipeline.testing import captured_events
from tests.unit.logger.support import spooled

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = [
    (b"user-agent", b"curl/8"),
    (b"x-forwarded-for", b"6.6.6.6, 198.51.100.7"),
    (b"traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode()),
    (b"content-type", b"application/json"),
]
DJANGO_LIKE = dict[str, Any]


def scope_of(**changes: Any) -> Scope:
    return {
        "type": "http",
        "method": "GET",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"q=1",
        "headers": HEADERS,
        "client": ("10.0.0.1", 5000),
        **changes,
    }


async def no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def respond(send: Send, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def serve(
    security: SecurityLogger,
    app: Callable[[Scope, Receive, Send], Awaitable[None]],
    *,
    scope: Scope | None = None,
    receive: Receive = no_body,
    **options: Any,
) -> tuple[list[dict[str, Any]], list[Message]]:
    """Serve one request; return the events and the messages that were sent."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    wrapped = SecurityASGIMiddleware(app, security=security, **options)
    with captured_events() as events:
        asyncio.run(wrapped(scope if scope is not None else scope_of(), receive, send))
    assert CURRENT.get() is None
    return events, sent


def test_a_request_becomes_an_event(security: SecurityLogger) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        bind_user("u-1")
        security.log(SecurityEvent.SENSITIVE_DATA_ACCESS)
        await respond(send)

    (inner, request), sent = serve(security, app, trusted_proxies=["10.0.0.0/8"])
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert request["event"]["code"] == "HTTP_REQUEST"
    assert request["event"]["outcome"] == "success"
    assert request["event"]["duration"] >= 0
    assert request["http"] == {"request": {"method": "GET"}, "response": {"status_code": 200}}
    assert request["url"] == {"path": "/a b", "query": "q=1"}
    assert request["log"]["level"] == "info"
    for event in (inner, request):
        assert event["source"]["ip"] == "198.51.100.7"
        assert event["user_agent"]["original"] == "curl/8"
        assert event["trace"]["id"] == TRACE
        assert event["user"]["id"] == "u-1"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("password=a%26S3CR3T&b=2", "password=#&b=2"),
        ("password=a%3BS3CR3T", "password=#"),
        ("password=a%0AS3CR3T", "password=#"),
        ("password=%22a%22S3CR3T", "password=#"),
        ("password={a}S3CR3T", "password=#"),
        ("password=a,b=S3CR3T", "password=#"),
        ("password=~S3CR3T", "password=#"),
        ("password[]=S3CR3T&a=1", "password[]=#&a=1"),
        ("password%5B%5D=S3CR3T", "password%5B%5D=#"),
        ("user[password][]=S3CR3T", "user[password][]=#"),
        ("api%5Fkey=S3CR3T", "api%5Fkey=#"),
        ("x-api%2Dkey=S3CR3T", "x-api%2Dkey=#"),
        ("p%61ssword=S3CR3T", "p%61ssword=#"),
        ("p%2561ssword=S3CR3T", "p%2561ssword=#"),
        ("api+key=S3CR3T", "api+key=#"),
        ("a=%20b&api%20key=S3CR3T", "a=%20b&api%20key=#"),
        ("u=https%3A%2F%2Fbob%3AS3CR3T%40x%2F&b=%C3%A9", "u=#&b=%C3%A9"),
        ("next=%252Fa%253Ftoken%253DS3CR3T", "next=#"),
        ("cmd=mysql%20--password%20S3CR3T", "cmd=#"),
        ("mysql+--password+S3CR3T", "#"),
        ("filter=%7B%22pin%22%3A%22S3CR3T%22%7D", "filter=#"),
        ("card=4111%201111%201111%201111", "card=#"),
    ],
)
def test_a_secret_in_the_query_is_redacted_as_the_application_decodes_it(
    security: SecurityLogger, query: str, expected: str
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)

    (event,), _ = serve(security, app, scope=scope_of(query_string=query.encode()))
    assert event["url"]["query"] == expected.replace("#", "[REDACTED]")


@pytest.mark.parametrize(
    "query",
    [
        "q=a+b%20c&page=2&&x&=&y=&password=&token=",
        "next=%252Fa%253Fb%253Dc%2526d&sort[]=name&sort%5B%5D=age",
        "filter=%7B%22a%22%3A%201.50%7D&q=%zz%&e=%ff&u=https%3A%2F%2Fx%2F",
        "q=password+changed;a=1&api_key_id=3",
    ],
)
def test_a_query_without_a_secret_stays_as_it_was(security: SecurityLogger, query: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)

    (event,), _ = serve(security, app, scope=scope_of(query_string=query.encode()))
    assert event["url"]["query"] == query


@pytest.mark.parametrize(
    ("status", "outcome"), [(204, "success"), (302, "success"), (401, "failure"), (403, "failure"), (503, "failure")]
)
def test_the_outcome_follows_the_status(security: SecurityLogger, status: int, outcome: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, status)

    (event,), _ = serve(security, app)
    assert (event["event"]["outcome"], event["http"]["response"]["status_code"]) == (outcome, status)
    assert event["event"]["code"] == "HTTP_REQUEST"


def test_an_exception_is_logged_and_raised_again(security: SecurityLogger) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("broken")

    with captured_events() as events, pytest.raises(KeyError, match="broken"):
        asyncio.run(SecurityASGIMiddleware(app, security=security)(scope_of(), no_body, _nowhere))
    (event,) = events
    assert event["error"] == {"type": "KeyError", "message": "'broken'"}
    assert event["http"]["response"]["status_code"] == 500
    assert (event["event"]["outcome"], event["log"]["level"]) == ("failure", "error")


async def _nowhere(message: Message) -> None:
    return None


def test_a_cancelled_request_is_logged_as_such(security: SecurityLogger) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(60)

    async def cancel() -> None:
        task = asyncio.ensure_future(
            _run(SecurityASGIMiddleware(app, security=security), scope_of(), no_body, _nowhere)
        )
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with captured_events() as events:
        asyncio.run(cancel())
    (event,) = events
    assert (event["event"]["outcome"], event["event"]["reason"]) == ("unknown", "cancelled")
    assert "response" not in event["http"]


async def _run(app: SecurityASGIMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


def test_a_client_that_disconnects_leaves_an_event_of_unknown_outcome(security: SecurityLogger) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.disconnect"

    async def disconnect() -> Message:
        return {"type": "http.disconnect"}

    (event,), sent = serve(security, app, receive=disconnect, body=True)
    assert sent == []
    assert event["event"]["outcome"] == "unknown"
    assert "response" not in event["http"]


def test_a_response_that_is_cut_off_says_so(security: SecurityLogger) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    (event,), _ = serve(security, app)
    assert (event["event"]["outcome"], event["event"]["reason"]) == ("unknown", "cancelled")
    assert event["http"]["response"]["status_code"] == 200


@pytest.mark.parametrize("fails", [True, False])
def test_what_an_application_does_after_its_response_is_no_part_of_it(security: SecurityLogger, fails: bool) -> None:
    seen: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)
        seen.append(len(events))
        if fails:
            raise KeyError("in the background")

    wrapped = SecurityASGIMiddleware(app, security=security)
    with captured_events() as events, pytest.raises(KeyError) if fails else nullcontext():
        asyncio.run(wrapped(scope_of(), no_body, _nowhere))
    (event,) = events
    assert seen == [1], "it was logged before"
    assert (event["event"]["outcome"], event["log"]["level"]) == ("success", "info")


def test_a_client_that_leaves_while_it_sends_is_no_crash(security: SecurityLogger) -> None:
    messages: Iterator[Message] = iter(
        [{"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def leaves() -> Message:
        return next(messages)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "http.request":
            pass
        raise ConnectionError("the client has left")

    with captured_events() as events, pytest.raises(ConnectionError):
        asyncio.run(SecurityASGIMiddleware(app, security=security)(scope_of(), leaves, _nowhere))
    (event,) = events
    assert (event["event"]["outcome"], event["event"]["reason"], event["log"]["level"]) == (
        "unknown",
        "cancelled",
        "info",
    )


def test_parts_of_a_stream_pass_as_they_come(security: SecurityLogger) -> None:
    seen: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async for part in _parts():
            await send({"type": "http.response.body", "body": part, "more_body": True})
            seen.append(len(sent))
        await send({"type": "http.response.body", "body": b""})

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    with captured_events() as events:
        asyncio.run(SecurityASGIMiddleware(app, security=security)(scope_of(), no_body, send))
    assert seen == [2, 3, 4]
    assert len(events) == 1


async def _parts() -> AsyncIterator[bytes]:
    for part in (b"a", b"b", b"c"):
        yield part


def test_websockets_and_lifespan_pass_through_unlogged_and_a_websocket_has_its_context(
    security: SecurityLogger,
) -> None:
    passed: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        context = CURRENT.get()
        passed.append((scope["type"], await receive(), context.ip if context else None))
        await send({"type": "websocket.accept"})

    events, sent = serve(security, app, scope=scope_of(type="websocket"))
    serve(security, app, scope={"type": "lifespan"})
    assert events == []
    assert sent == [{"type": "websocket.accept"}]
    assert passed == [("websocket", asyncio.run(no_body()), "10.0.0.1"), ("lifespan", asyncio.run(no_body()), None)]


def test_the_application_has_ended_when_its_last_event_is_on_disk(security: SecurityLogger) -> None:
    durable: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.complete"})
        security.log(SecurityEvent.LOGOUT)
        await send({"type": "lifespan.shutdown.complete"})

    async def send(message: Message) -> None:
        durable.append(bool(spooled(security.settings.siemlite_home)))

    asyncio.run(SecurityASGIMiddleware(app, security=security)({"type": "lifespan"}, no_body, send))
    assert durable == [False, True]


def test_the_body_is_kept_redacted_when_asked_and_the_application_reads_it_all(security: SecurityLogger) -> None:
    parts = [b'{"user":"ann",', b'"password":"hunter2"}']
    messages = [{"type": "http.request", "body": part, "more_body": part is parts[0]} for part in parts]
    read: list[bytes] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            read.append(message["body"])
            more = message["more_body"]
        await respond(send)

    (event,), _ = serve(security, app, receive=receive, body=True)
    assert read == parts
    assert event["siemlite"]["data"]["http.request.body.content"] == {"user": "ann", "password": "[REDACTED]"}


def test_a_body_is_not_kept_unless_asked(security: SecurityLogger) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b'{"a":1}'}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await respond(send)

    (event,), _ = serve(security, app, receive=receive)
    assert "siemlite" not in event


def test_excluded_paths_are_served_and_not_logged(security: SecurityLogger) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)

    events, sent = serve(security, app, scope=scope_of(path="/health"), exclude={"/health"})
    assert events == []
    assert len(sent) == 2


def test_a_single_text_is_one_path_and_one_network_and_no_letters_of_it(security: SecurityLogger) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)

    options: dict[str, Any] = {"exclude": "/health", "trusted_proxies": "10.0.0.0/8"}
    assert serve(security, app, scope=scope_of(path="/health"), **options)[0] == []
    ((event,), _) = serve(security, app, scope=scope_of(path="/"), **options)
    assert event["source"]["address"] == "198.51.100.7"


@pytest.mark.parametrize(
    "changes",
    [
        {"client": None},
        {"headers": []},
        {"query_string": b"\xff\xfe=%ff"},
        {"path": "/\udcff\x00"},
        {"client": ("", 0)},
        {"headers": [(b"USER-AGENT", b"\xff\xfe"), (b"X-Forwarded-For", b"\xff")]},
    ],
)
def test_odd_requests_are_served_and_logged(security: SecurityLogger, changes: dict[str, Any]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)

    events, sent = serve(security, app, scope=scope_of(**changes), trusted_proxies=["10.0.0.0/8"])
    assert len(sent) == 2
    assert len(events) == 1


def test_a_request_that_cannot_be_understood_is_served_all_the_same(
    security: SecurityLogger, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)

    _, sent = serve(security, app, scope=scope_of(headers=[None]))
    assert len(sent) == 2
    assert [(record.name, record.levelno) for record in caplog.records] == [("pipeline.logger", logging.ERROR)]


def test_the_trusted_proxies_of_the_settings_are_the_default(make: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)

    (event,), _ = serve(make(siemlite_trusted_proxies="10.0.0.0/8, unix"), app)
    assert event["source"]["ip"] == "198.51.100.7"


@pytest.mark.parametrize("asks", [False, True])
def test_the_middleware_takes_part_in_the_life_of_an_application_that_does_not(
    security: SecurityLogger, *, asks: bool
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if asks:
            await receive()
        raise ValueError("Django can only handle ASGI/HTTP connections, not lifespan.")

    asked: list[str] = []
    sent: list[tuple[str, bool]] = []

    async def receive() -> Message:
        asked.append("lifespan.shutdown" if asked else "lifespan.startup")
        if asked[-1] == "lifespan.shutdown":
            security.log(SecurityEvent.LOGOUT)
        return {"type": asked[-1]}

    async def send(message: Message) -> None:
        sent.append((message["type"], bool(spooled(security.settings.siemlite_home))))

    asyncio.run(SecurityASGIMiddleware(app, security=security)({"type": "lifespan"}, receive, send))
    assert sent == [("lifespan.startup.complete", False), ("lifespan.shutdown.complete", True)]


def test_a_start_that_fails_fails(security: SecurityLogger) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed"})
        raise ValueError("no database")

    async def send(message: Message) -> None:
        assert message == {"type": "lifespan.startup.failed"}

    with pytest.raises(ValueError, match="no database"):
        asyncio.run(SecurityASGIMiddleware(app, security=security)({"type": "lifespan"}, no_body, send))


class _Cancelled(BaseException):
    """Stands for `trio.Cancelled`."""


@pytest.fixture
def trio(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("trio")
    module.Cancelled = _Cancelled  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "trio", module)


def driven(application: Coroutine[Any, Any, None]) -> None:
    """Run what waits for nothing, as a loop that is not asyncio's would."""
    with pytest.raises(StopIteration):
        application.send(None)


@pytest.mark.usefixtures("trio")
@pytest.mark.parametrize("taking_part", [True, False])
def test_the_end_of_an_application_under_another_loop_waits_for_its_events(
    security: SecurityLogger, home: Path, taking_part: bool
) -> None:
    asked = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[str] = []

    async def receive() -> Message:
        return {"type": next(asked)}

    async def send(message: Message) -> None:
        if message["type"] == "lifespan.shutdown.complete":
            assert len(spooled(home)) == 1
        sent.append(message["type"])

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        security.log(SecurityEvent.LOGOUT)
        if not taking_part:
            raise RuntimeError
        for answer in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
            await receive()
            await send({"type": answer})

    driven(SecurityASGIMiddleware(app, security=security)({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.usefixtures("trio")
@pytest.mark.parametrize(
    ("error", "cancelled"),
    [
        (_Cancelled(), True),
        (GeneratorExit(), True),
        (BaseExceptionGroup("nursery", [_Cancelled(), BaseExceptionGroup("inner", [_Cancelled()])]), True),
        (BaseExceptionGroup("nursery", [_Cancelled(), ValueError()]), False),
        (SystemExit(), False),
    ],
)
def test_a_request_that_is_called_off_by_any_librarys_word_is_no_crash(
    security: SecurityLogger, error: BaseException, cancelled: bool
) -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise error

    async def send(_message: Message) -> None:
        raise AssertionError

    with captured_events() as events, pytest.raises(type(error)):
        SecurityASGIMiddleware(app, security=security)(scope_of(), no_body, send).send(None)
    (event,) = events
    assert event["log"]["level"] == ("info" if cancelled else "error")
    assert (event["event"].get("reason") == "cancelled") is cancelled
    assert ("http" in event and "response" in event["http"]) is not cancelled


def test_a_request_that_is_closed_in_another_context_is_called_off_without_an_error(security: SecurityLogger) -> None:
    @coroutine
    def pending() -> Iterator[None]:
        yield

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await pending()

    async def send(_message: Message) -> None:
        raise AssertionError

    request = SecurityASGIMiddleware(app, security=security)(scope_of(), no_body, send)
    with captured_events() as events:
        copy_context().run(request.send, None)
        request.close()
    assert [event["event"]["reason"] for event in events] == ["cancelled"]
