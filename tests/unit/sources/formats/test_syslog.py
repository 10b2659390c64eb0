"""Syslog messages of both kinds."""

from zoneinfo import ZoneInfo

import pytest

from pipeline.events.values import instant, instant_of
from pipeline.sources.formats.format import TOO_LONG, FormatOptions
from pipeline.sources.formats.structured_data import split_structured_data
from pipeline.sources.formats.syslog import FAILURE, REPEATS_MAX, Syslog

NOW = 1_767_225_600_000


def parse(message: bytes, *tags: str) -> list[dict[str, object]]:
    return list(Syslog(FormatOptions(), lambda: NOW).parse_from(message, "192.0.2.7", *tags))


def test_a_message_of_rfc_5424() -> None:
    message = (
        "<165>1 2025-10-11T22:14:15.003Z mymachine.example evntslog 111 ID47 "
        '[exampleSDID@32473 iut="3" eventSource="App\\"l\\]ication"][x@1 a=""] \ufeffAn äpplication event'
    )
    assert parse(message.encode()) == [
        {
            "sender": "192.0.2.7",
            "log.syslog.facility.code": 20,
            "log.syslog.severity.code": 5,
            "timestamp": "2025-10-11T22:14:15.003Z",
            "host.name": "mymachine.example",
            "msgid": "ID47",
            "structured_data": {"exampleSDID@32473": {"iut": "3", "eventSource": 'App"l]ication'}, "x@1": {"a": ""}},
            "message": "An äpplication event",
            "process.name": "evntslog",
            "process.pid": 111,
            "service": "evntslog",
            "level": "info",
        }
    ]


def test_nothing_given_is_nothing_claimed_but_who_sent_it() -> None:
    assert parse(b"<11>1 - - - - - -") == [
        {
            "sender": "192.0.2.7",
            "log.syslog.facility.code": 1,
            "log.syslog.severity.code": 3,
            "host.name": "192.0.2.7",
            "message": "",
            "level": "error",
        }
    ]


def test_a_message_of_rfc_3164() -> None:
    (event,) = parse(b"<34>Oct 11 22:14:15 mymachine su[7]: 'su root' failed for lonvick on /dev/pts/8")
    assert (event["host.name"], event["process.name"], event["process.pid"]) == ("mymachine", "su", 7)
    assert (event["log.syslog.facility.code"], event["log.syslog.severity.code"], event["level"]) == (4, 2, "error")
    assert event["timestamp"] == "2025-10-11T22:14:15.000Z"
    assert event["message"] == "'su root' failed for lonvick on /dev/pts/8"


@pytest.mark.parametrize(
    ("message", "host", "program", "text"),
    [
        (b"<13>Dec 10 06:55:46 prog[1]: hi", "192.0.2.7", "prog", "hi"),
        (b"<13>prog: hi", "192.0.2.7", "prog", "hi"),
        (b"<13>just text", "192.0.2.7", None, "just text"),
        (b"<13>2025-12-10T06:55:46Z host prog: hi", "host", "prog", "hi"),
        (b"<13>", "192.0.2.7", None, ""),
    ],
)
def test_what_is_missing_in_front_comes_from_the_sender(
    message: bytes, host: str, program: str | None, text: str
) -> None:
    (event,) = parse(message)
    assert (event["host.name"], event.get("process.name"), event["message"]) == (host, program, text)


@pytest.mark.parametrize("start", [b"<86>Dec 10 06:55:46 h sshd[9]: ", b"<86>1 2025-12-10T06:55:46Z h sshd 9 - - "])
def test_an_attempt_at_sshd_is_one_in_any_syslog(start: bytes) -> None:
    (event,) = parse(start + b"Failed password for root from 192.0.2.1 port 22 ssh2")
    assert (event["event"], event["ip"], event["userId"]) == ("LOGIN_FAILURE", "192.0.2.1", "root")
    assert "level" not in event


def test_rfc_5424_as_rsyslog_forwards_it_has_a_space_before_its_message() -> None:
    (event,) = parse(
        b"<38>1 2025-12-10T06:55:46.374023+00:00 vm sshd 4242 - -  Failed password for root from 192.0.2.1 port 22 ssh2"
    )
    assert (event["event"], event["ip"]) == ("LOGIN_FAILURE", "192.0.2.1")
    assert event["message"] == "Failed password for root from 192.0.2.1 port 22 ssh2"


@pytest.mark.parametrize(
    ("line", "time"),
    [
        ("Nov 26 10:00:00", "2025-11-26T10:00:00.000Z"),
        ("2025-11-26T10:00:01.5+00:00", "2025-11-26T10:00:01.500Z"),
    ],
)
def test_a_line_of_a_file_that_rsyslog_wrote_needs_no_priority(line: str, time: str) -> None:
    log = Syslog(FormatOptions(), lambda: NOW)
    (event,) = log.parse(f"{line} web1 sshd[12]: Failed password for root from 192.0.2.1 port 22 ssh2".encode())
    assert (event["timestamp"], event["host.name"], event["event"]) == (time, "web1", "LOGIN_FAILURE")
    assert log.unread == 0
    log.parse(b"nothing of the kind")
    assert log.unread == 1


@pytest.mark.parametrize(
    ("message", "host", "program", "time"),
    [
        ("<189>45: *Nov 26 10:00:00.456: %SYS-5-CONFIG_I: Configured", "192.0.2.7", "SYS", "2025-11-26T09:00:00.000Z"),
        (
            "<189>46: router1: Nov 26 10:00:00.456 UTC: %SEC_LOGIN-4-LOGIN_FAILED: Login failed",
            "router1",
            "SEC_LOGIN",
            "2025-11-26T10:00:00.000Z",
        ),
        (
            "<189>000047: Nov 26 2024 10:00:00.456 CET: %PARSER-5-CFGLOG_LOGGEDCMD: x",
            "192.0.2.7",
            "PARSER",
            "2024-11-26T09:00:00.000Z",
        ),
        ("<166>Nov 26 2024 10:00:00: %ASA-6-605004: Login denied", "192.0.2.7", "ASA", "2024-11-26T09:00:00.000Z"),
        ("<166>Nov 26 2024 10:00:00 fw1 : %ASA-6-605004: Login denied", "fw1", "ASA", "2024-11-26T09:00:00.000Z"),
    ],
)
def test_a_message_of_ciscos_has_the_facility_for_its_program(message: str, host: str, program: str, time: str) -> None:
    log = Syslog(FormatOptions(timezone=ZoneInfo("Europe/Berlin")), lambda: NOW)
    (event,) = log.parse_from(message.encode(), "192.0.2.7")
    assert (event["host.name"], event["process.name"], event["service"]) == (host, program, program)
    assert event["timestamp"] == time
    assert str(event["message"]).startswith(f"%{program}-")


def test_a_sequence_number_is_no_program() -> None:
    (event,) = parse(b"<189>45: something else: x")
    assert "process.name" not in event


def test_in_the_hour_that_a_clock_change_repeats_what_was_received_just_now_is_now() -> None:
    received = instant("2026-10-25T01:02:05Z")
    assert received is not None
    log = Syslog(FormatOptions(timezone=ZoneInfo("Europe/Berlin")), lambda: received.ms)
    assert log.parse(b"<38>Oct 25 02:02:00 h p: x")[0]["timestamp"] == "2026-10-25T01:02:00.000Z"
    assert log.parse(b"<38>Oct 25 02:40:00 h p: x")[0]["timestamp"] == "2026-10-25T00:40:00.000Z"


def test_a_message_cannot_multiply_itself_much() -> None:
    events = parse(b"<86>sshd[9]: message repeated 9999 times: [ Failed password for root from ::1 port 22 ssh2]")
    assert len(events) == REPEATS_MAX


@pytest.mark.parametrize("message", [b"plain", b"<192>x", b"<>x", b"<1x", b"\xff\xfe", b"<9999>x"])
def test_a_message_without_a_priority_is_kept_whole(message: bytes) -> None:
    (event,) = parse(message)
    assert (event["message"], event["tags"]) == (message.decode("utf-8", "backslashreplace"), [FAILURE])


@pytest.mark.parametrize("rest", ["[x", '[x a="b]', "[ ]", "[x a=b] text", "text", "[a]text"])
def test_malformed_structured_data_stays_in_the_message(rest: str) -> None:
    (event,) = parse(f"<11>1 - h app 1 - {rest}".encode())
    assert (event["message"], event["tags"]) == (rest, [FAILURE])


def test_a_date_that_makes_no_sense_stays_as_it_was_written() -> None:
    (event,) = parse(b"<11>1 2025-99-99T00:00:00Z h app 99999999999 - - x")
    assert (event["timestamp"], event["procid"]) == ("2025-99-99T00:00:00Z", "99999999999")
    (event,) = parse(b"<11>Feb 30 22:14:15 h app: x")
    assert event["timestamp"] == "Feb 30 22:14:15"
    (event,) = parse(b"<11>0001-01-01T00:00:00+05:00 h app: x")
    assert event["timestamp"] == "0001-01-01T00:00:00+05:00"


def test_a_clock_that_was_never_set_is_not_taken_for_another_day() -> None:
    for message in (b"<11>1 1970-01-10T00:00:00Z h app 1 - - x", b"<11>1970-01-10T00:00:00Z h app: x"):
        (event,) = parse(message)
        assert event["timestamp"] == "1970-01-10T00:00:00.000Z"
        assert instant(event["timestamp"]) == instant_of(9 * 86_400_000)


def test_tags_of_the_reader_are_kept() -> None:
    for message in (b"plain", b"<11>1 - h app 1 - [x", b"<13>x"):
        assert all(event["tags"][0] == TOO_LONG for event in parse(message, TOO_LONG))  # type: ignore[index]


def test_messages_do_not_influence_the_year_of_each_other() -> None:
    log = Syslog(FormatOptions(), lambda: NOW)
    for _ in range(3):
        assert log.parse(b"<13>Dec 31 06:00:00 h p: x")[0]["timestamp"] == "2025-12-31T06:00:00.000Z"
        assert log.parse(b"<13>Jan  1 06:00:00 h p: x")[0]["timestamp"] == "2026-01-01T06:00:00.000Z"


def test_values_that_repeat_a_name_are_all_kept() -> None:
    assert split_structured_data('[o ip="a" ip="b"] x') == ({"o": {"ip": "a b"}}, "x")
    assert split_structured_data("- x") == ({}, "x")
    assert split_structured_data("-") == ({}, "")
    assert split_structured_data("[a][b]") == ({"a": {}, "b": {}}, "")
