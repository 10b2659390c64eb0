"""Authentication logs: real lines, years and clocks, repeats, and lines that make no sense."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pipeline.sources.formats.authlog import FAILURE, REPEATS_BOUNDED, REPEATS_MAX, AuthLog
from pipeline.sources.formats.format import TOO_LONG, FormatOptions

REAL = Path(__file__).parents[5] / "shared" / "data" / "OpenSSH_2k.log"
NEVER = 4_000_000_000_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def written(text: str) -> str:
    """Return a time in UTC as an event says it."""
    return f"{datetime.fromisoformat(text).isoformat(timespec='milliseconds')}Z"


def authlog(year: int | None = 2015, zone: str = "UTC", latest: str | None = None) -> AuthLog:
    return AuthLog(FormatOptions(year, ZoneInfo(zone)), lambda: NEVER if latest is None else ms(latest))


def times(log: AuthLog, *dates: str) -> list[str]:
    """Return the times that lines of these dates get."""
    found = []
    for date in dates:
        (event,) = log.parse(f"{date} host sshd[1]: hello".encode())
        found.append(datetime.fromisoformat(str(event["timestamp"])).strftime("%Y-%m-%d %H:%M:%S"))
    return found


@pytest.mark.skipif(not REAL.exists(), reason="the loghub sample is not on this machine")
def test_every_line_of_a_real_attack_is_accounted_for() -> None:
    log = authlog()
    codes: Counter[object] = Counter()
    lines = 0
    for line in REAL.read_bytes().splitlines():
        events = log.parse(line)
        assert events
        lines += 1
        for event in events:
            assert "tags" not in event
            assert str(event["timestamp"]).startswith("2015-12-10T")
            codes[event.get("event")] += 1
    assert (lines, codes["LOGIN_FAILURE"], codes["LOGIN_SUCCESS"]) == (2000, 532, 1)


def test_the_fields_of_a_line() -> None:
    line = b"<38>Dec  9 06:55:46 LabSZ sshd[24200]: Failed password for root from 192.0.2.1 port 22 ssh2"
    assert list(authlog().parse(line)) == [
        {
            "timestamp": written("2015-12-09 06:55:46"),
            "message": "Failed password for root from 192.0.2.1 port 22 ssh2",
            "host.name": "LabSZ",
            "process.name": "sshd",
            "process.pid": 24200,
            "service": "sshd",
            "event": "LOGIN_FAILURE",
            "userId": "root",
            "ip": "192.0.2.1",
            "source.port": 22,
            "method": "password",
            "reason": "invalid_password",
        }
    ]


@pytest.mark.parametrize(
    ("line", "program", "text"),
    [
        ("sshd(pam_unix)[19939]: check pass; user unknown", "sshd", "check pass; user unknown"),
        ("sshd-session[7]: hello", "sshd-session", "hello"),
        ("systemd-logind[7]: New session 5 of user root.", "systemd-logind", "New session 5 of user root."),
        ("sudo:      ann : TTY=pts/0", "sudo", "     ann : TTY=pts/0"),
        (" -- root[2421]: ROOT LOGIN ON tty2", "login", "ROOT LOGIN ON tty2"),
        ("no program at all", None, "no program at all"),
        ("empty[1]:", "empty", ""),
    ],
)
def test_a_tag_of_any_form_is_read(line: str, program: str | None, text: str) -> None:
    (event,) = authlog().parse(f"Dec 10 06:55:46 host {line}".encode())
    assert (event.get("process.name"), event["message"]) == (program, text)


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("2024-02-29T10:00:00.123456+02:00", "2024-02-29 08:00:00.123"),
        ("2024-02-29T10:00:00Z", "2024-02-29 10:00:00"),
        ("2024-02-29T10:00:00,5+0100", "2024-02-29 09:00:00.500"),
        ("2024-02-29 10:00:00", "2024-02-29 09:00:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31 23:59:59"),
    ],
)
def test_iso_times_need_no_year(date: str, expected: str) -> None:
    (event,) = authlog(None, "Europe/Berlin").parse(f"{date} host sshd[1]: hello".encode())
    assert event["timestamp"] == written(expected)


def test_the_year_turns_between_december_and_january() -> None:
    assert times(authlog(), "Dec 31 23:59:59", "Jan  1 00:00:00", "Feb  3 00:00:00", "Dec 31 10:00:00") == [
        "2015-12-31 23:59:59",
        "2016-01-01 00:00:00",
        "2016-02-03 00:00:00",
        "2016-12-31 10:00:00",
    ]


def test_stragglers_around_new_year_stay_in_their_year() -> None:
    dates = ["Dec 31 23:59:58", "Jan  1 00:00:00", "Dec 31 23:59:59", "Jan  1 00:00:01", "Jan  1 00:00:02"]
    assert [time[:4] for time in times(authlog(), *dates)] == ["2015", "2016", "2015", "2016", "2016"]
    assert [time[:4] for time in times(authlog(), "Jan  1 00:00:00", "Dec 31 23:59:59", "Jan  1 00:00:01")] == [
        "2015",
        "2014",
        "2015",
    ]


def test_disorder_within_a_year_changes_no_year() -> None:
    dates = ["Mar 10 00:00:00", "Mar  3 00:00:00", "Jan  5 00:00:00", "Aug 20 00:00:00", "Mar 10 00:00:00"]
    assert {time[:4] for time in times(authlog(), *dates)} == {"2015"}


def test_the_year_turns_over_a_gap_of_months() -> None:
    assert [time[:4] for time in times(authlog(), "Nov  1 00:00:00", "Apr  1 00:00:00")] == ["2015", "2016"]


def test_the_29th_of_february_finds_its_leap_year() -> None:
    assert times(authlog(2023), "Nov  1 00:00:00", "Feb 29 00:00:00")[1] == "2024-02-29 00:00:00"
    assert times(authlog(None, latest="2026-05-01"), "Feb 29 00:00:00") == ["2024-02-29 00:00:00"]


def test_without_a_year_no_line_is_later_than_the_last_change_of_its_file() -> None:
    log = authlog(None, latest="2026-01-05")
    assert times(log, "Nov  1 00:00:00", "Dec 31 00:00:00", "Jan  5 00:00:00") == [
        "2025-11-01 00:00:00",
        "2025-12-31 00:00:00",
        "2026-01-05 00:00:00",
    ]
    assert times(authlog(None, latest="2026-06-20"), "Jun 15 00:00:00", "Dec 31 00:00:00", "Jun 16 00:00:00") == [
        "2026-06-15 00:00:00",
        "2025-12-31 00:00:00",
        "2026-06-16 00:00:00",
    ]


def test_local_times_are_brought_to_utc_across_a_clock_change() -> None:
    log = authlog(2025, "Europe/Berlin")
    assert times(
        log, "Jul  1 12:00:00", "Oct 26 01:59:59", "Oct 26 02:30:00", "Oct 26 02:05:00", "Oct 26 03:00:00"
    ) == [
        "2025-07-01 10:00:00",
        "2025-10-25 23:59:59",
        "2025-10-26 00:30:00",
        "2025-10-26 01:05:00",
        "2025-10-26 02:00:00",
    ]


def test_a_stray_line_of_a_board_without_a_clock_leads_no_other_line_into_another_year() -> None:
    log = authlog(None, latest="2026-12-10")
    assert times(log, "Dec  5 10:00:00", "Jan  1 00:00:10", "Dec  5 10:05:00", "Dec 10 00:00:00") == [
        "2026-12-05 10:00:00",
        "2026-01-01 00:00:10",
        "2026-12-05 10:05:00",
        "2026-12-10 00:00:00",
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"Nov 26 10:00:00 alpine auth.info sshd[12]: Failed password for root from 192.0.2.1 port 22 ssh2",
        b"Nov 26 10:00:00 sshd[12]: Failed password for root from 192.0.2.1 port 22 ssh2",
        b"Nov 26 10:00:00 2015 web1 sshd[12]: Failed password for root from 192.0.2.1 port 22 ssh2",
        b"2015-11-26T10:00:00.000Z Nov 26 05:00:00 web1 sshd[12]: Failed password for root from 192.0.2.1 port 22 ssh2",
        b"Nov 26 10:00:00 web1 sshd[12]:  Failed password for root from 192.0.2.1 port 22 ssh2",
    ],
)
def test_what_stands_around_a_line_does_not_hide_an_attempt(line: bytes) -> None:
    (event,) = authlog().parse(line)
    assert (event["event"], event["userId"], event["ip"]) == ("LOGIN_FAILURE", "root", "192.0.2.1")
    assert event["timestamp"] == "2015-11-26T10:00:00.000Z"
    assert event.get("host.name") in (None, "web1", "alpine")


def test_a_log_that_begins_before_its_clock_was_set_is_dated_by_its_last_change() -> None:
    log = authlog(None, latest="2026-12-20")
    assert times(log, "Jan  1 00:00:07", "Dec 19 10:00:00", "Dec 19 10:00:01") == [
        "2026-01-01 00:00:07",
        "2026-12-19 10:00:00",
        "2026-12-19 10:00:01",
    ]


def test_a_host_may_be_called_by_a_number() -> None:
    log = authlog()
    for host in ("1234", "2031"):
        (event,) = log.parse(f"Nov 26 10:00:00 {host} sshd[1]: hello".encode())
        assert (event["host.name"], event["timestamp"]) == (host, "2015-11-26T10:00:00.000Z")


def test_a_message_repeated_is_as_many_events() -> None:
    line = (
        b"Dec 10 07:13:56 h sshd[2]: message repeated 5 times: [ Failed password for root from 192.0.2.1 port 2 ssh2]"
    )
    events = authlog().parse(line)
    assert [event["event"] for event in events] == ["LOGIN_FAILURE"] * 5
    assert {event["message"] for event in events} == {"Failed password for root from 192.0.2.1 port 2 ssh2"}
    assert len({id(event) for event in events}) == 5


def test_a_repeated_message_without_a_code_stays_one_event() -> None:
    (event,) = authlog().parse(b"Dec 10 07:13:56 h sshd[2]: message repeated 5 times: [ hello]")
    assert event["message"] == "message repeated 5 times: [ hello]"


def test_repeats_are_bounded_and_say_so() -> None:
    line = "Dec 10 07:13:56 h sshd[2]: message repeated {} times: [ Failed password for root from ::1 port 2 ssh2]"
    events = authlog().parse(line.format(999_999_999).encode())
    assert len(events) == REPEATS_MAX
    assert (events[-1]["tags"], events[-1]["repeats"]) == ([REPEATS_BOUNDED], 999_999_999)
    assert "tags" not in events[0]
    assert len(authlog().parse(line.format(0).encode())) == 1


def test_last_message_repeated_repeats_the_line_before_if_that_was_an_event() -> None:
    log = authlog()
    log.parse(b"Dec 10 07:13:56 h sshd[2]: Failed password for root from 192.0.2.1 port 2 ssh2")
    events = log.parse(b"Dec 10 07:14:00 h last message repeated 3 times")
    assert [(event["event"], event["timestamp"]) for event in events] == [
        ("LOGIN_FAILURE", written("2015-12-10 07:14:00"))
    ] * 3
    log.parse(b"Dec 10 07:14:01 h sshd[2]: hello")
    (event,) = log.parse(b"Dec 10 07:14:02 h last message repeated 3 times")
    assert "event" not in event


@pytest.mark.parametrize("line", [b"garbage", b"Foo 10 06:55:46 h sshd[1]: x", b"\xff\xfe", b"Dec 10", b"2015-99-10T"])
def test_a_line_without_a_header_has_its_text_a_tag_and_the_time_of_the_line_before(line: bytes) -> None:
    log = authlog()
    text = line.decode("utf-8", "backslashreplace")
    assert log.parse(line) == ({"message": text, "tags": [FAILURE]},)
    log.parse(b"Dec 10 06:55:46 h sshd[1]: hello")
    assert log.parse(line) == ({"message": text, "tags": [FAILURE], "timestamp": written("2015-12-10 06:55:46")},)


def test_an_attempt_on_a_day_that_does_not_exist_still_counts() -> None:
    log = authlog()
    log.parse(b"Dec 10 06:55:46 h sshd[1]: hello")
    for date in ("Feb 30", "Jun 31", "Dec 99"):
        (event,) = log.parse(f"{date} 06:55:46 h sshd[1]: Failed password for a from ::1 port 2 ssh2".encode())
        assert (event["event"], event["tags"], event["timestamp"]) == (
            "LOGIN_FAILURE",
            [FAILURE],
            written("2015-12-10 06:55:46"),
        )


def test_the_year_survives_a_restart_and_a_senseless_state_does_no_harm() -> None:
    before, after = authlog(), authlog()
    times(before, "Dec 31 23:59:59", "Jan  1 00:00:00")
    after.restore(before.snapshot())
    assert times(after, "Jan  2 00:00:00") == ["2016-01-02 00:00:00"]
    for state in ("", "[]", "{}", "null", '{"previous":"x"}'):
        log = authlog()
        log.restore(state)
        assert times(log, "Jan  2 00:00:00") == ["2015-01-02 00:00:00"]


def test_a_line_that_is_too_long_keeps_its_meaning() -> None:
    head = b"Dec 10 06:55:46 h sshd[1]: Failed password for a from 192.0.2.1 port 2 ssh2: " + b"x" * 1000
    (event,) = authlog().parse_cut(head)
    assert (event["event"], event["tags"]) == ("LOGIN_FAILURE", [TOO_LONG])
