"""Records of the standard library's logging, and of structlog, as security events."""

import logging
import logging.config
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from typing import Any

import pytest
import structlog

from pipeline.events.catalogue import EventType, SecurityEvent
from pipeline.events.values import instant_of
from pipeline.logger.handler import SecurityHandler
from pipeline.logger.security import SecurityLogger
from pipeline.logger.structured import security_processor
from pipeline.testing import captured_events
from tests.unit.clocks import ManualClock
from tests.unit.logger.support import codes, run_application, spooled
from tests.unit.logger.test_security import Hostile


@pytest.fixture
def log(security: SecurityLogger) -> Iterator[logging.Logger]:
    logger = logging.Logger("shop.auth", logging.DEBUG)
    logger.addHandler(SecurityHandler(security))
    yield logger
    logger.handlers.clear()


def test_a_record_becomes_an_event_with_its_level_message_logger_and_fields(log: logging.Logger) -> None:
    with captured_events() as events:
        log.warning(
            "login of %s failed",
            "ann",
            extra={"event": SecurityEvent.LOGIN_FAILURE, "user_id": 7, "ip": "192.0.2.1", "tenant": "blue"},
        )
    (event,) = events
    assert event["event"]["code"] == "LOGIN_FAILURE"
    assert event["message"] == "login of ann failed"
    assert event["log"] == {"level": "warn", "logger": "shop.auth"}
    assert event["user"]["id"] == "7"
    assert event["source"]["ip"] == "192.0.2.1"
    assert event["siemlite"]["data"] == {"tenant": "blue"}


def test_a_record_needs_nothing_of_the_standard_librarys_lock(
    log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Since Python 3.13 that takes it by `with`, which no lock at all does not allow."""
    monkeypatch.delattr(logging.Handler, "handle")
    log.handlers[0].addFilter(lambda record: record.getMessage() != "left out")
    with captured_events() as events:
        log.warning("kept")
        log.warning("left out")
    assert [event["message"] for event in events] == ["kept"]


@pytest.mark.parametrize(
    ("level", "stored"),
    [
        (logging.DEBUG, "debug"),
        (logging.INFO, "info"),
        (logging.WARNING, "warn"),
        (logging.ERROR, "error"),
        (logging.CRITICAL, "critical"),
        (35, "warn"),
    ],
)
def test_levels_become_those_of_events(log: logging.Logger, level: int, stored: str) -> None:
    with captured_events() as events:
        log.log(level, "x", extra={"event": SecurityEvent.LOGOUT})
    assert events[0]["log"]["level"] == stored


@pytest.mark.parametrize(
    ("named", "code"),
    [
        (EventType("REFUND"), "REFUND"),
        ("MFA_DISABLED", "MFA_DISABLED"),
        ("my.own", "my.own"),
        ("no code at all!", "LOG_RECORD"),
        (None, "LOG_RECORD"),
        (Hostile(), "LOG_RECORD"),
    ],
    ids=["own", "known code", "new code", "no code", "nothing", "hostile"],
)
def test_the_extra_field_event_names_the_event(log: logging.Logger, named: Any, code: str) -> None:
    with captured_events() as events:
        log.info("x", extra={"event": named})
    assert codes(events) == [code]


@pytest.mark.parametrize("said", ["signed in", {"step": "second"}, 7])
def test_what_is_called_event_and_names_none_is_kept(
    log: logging.Logger, structured: Callable[..., Any], said: Any
) -> None:
    logger, _ = structured()
    with captured_events() as events:
        log.info("x", extra={"event": said})
        logger.info("x", security_event=said)
    assert codes(events) == ["LOG_RECORD"] * 2
    expected = {"event.step": "second"} if isinstance(said, dict) else {"event": said}
    assert [event["siemlite"]["data"] for event in events] == [expected, {"security_event": said}]


def test_an_exception_is_kept_with_places_and_causes_and_without_secrets(log: logging.Logger) -> None:
    password = "hunter2"  # noqa: F841 - a local variable, which must not be shown
    with captured_events() as events:
        try:
            try:
                int("x")
            except ValueError as error:
                raise RuntimeError("cannot read") from error
        except RuntimeError:
            log.exception("failed", extra={"token": "hunter2"})
    (event,) = events
    assert event["error"] == {"type": "RuntimeError", "message": "cannot read"}
    data = event["siemlite"]["data"]
    assert data["caused_by"] == [{"type": "ValueError", "message": "invalid literal for int() with base 10: 'x'"}]
    assert "test_handler.py" in data["traceback"][0]
    assert "test_an_exception_is_kept" in data["traceback"][0]
    assert data["token"] == "[REDACTED]"
    assert "hunter2" not in str(event)


def fail(*, group: bool) -> None:
    if group:
        raise ExceptionGroup("several", [ValueError("first") if "s3cr3tPa55" else KeyError()])
    raise KeyError("s3cr3tPa55"[:3])


@pytest.mark.parametrize("group", [False, True])
def test_a_traceback_that_another_handler_has_formatted_shows_no_source(security: SecurityLogger, group: bool) -> None:
    taken: queue.Queue[logging.LogRecord] = queue.Queue()
    log = logging.Logger("queued")
    log.addHandler(QueueHandler(taken))
    try:
        fail(group=group)
    except (KeyError, ExceptionGroup):
        log.exception("failed", stack_info=True)
    with captured_events() as events:
        SecurityHandler(security).handle(taken.get())
    (event,) = events
    assert "s3cr3tPa55" not in str(event)
    assert event["message"].startswith("failed\n")
    assert "test_handler.py" in event["message"]
    if not group:
        assert event["error"] == {"type": "KeyError", "message": "'s3c'"}


def test_a_structlog_event_with_a_formatted_traceback_shows_no_source(security: SecurityLogger) -> None:
    try:
        fail(group=False)
    except KeyError:
        event_dict = structlog.processors.format_exc_info(None, "error", {"event": "failed", "exc_info": True})
    with captured_events() as events:
        security_processor(security)(None, "error", event_dict)
    assert "s3cr3tPa55" not in str(events)
    assert events[0]["error"] == {"type": "KeyError", "message": "'s3c'"}


def test_a_structlog_message_has_its_place_under_whichever_name_and_no_other_is_lost(
    structured: Callable[..., Any],
) -> None:
    plain, _ = structured()
    renamed, _ = structured(structlog.processors.EventRenamer("message", "_event"))
    with captured_events() as events:
        plain.info("signed in", message="from home")
        renamed.info("signed in")
    assert [event["message"] for event in events] == ["signed in"] * 2
    assert events[0]["siemlite"]["data"] == {"message_": "from home"}


@pytest.mark.parametrize("name", ["timestamp", "@timestamp"])
@pytest.mark.parametrize(
    ("timestamp", "is_kept"),
    [("2026-11-20T10:00:00Z", True), ("2026-11-20T10:00:00+0100", True), ("2026-11-20 10:00:00", False)],
)
def test_a_structlog_timestamp_counts_where_it_says_which_instant_it_is(
    security: SecurityLogger, timestamp: str, is_kept: bool, name: str
) -> None:
    security.clock = ManualClock(1_795_485_600_000)  # four days later
    with captured_events() as events:
        security_processor(security)(None, "info", {"event": "x", name: timestamp})
    assert events[0]["@timestamp"].startswith("2026-11-20") is is_kept


def test_the_secrets_among_named_arguments_are_hidden(log: logging.Logger) -> None:
    with captured_events() as events:
        log.info("%(user)s logs in with %(password)s", {"user": "bob", "password": "two words"})
    assert events[0]["message"] == "bob logs in with [REDACTED]"


def test_a_long_traceback_keeps_its_ends(log: logging.Logger) -> None:
    def fall(depth: int) -> None:
        if depth:
            fall(depth - 1)
        raise KeyError("deep")

    with captured_events() as events:
        try:
            fall(200)
        except KeyError:
            log.exception("x")
    places = events[0]["siemlite"]["data"]["traceback"]
    assert len(places) == 50
    assert "test_a_long_traceback" in places[0]
    assert "fall" in places[-1]


@pytest.mark.parametrize(
    "own",
    [
        "pipeline.logger",
        "pipeline.shipping.spool",
        "elasticsearch",
        "elastic_transport.transport",
        "urllib3.connectionpool",
    ],
)
def test_records_of_siemlite_and_its_clients_never_loop_back(security: SecurityLogger, own: str) -> None:
    logger = logging.Logger(own)
    logger.addHandler(SecurityHandler(security))
    with captured_events() as events:
        logger.error("x")
    assert events == []


@pytest.mark.parametrize("name", ["pipelines", "pipeline", "pipeline.orders", "pipeline.logger.orders"])
def test_a_name_that_only_begins_alike_is_logged(security: SecurityLogger, name: str) -> None:
    logger = logging.Logger(name)
    logger.addHandler(SecurityHandler(security))
    with captured_events() as events:
        logger.error("x")
    assert len(events) == 1


def test_hostile_records_neither_raise_nor_are_lost(log: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    with captured_events() as events:
        log.info("%s", Hostile())
        log.info("%d", "not a number")
        log.info(Hostile())
        log.info("x", extra={"a": Hostile(), "ip": Hostile()})
        log.error("x", exc_info=ValueError(Hostile()))
        log.handlers[0].handle(
            logging.makeLogRecord({"name": None, "msg": None, "levelno": "high", "created": "never"})
        )
    assert len(events) == 6
    assert capfd.readouterr().err == ""


def test_arguments_that_do_not_fit_their_message_are_kept_behind_it(log: logging.Logger) -> None:
    with captured_events() as events:
        log.info("login failed for", "bob")  # noqa: PLE1205 - the mistake that is meant
        log.info("%(user)s from %(ip)d", {"user": "bob", "ip": "192.0.2.1", "password": "hunter2"})
        log.info("curl %s", "-u", "bob:hunter2")  # noqa: PLE1205
    assert [event["message"] for event in events] == [
        "login failed for bob",
        "%(user)s from %(ip)d user=bob ip=192.0.2.1 password=[REDACTED]",
        "curl %s -u bob:[REDACTED]",
    ]


@pytest.mark.parametrize(
    "message", ["password=%s user=%s", "the password for %s %s expired", "api key:", "%s %s token"]
)
def test_arguments_that_do_not_fit_a_message_that_names_a_secret_are_hidden(log: logging.Logger, message: str) -> None:
    with captured_events() as events:
        log.info(message, "hunter2")
    assert "hunter2" not in str(events)
    assert events[0]["message"].endswith(" [REDACTED]")


def test_a_record_that_is_made_while_one_is_formatted_ends_the_recursion(log: logging.Logger) -> None:
    class Chatty:
        def __str__(self) -> str:
            log.info("again %s", self)
            return "chatty"

    with captured_events() as events:
        log.info("said %s", Chatty())
    assert [event["message"] for event in events] == ["again %s", "said chatty"]


def test_handlers_of_several_threads_and_a_forked_child_do_not_block_each_other(
    security: SecurityLogger, home: Path
) -> None:
    handler = SecurityHandler(security)
    assert handler.lock is None
    logger = logging.Logger("a")
    logger.addHandler(handler)

    def work() -> None:
        for _ in range(100):
            logger.info("x")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handler.flush()
    assert len(spooled(home)) == 400


def test_a_record_that_waited_in_a_queue_keeps_the_time_at_which_it_was_made(security: SecurityLogger) -> None:
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    logger = logging.Logger("a")
    logger.addHandler(QueueHandler(waiting))
    with captured_events() as events:
        logger.info("x", extra={"event": SecurityEvent.LOGOUT})
        record = waiting.get()
        record.created = security.clock.now_ms() / 1000 - 60  # as if it had waited for a minute
        waiting.put(record)
        listener = QueueListener(waiting, SecurityHandler(security))
        listener.start()
        listener.stop()
    assert codes(events) == ["LOGOUT"]
    assert events[0]["@timestamp"] == instant_of(round(record.created * 1000)).text


def test_the_handler_can_be_configured_by_name(tmp_path: Path) -> None:
    result = run_application(
        tmp_path,
        """
        import logging, logging.config
        logging.config.dictConfig({
            "version": 1,
            "handlers": {"security": {"()": "pipeline.logger.handler.SecurityHandler", "security": "shop"}},
            "root": {"handlers": ["security"], "level": "INFO"},
        })
        logging.getLogger("shop").warning("denied", extra={"event": "ACCESS_DENIED"})
        """,
    )
    assert result.returncode == 0, result.stderr
    (event,) = spooled(tmp_path)
    assert (event["event"]["code"], event["service"]["name"]) == ("ACCESS_DENIED", "shop")


@pytest.fixture
def structured(security: SecurityLogger) -> Callable[..., Any]:
    def make(*before: Any, **options: Any) -> Any:
        passed: list[dict[str, Any]] = []

        def collect(logger: Any, method: str, event_dict: Any) -> str:
            passed.append(dict(event_dict))
            return "rendered"

        logger = structlog.wrap_logger(
            structlog.PrintLogger(file=open("/dev/null", "w")),  # noqa: SIM115, PTH123
            processors=[*before, security_processor(security, **options), collect],
        )
        return logger, passed

    return make


def test_structlog_events_are_logged_and_passed_on(structured: Callable[..., Any]) -> None:
    logger, passed = structured(structlog.stdlib.add_log_level, structlog.processors.TimeStamper(fmt="iso"))
    with captured_events() as events:
        logger.bind(tenant="blue").warning(
            "login failed", security_event=SecurityEvent.LOGIN_FAILURE, user_id=7, ip="192.0.2.1", password="hunter2"
        )
    (event,) = events
    assert (event["event"]["code"], event["log"]["level"], event["message"]) == (
        "LOGIN_FAILURE",
        "warn",
        "login failed",
    )
    assert event["user"]["id"] == "7"
    assert event["siemlite"]["data"] == {"tenant": "blue", "password": "[REDACTED]"}
    (event_dict,) = passed
    assert event_dict["event"] == "login failed"
    assert event_dict["security_event"] == "LOGIN_FAILURE"
    assert event_dict["password"] == "hunter2"


def test_structlog_exceptions_and_levels_without_a_level_processor(structured: Callable[..., Any]) -> None:
    logger, _ = structured()
    with captured_events() as events:
        try:
            int("x")
        except ValueError:
            logger.exception("failed")
        logger.critical("worse")
    assert [event["log"]["level"] for event in events] == ["error", "critical"]
    assert events[0]["error"]["type"] == "ValueError"


def test_structlog_can_be_limited_to_events_that_are_named(structured: Callable[..., Any]) -> None:
    logger, passed = structured(only_named=True)
    with captured_events() as events:
        logger.info("just so")
        logger.info("meant", security_event="LOGOUT")
    assert codes(events) == ["LOGOUT"]
    assert len(passed) == 2


def test_hostile_structlog_events_are_passed_on(structured: Callable[..., Any]) -> None:
    logger, passed = structured()
    with captured_events() as events:
        logger.info(Hostile(), security_event=Hostile(), level=Hostile(), logger=Hostile(), exc_info=Hostile())
        logger.info("x", logger="elasticsearch")
    assert len(passed) == 2
    assert len(events) <= 1


def test_structlog_is_not_imported_by_the_processor(tmp_path: Path) -> None:
    result = run_application(
        tmp_path, "import sys, pipeline.logger.structured; assert 'structlog' not in sys.modules, 'imported'"
    )
    assert result.returncode == 0, result.stderr
    assert sys.modules["structlog"] is structlog


def test_the_exceptions_of_a_group_are_named(log: logging.Logger) -> None:
    with captured_events() as events:
        try:
            raise ExceptionGroup("many", [ValueError("x"), ExceptionGroup("in", [KeyError("k")])])  # noqa: TRY301
        except ExceptionGroup:
            log.exception("failed")
    (event,) = events
    assert [cause["type"] for cause in event["siemlite"]["data"]["caused_by"]] == [
        "ValueError",
        "ExceptionGroup",
        "KeyError",
    ]


def test_values_of_variables_are_in_no_traceback_whoever_formatted_it(log: logging.Logger) -> None:
    """As structlog's `dict_tracebacks` does, and loguru, which marks the frame that caught with `>`."""
    stack = {
        "exc_type": "ValueError",
        "exc_value": "no",
        "frames": [{"filename": "a.py", "lineno": 3, "name": "check", "locals": {"entered": "'Sommer2026!'"}}],
    }
    cause = {"exc_type": "KeyError", "exc_value": "k", "frames": []}
    processor = security_processor(log.handlers[0]._security)  # type: ignore[attr-defined]
    with captured_events() as events:
        processor(None, "error", {"event": "failed", "exception": [stack, cause]})
        log.error(
            'failed\nTraceback (most recent call last):\n\n> File "a.py", line 20, in outer\n'
            '    check("bob", "Sommer2026!")\n    -> <function check>\n\n  File "a.py", line 8, in check\n'
            "    raise ValueError(1)\n\nValueError: 1"
        )
    assert "Sommer2026" not in str(events)
    assert events[0]["error"] == {"type": "ValueError", "message": "no"}
    assert events[0]["siemlite"]["data"]["traceback"] == ["a.py:3 in check"]
    assert events[0]["siemlite"]["data"]["caused_by"] == [{"type": "KeyError", "message": "k"}]
    assert events[1]["error"] == {"type": "ValueError", "message": "1"}


def test_an_event_that_structlog_wrapped_for_a_formatter_is_the_event_that_it_was(log: logging.Logger) -> None:
    structlog.reset_defaults()
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    try:
        with captured_events() as events:
            structlog.wrap_logger(log).warning("login failed", security_event="LOGIN_FAILURE", user_id="u-1")
    finally:
        structlog.reset_defaults()
    (event,) = events
    assert (event["event"]["code"], event["user"]["id"], event["message"]) == ("LOGIN_FAILURE", "u-1", "login failed")
    assert "siemlite" not in event


def test_a_message_that_is_a_mapping_is_read_as_structlogs_and_loses_nothing(log: logging.Logger) -> None:
    stack = {"exc_type": "ValueError", "exc_value": "no", "frames": [{"locals": {"typed": "Winter-Rose-77"}}]}
    with captured_events() as events:
        log.warning({"event": "login failed", 1: 2, "user_id": "u-1"}, extra={"event": SecurityEvent.LOGIN_FAILURE})
        log.warning({"event": "failed", "exception": [stack]})
        trace = 'Traceback (most recent call last):\n  File "a.py", line 1\n    x("Winter-Rose-77")\nE: no'
        log.warning({"event": "failed", "exception": trace})
    assert [event["event"]["code"] for event in events] == ["LOGIN_FAILURE", "LOG_RECORD", "LOG_RECORD"]
    assert events[0]["user"]["id"] == "u-1"
    assert events[1]["error"]["type"] == "ValueError"
    assert "Winter-Rose" not in str(events)
