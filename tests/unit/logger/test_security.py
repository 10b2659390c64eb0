"""What an application can rely on when it calls `security.log(…)`."""

import asyncio
import dataclasses
import json
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipeline.events.catalogue import CATALOGUE, EventType, SecurityEvent
from pipeline.logger.request import bind_user, request_context
from pipeline.logger.security import SecurityLogger
from pipeline.testing import captured_events
from tests.unit.logger.support import codes, run_application, spooled


def logged(security: SecurityLogger, *arguments: Any, **keywords: Any) -> dict[str, Any]:
    with captured_events() as events:
        security.log(*arguments, **keywords)
    (event,) = events
    return event


def test_an_event_reaches_the_spool_as_a_document(security: SecurityLogger, home: Path) -> None:
    security.log(
        SecurityEvent.LOGIN_FAILURE,
        message="Login failed",
        user_id=7,
        email="a@example.org",
        ip="::ffff:192.0.2.7",
        user_agent="curl/8",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        geo_location="Berlin",
        reason="invalid_password",
        numbers={"attempts": 3},
        tenant="blue",
    )
    assert security.flush()
    (event,) = spooled(home)
    assert event["event"]["code"] == "LOGIN_FAILURE"
    assert event["event"]["category"] == ["authentication"]
    assert event["event"]["outcome"] == "failure"
    assert event["event"]["reason"] == "invalid_password"
    assert event["log"]["level"] == "warn"
    assert event["service"]["name"] == "auth-api"
    assert event["user"] == {"id": "7", "email": "a@example.org"}
    assert event["source"] == {"address": "192.0.2.7", "ip": "192.0.2.7", "geo": {"name": "Berlin"}}
    assert event["user_agent"]["original"] == "curl/8"
    assert event["trace"]["id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert event["siemlite"] == {"number": {"attempts": 3.0}, "data": {"tenant": "blue"}}


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.code)
def test_every_event_of_the_catalogue_brings_its_level_and_meaning(security: SecurityLogger, kind: EventType) -> None:
    event = logged(security, kind)
    assert event["log"]["level"] == kind.level
    assert event["event"]["action"] == kind.action
    assert event["event"]["category"] == list(kind.category)
    assert event["event"]["type"] == list(kind.type)
    assert event["event"]["outcome"] == kind.outcome


def test_an_application_makes_events_of_its_own_without_patching(security: SecurityLogger) -> None:
    refund = EventType("REFUND_ISSUED", "warn", ("web",), ("access", "change"), "success", action="refund")
    event = logged(security, refund, user_id="u")
    assert event["log"]["level"] == "warn"
    described = {name: event["event"][name] for name in ("code", "action", "category", "type", "outcome")}
    assert described == {
        "code": "REFUND_ISSUED",
        "action": "refund",
        "category": ["web"],
        "type": ["access", "change"],
        "outcome": "success",
    }


def test_an_event_that_redefines_a_known_code_keeps_its_own_meaning(security: SecurityLogger) -> None:
    event = logged(security, EventType("LOGIN_FAILURE", "error", ("iam",), outcome="unknown"))
    assert event["log"]["level"] == "error"
    assert event["event"]["category"] == ["iam"]
    assert event["event"]["outcome"] == "unknown"


def test_the_level_of_one_call_wins_over_the_events(security: SecurityLogger) -> None:
    assert logged(security, SecurityEvent.LOGIN_SUCCESS, level="error")["log"]["level"] == "error"


def test_arguments_may_change_after_the_call(security: SecurityLogger, home: Path) -> None:
    details = {"items": [1, 2], "password": "hunter2"}
    security.log(SecurityEvent.ADMIN_ACTION, details=details)
    details["items"].append(3)  # type: ignore[attr-defined]
    details["password"] = "changed"
    security.flush()
    (event,) = spooled(home)
    assert event["siemlite"]["data"]["details"] == {"items": [1, 2], "password": "[REDACTED]"}


def test_secrets_reach_no_byte_of_the_home(make: Callable[..., SecurityLogger], home: Path) -> None:
    security = make(siemlite_security_log=home / "security.log")
    security.log(SecurityEvent.LOGIN_FAILURE, password="hunter2-secret", body={"list": [{"api_key": "hunter2-secret"}]})
    security.close()
    everything = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"LOGIN_FAILURE" in everything
    assert b"hunter2-secret" not in everything


CARD = "4111 1111 1111 1111"


def test_a_secret_within_a_value_is_gone_before_anything_is_written(
    make: Callable[..., SecurityLogger], home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    security = make(siemlite_security_log=home / "security.log", siemlite_console=True)
    for n in range(10):
        security.log(SecurityEvent.ADMIN_ACTION, message=f"paid with {CARD}", note=f"Bearer abcdef123456{n}ghijkl")
        security.log(SecurityEvent.LOGOUT, number=n)
    security.close()
    everything = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    everything += capfd.readouterr().err.encode()
    assert everything.count(b"paid with") >= 20
    assert CARD.encode() not in everything
    assert b"abcdef123456" not in everything
    assert [event["siemlite"]["data"]["number"] for event in spooled(home) if "number" in str(event)] == list(range(10))


def test_a_secret_within_a_value_is_gone_from_captured_events(security: SecurityLogger) -> None:
    assert CARD not in str(logged(security, SecurityEvent.ADMIN_ACTION, message=f"paid with {CARD}"))


def test_an_event_whose_values_cannot_be_redacted_is_kept_as_a_skeleton(
    security: SecurityLogger, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(tree: object) -> object:
        raise RecursionError

    monkeypatch.setattr(security._steps.redactor, "values", fail)
    security.log(SecurityEvent.LOGIN_FAILURE, message=f"paid with {CARD}", ip="192.0.2.1", user_id=CARD)
    security.log(SecurityEvent.LOGOUT)
    security.flush()
    skeleton, other = spooled(home)
    assert skeleton["siemlite"]["skeleton"] == "redact: RecursionError"
    assert skeleton["event"]["code"] == "LOGIN_FAILURE"
    assert skeleton["source"]["ip"] == "192.0.2.1"
    assert CARD not in str(skeleton)
    assert other["event"]["code"] == "LOGOUT"


@pytest.mark.parametrize("metadata", [{}, {"objects": (object(),)}])
def test_an_event_that_cannot_be_encoded_keeps_its_code_and_time(
    security: SecurityLogger, monkeypatch: pytest.MonkeyPatch, metadata: dict[str, Any]
) -> None:
    """Whether it is encoded in the call, as objects are, or by the writer."""
    monkeypatch.setattr(security._steps, "_shaper", None)
    monkeypatch.setattr(security._steps, "_quick", None)
    with captured_events() as events:
        security.log(SecurityEvent.PRIVILEGE_ESCALATION_ATTEMPT, message=f"paid with {CARD}", **metadata)
        security.log(EventType("MY.OWN"), level="\udcff", **metadata)
    first, second = events
    assert (first["event"]["code"], first["log"]["level"]) == ("PRIVILEGE_ESCALATION_ATTEMPT", "error")
    assert first["siemlite"]["skeleton"] == "encode: AttributeError"
    assert first["service"]["name"] == "auth-api"
    assert CARD not in str(first)
    assert second["event"]["code"] == "MY.OWN"


def test_a_scan_that_fails_lets_nothing_through_unseen(
    security: SecurityLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(bodies: object) -> object:
        raise MemoryError

    monkeypatch.setattr(security._steps.redactor, "suspects", fail)
    assert CARD not in str(logged(security, SecurityEvent.ADMIN_ACTION, message=f"paid with {CARD}"))


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (datetime(2026, 11, 24, 3, 0, tzinfo=UTC), "2026-11-24T03:00:00.000Z"),
        ("2026-11-24T03:00:00+01:00", "2026-11-24T02:00:00.000Z"),
        (1_795_485_600, "2026-11-24T02:00:00.000Z"),
    ],
)
def test_a_timestamp_is_a_datetime_a_text_or_a_number(
    make: Callable[..., SecurityLogger], given: Any, stored: str
) -> None:
    security = make(siemlite_retention=100 * 365 * 86_400_000)
    security.clock = _Fixed(1_795_485_600_000)
    assert logged(security, SecurityEvent.LOGOUT, timestamp=given)["@timestamp"] == stored


def test_a_datetime_without_an_offset_is_local_time(
    make: Callable[..., SecurityLogger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        event = logged(make(), SecurityEvent.LOGOUT, timestamp=datetime.now())  # noqa: DTZ005 - that is the point
        assert abs(datetime.fromisoformat(event["@timestamp"]).timestamp() - time.time()) < 60
    finally:
        monkeypatch.undo()
        time.tzset()


class _PandasTimestamp(datetime):
    def astimezone(self, tz: tzinfo | None) -> Any:  # type: ignore[override]
        if self.tzinfo is None:
            raise TypeError("Cannot convert tz-naive Timestamp, use tz_localize to localize")
        return super().astimezone(tz)


def test_a_datetime_of_a_librarys_own_kind_is_local_time_without_an_offset(security: SecurityLogger) -> None:
    event = logged(security, SecurityEvent.LOGOUT, timestamp=_PandasTimestamp.now() - timedelta(hours=2))
    assert abs(datetime.fromisoformat(event["@timestamp"]).timestamp() - time.time() + 7200) < 60
    assert "tags" not in event


class _Broken(tzinfo):
    def utcoffset(self, moment: datetime | None) -> timedelta:
        raise RuntimeError("no zone")

    def dst(self, moment: datetime | None) -> None:
        return None

    def tzname(self, moment: datetime | None) -> str:
        return "broken"


_NO_INSTANTS = [datetime.min, datetime.max, datetime(2026, 1, 1, tzinfo=_Broken())]  # noqa: DTZ901 - as people use them


@pytest.mark.parametrize("moment", _NO_INSTANTS)
def test_a_datetime_that_is_no_instant_costs_its_event_nothing_but_the_time(
    security: SecurityLogger, moment: datetime
) -> None:
    with captured_events() as events:
        security.log(SecurityEvent.LOGIN_FAILURE, timestamp=moment)
    (event,) = events
    assert event["event"]["code"] == "LOGIN_FAILURE"
    assert event["tags"] == ["timestamp_parse_failure"]


def test_an_instant_that_pandas_does_not_have_is_as_none_at_all(security: SecurityLogger) -> None:
    unequal = {"__module__": "pandas._libs", "__ne__": lambda *_: True, "__hash__": None}
    nothing = type("NaTType", (datetime,), unequal)(1, 1, 1)
    event = logged(security, SecurityEvent.LOGIN_FAILURE, timestamp=nothing, user_id=nothing, seen=nothing)
    assert event.keys().isdisjoint({"tags", "user", "siemlite"})
    assert abs(datetime.fromisoformat(event["@timestamp"]).timestamp() - time.time()) < 60


@pytest.mark.parametrize("name", ["NaTType", "NAType"])
def test_what_pandas_does_not_have_takes_the_place_of_nothing_that_the_request_knows(
    security: SecurityLogger, name: str
) -> None:
    nothing = type(name, (), {"__module__": "pandas._libs", "__str__": lambda _: "<NA>"})()
    bare = logged(security, SecurityEvent.LOGIN_FAILURE, user_id=nothing, ip=nothing, reason=nothing)
    assert bare.keys().isdisjoint({"user", "source"})
    assert "reason" not in bare["event"]
    with request_context(ip="192.0.2.1", user_id="eve"):
        filled = logged(security, SecurityEvent.ADMIN_ACTION, user_id=nothing, ip=nothing)
        inside = logged(security, SecurityEvent.ADMIN_ACTION, context={"userId": nothing, "ip": nothing})
    for event in (filled, inside):
        assert (event["user"]["id"], event["source"]["address"]) == ("eve", "192.0.2.1")


class _Id:
    """An id as database drivers have them: a class of its own that says what it is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


class _Lazy(_Id):
    """A proxy that pretends to be the text it stands for."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return str


class _Password(_Id):
    """What is a secret by the name of its type."""


@pytest.mark.parametrize("kind", [_Id, _Lazy])
def test_an_id_that_is_an_object_of_its_own_kind_is_told_by_its_text(
    security: SecurityLogger, kind: Callable[[str], object]
) -> None:
    with captured_events() as events, request_context():
        security.log(SecurityEvent.LOGIN_FAILURE, user_id=kind("u-1"), message=kind("wrong"))  # type: ignore[arg-type]
        security.submit({"userId": kind("u-2")}, SecurityEvent.LOGIN_FAILURE)
        bind_user(kind("u-3"))
        security.log(SecurityEvent.LOGIN_FAILURE)
        security.log(SecurityEvent.LOGIN_FAILURE, user_id=_Password("hunter22"))
    assert [event.get("user", {}).get("id") for event in events] == ["u-1", "u-2", "u-3", "[REDACTED]"]
    assert events[0]["message"] == "wrong"


def test_numbers_that_a_database_gives_are_measured(make: Callable[..., SecurityLogger]) -> None:
    event = logged(make(), SecurityEvent.BULK_DATA_EXPORT, rows=Decimal("50000"), numbers={"cost": Decimal("1.5")})
    assert event["siemlite"]["number"] == {"rows": 50_000.0, "cost": 1.5}


class _Fixed:
    """A clock that stands still."""

    def __init__(self, now: int) -> None:
        self._now = now

    def now_ms(self) -> int:
        return self._now

    def monotonic(self) -> float:
        return 0.0

    def wait(self, wake: threading.Event, seconds: float) -> bool:
        return wake.is_set()


class Hostile:
    """Raises whatever it is asked."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no")

    def __iter__(self) -> Any:
        raise RuntimeError("no")

    def __hash__(self) -> int:
        raise RuntimeError("no")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    def __bool__(self) -> bool:
        raise RuntimeError("no")


class _Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no")


def _cycle() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


def _deep(levels: int) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for _ in range(levels):
        tree = {"a": tree}
    return tree


@dataclasses.dataclass
class _Record:
    name: str
    password: str


HOSTILE: dict[str, Any] = {
    "raising object": Hostile(),
    "raising text": _Text("x"),
    "cycle": _cycle(),
    "10,000 levels": _deep(10_000),
    "lone surrogate": "\udcff",
    "nul": "a\0b",
    "infinity": float("inf"),
    "huge integer": 10**400,
    "bytes": b"\xff\xfe",
    "set": {1, "a"},
    "generator": (n for n in range(3)),
    "exception": ValueError(Hostile()),
    "dataclass": _Record("a", "hunter2"),
    "lock": threading.Lock(),
    "odd keys": {None: 1, (1, 2): 2, "": 3, "a..b": 4, 5: 6},
}


@pytest.mark.parametrize("argument", ["user_id", "ip", "message", "reason", "level", "timestamp", "numbers", "extra"])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_argument_can_make_the_call_raise_or_lose_the_event(
    security: SecurityLogger, argument: str, name: str
) -> None:
    event = logged(security, SecurityEvent.LOGIN_FAILURE, **{argument: HOSTILE[name]})
    assert json.dumps(event)
    if "skeleton" not in event.get("tags", ()):
        assert event["event"]["code"] == "LOGIN_FAILURE"


@pytest.mark.parametrize(
    ("given", "code"),
    [("LOGIN_FAILURE", "LOGIN_FAILURE"), ("my.code", "my.code"), (None, "INVALID_NoneType"), (7, "INVALID_int")],
)
def test_something_that_is_no_event_is_logged_all_the_same(security: SecurityLogger, given: Any, code: str) -> None:
    assert logged(security, given)["event"]["code"] == code


def test_what_the_request_knows_is_filled_in_and_what_the_caller_says_wins(security: SecurityLogger) -> None:
    with request_context(ip="192.0.2.1", user_agent="curl", trace_id="t"):
        assert bind_user("u-1", "u@example.org")
        filled = logged(security, SecurityEvent.ACCESS_DENIED)
        said = logged(security, SecurityEvent.ACCESS_DENIED, ip="192.0.2.2", userId="u-2")
    after = logged(security, SecurityEvent.ACCESS_DENIED)
    assert (filled["source"]["ip"], filled["user_agent"]["original"], filled["trace"]["id"]) == (
        "192.0.2.1",
        "curl",
        "t",
    )
    assert filled["user"] == {"id": "u-1", "email": "u@example.org"}
    assert said["source"]["ip"] == "192.0.2.2"
    assert said["user"]["id"] == "u-2"
    assert "siemlite" not in said
    assert "source" not in after
    assert not bind_user("nobody")


def test_the_requests_account_is_not_that_of_others_whom_its_user_tries(security: SecurityLogger) -> None:
    with request_context(user_id="eve", email="eve@example.org"):
        failure = logged(security, SecurityEvent.LOGIN_FAILURE, email="victim@example.org")
        reset = logged(security, SecurityEvent.PASSWORD_RESET_REQUEST, user={"name": "victim"})
        by_id = logged(security, SecurityEvent.ADMIN_ACTION, user_id="root")
        own = logged(security, SecurityEvent.ADMIN_ACTION, email="eve@example.org")
        same = logged(security, SecurityEvent.LOGIN_FAILURE, user_id="eve")
        about = logged(security, SecurityEvent.LOGIN_FAILURE, user={"target": {"id": "victim"}})
    assert failure["user"] == {"id": "victim@example.org", "email": "victim@example.org"}
    assert reset["user"] == {"id": "victim", "name": "victim"}
    assert by_id["user"] == {"id": "root"}
    assert own["user"] == same["user"] == {"id": "eve", "email": "eve@example.org"}
    assert about["user"] == {"id": "eve", "email": "eve@example.org", "target": {"id": "victim"}}


@pytest.mark.parametrize("session", [{"user_id": 7, "email": "Eve@example.org"}, {"user_id": "eve@example.org"}])
def test_who_logs_in_with_another_address_is_not_who_was_logged_in(
    security: SecurityLogger, session: dict[str, Any]
) -> None:
    with request_context(**session):
        other = logged(security, SecurityEvent.LOGIN_SUCCESS, email="bob@example.org")
        same = logged(security, SecurityEvent.LOGIN_SUCCESS, email="eve@example.org")
        by_admin = logged(security, SecurityEvent.ADMIN_ACTION, email="bob@example.org")
    assert other["user"] == {"id": "bob@example.org", "email": "bob@example.org"}
    assert same["user"]["id"] == by_admin["user"]["id"] == str(session["user_id"])


def test_a_context_may_end_in_a_copy_of_where_it_began() -> None:
    """As in a dependency of FastAPI's that yields: each half runs in a thread and a copy of its own."""

    def dependency() -> Iterator[None]:
        with request_context(ip="192.0.2.1"):
            yield

    halves = dependency()
    copy_context().run(next, halves)
    assert copy_context().run(next, halves, "ended") == "ended"


def test_what_the_caller_says_in_a_context_wins_over_the_request(security: SecurityLogger) -> None:
    with request_context(ip="192.0.2.1", user_id="eve", email="eve@example.org"):
        by_id = logged(security, SecurityEvent.ADMIN_ACTION, context={"userId": "root", "ip": "192.0.2.2"})
        tried = logged(security, SecurityEvent.LOGIN_FAILURE, context={"email": "victim@example.org"})
    assert (by_id["user"], by_id["source"]["ip"]) == ({"id": "root"}, "192.0.2.2")
    assert tried["user"] == {"id": "victim@example.org", "email": "victim@example.org"}


def test_the_requests_account_stays_where_nothing_or_the_same_account_is_told(security: SecurityLogger) -> None:
    class Lazy:
        def __str__(self) -> str:
            return "7"

        def __ne__(self, other: object) -> bool:
            raise RuntimeError("cannot be compared here")

    with request_context(user_id=7, email="eve@example.org"):
        nobody = logged(security, SecurityEvent.LOGIN_FAILURE, user={"name": None})
        no_id = logged(security, SecurityEvent.ADMIN_ACTION, user={"id": None})
        same = [logged(security, SecurityEvent.ADMIN_ACTION, user_id=user_id) for user_id in ("7", Lazy())]
    for event in (nobody, no_id, *same):
        assert event["user"] == {"id": "7", "email": "eve@example.org"}


def test_concurrent_requests_do_not_see_each_others_context(security: SecurityLogger) -> None:
    async def request(number: int) -> None:
        with request_context(ip=f"192.0.2.{number}"):
            await asyncio.sleep(0)
            bind_user(f"user-{number}")
            await asyncio.to_thread(security.log, SecurityEvent.LOGOUT, number=number)

    async def all_requests() -> None:
        await asyncio.gather(*(request(number) for number in range(1, 50)))

    with captured_events() as events:
        asyncio.run(all_requests())
    assert len(events) == 49
    for event in events:
        number = event["siemlite"]["data"]["number"]
        assert event["source"]["ip"] == f"192.0.2.{number}"
        assert event["user"]["id"] == f"user-{number}"


def test_a_logger_goes_to_another_process_as_its_service(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIEMLITE_HOME", str(home))
    first = SecurityLogger("shop", durable=True)
    again = pickle.loads(pickle.dumps(first))
    assert isinstance(again, SecurityLogger)
    again.log(SecurityEvent.LOGOUT)
    assert [document["service"]["name"] for document in spooled(home)] == ["shop"]
    assert again.close()
    assert first.close()


class Shop(SecurityLogger):
    """One that only its own class knows how to make."""

    def __init__(self) -> None:
        super().__init__("shop")


def test_a_logger_with_settings_or_a_making_of_its_own_goes_to_no_other_process(
    security: SecurityLogger, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIEMLITE_HOME", str(home))
    for one in (security, Shop()):
        with pytest.raises(TypeError, match="make it where it logs"):
            pickle.dumps(one)


def test_captured_events_see_every_thread_nest_and_leave_no_spool(security: SecurityLogger, home: Path) -> None:
    with captured_events() as outer:
        security.log(SecurityEvent.LOGIN_SUCCESS, token="abc")
        with captured_events() as inner:
            thread = threading.Thread(target=security.log, args=(SecurityEvent.LOGOUT,))
            thread.start()
            thread.join()
    assert codes(inner) == ["LOGOUT"]
    assert codes(outer) == ["LOGIN_SUCCESS", "LOGOUT"]
    assert outer[0]["siemlite"]["data"]["token"] == "[REDACTED]"
    assert "event.ingested" not in outer[0]
    assert security.flush()
    assert not home.exists()


def test_ids_are_unique_across_threads(security: SecurityLogger) -> None:
    def work() -> None:
        for _ in range(200):
            security.log(SecurityEvent.LOGOUT)

    with captured_events() as events:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({event["event"]["id"] for event in events}) == len(events) == 1600


def test_pseudonyms_take_the_place_of_what_they_replace_and_still_group(make: Callable[..., SecurityLogger]) -> None:
    security = make(siemlite_pseudonymise="user.email")
    first, second = (logged(security, SecurityEvent.LOGIN_FAILURE, email="a@example.org") for _ in range(2))
    other = logged(security, SecurityEvent.LOGIN_FAILURE, email="b@example.org")
    assert first["user"]["email"] == second["user"]["email"] != other["user"]["email"]
    assert "example" not in first["user"]["email"]


def test_making_a_logger_and_importing_the_package_cost_and_open_nothing(tmp_path: Path) -> None:
    result = run_application(
        tmp_path,
        """
        import sys
        import pipeline
        import pipeline.logger
        loaded = {name for name in sys.modules if name.partition(".")[0] in ("pydantic", "orjson", "sqlite3")}
        assert not loaded, loaded
        from pipeline import EventType, SecurityEvent, SecurityLogger
        from pipeline.logger import SecurityASGIMiddleware, SecurityHandler, SecurityWSGIMiddleware
        from pipeline.logger import bind_user, request_context, security_processor
        import pipeline.testing
        SecurityLogger("a")
        heavy = ("elasticsearch", "elastic_transport", "apscheduler", "httpx", "typer", "rich", "flask", "starlette")
        loaded = {name for name in sys.modules if name.partition(".")[0] in heavy}
        assert not loaded, loaded
        """,
    )
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.iterdir()) == []
