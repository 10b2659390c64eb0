"""What a channel is given to say."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.alerts.behind import lines
from pipeline.alerts.episodes import Episode
from pipeline.alerts.outbox import Action, Delivery
from pipeline.alerts.record import Alert, Standing, new_alert
from pipeline.alerts.rollups import of_storm
from pipeline.delivery.notice import notice_of
from pipeline.detection.timeline import Severity
from pipeline.events.redaction import Redactor
from tests.unit.alerts.memory_engine import address, detection

NOW = 1_750_000_000_000
ENTRY = Delivery("slack", Action.OPEN, NOW, NOW)


def alert(value: str = "203.0.113.7") -> Alert:
    episode = Episode(1, NOW - 9000, NOW - 4000, NOW, Severity.HIGH, 5)
    return new_alert(detection(), "key", address(value), episode, count=7)


def test_it_says_who_how_often_and_when() -> None:
    notice = notice_of(alert(), ENTRY)
    assert notice.heading == "[HIGH] Title of brute_force."
    assert notice.summary.startswith("source.address=203.0.113.7: 7 events from 2025-06-15T15:06:31.000Z to ")


@pytest.mark.parametrize(
    ("action", "heading"),
    [
        (Action.ESCALATE, "[HIGH] Escalated: Title of brute_force."),
        (Action.ACKNOWLEDGE, "[HIGH] Acknowledged: Title of brute_force."),
        (Action.RESOLVE, "[HIGH] Resolved: Title of brute_force."),
    ],
)
def test_the_heading_says_what_became_of_the_alert(action: Action, heading: str) -> None:
    assert notice_of(alert(), Delivery("x", action, NOW, NOW)).heading == heading


def test_control_and_invisible_characters_are_shown_as_escapes() -> None:
    notice = notice_of(alert("\x1b[2J\u202eabc\r\nBcc: x\x00"), ENTRY)
    assert notice.group == (("source.address", "\\x1b[2J\\u202eabc\\r\\nBcc: x\\x00"),)
    assert notice.summary.isprintable()


def test_every_text_passes_the_redactor() -> None:
    notice = notice_of(alert("hunter2"), ENTRY, clean=lambda text: text.replace("hunter2", "[REDACTED]"))
    assert notice.group == (("source.address", "[REDACTED]"),)
    assert "hunter2" not in repr(notice)


@pytest.mark.parametrize("account", ["token", 'password="'])
def test_an_account_that_is_called_like_a_secret_hides_nothing_of_what_is_said_of_it(account: str) -> None:
    found = replace(alert(), group=(("service.name", account), ("user.id", account)))
    notice = notice_of(found, ENTRY, clean=Redactor().text)
    assert notice.summary.startswith(f"service.name={account}, user.id={account}: 7 events from 2025-06-15T15:06")
    assert notice.summary.endswith(" (3 events within 15 minutes)")


@pytest.mark.parametrize("account", ["token:", 'password="', "password='", "-----BEGIN PRIVATE KEY-----", "a b\\"])
def test_an_account_that_is_called_like_a_secret_hides_no_address(account: str) -> None:
    event = {"event": {"code": "LOGOUT"}, "user": {"id": account}, "service": {"name": "web"}, "host": {"name": "h 1"}}
    examples = lines(detection(), [{"_source": event}])
    [example] = notice_of(replace(alert(), examples=examples), ENTRY, clean=Redactor().text).examples
    assert example.startswith("LOGOUT user.id=")
    assert example.endswith(' host.name="h 1" service.name=web')


@pytest.mark.parametrize("account", ["token:", 'password="', 'password:"', "password='", 'a "token": b'])
def test_an_account_that_is_called_like_a_secret_hides_nothing_else_of_a_roll_ups_alert(account: str) -> None:
    found = replace(alert(), group=(("user.id", account), ("source.address", "192.0.2.7")))
    rollup = of_storm(detection(), [found, replace(found, id="other")])
    for example in notice_of(rollup, ENTRY, clean=Redactor().text).examples:
        assert " source.address=192.0.2.7: 7 events from 2025-06-15T15:06" in example


@pytest.mark.parametrize("code", ['LOGOUT"password:', "LOGOUT user.id=root", "LOGOUT token: ", "L" * 5000])
def test_the_code_that_an_event_brings_hides_and_forges_nothing(code: str) -> None:
    event = {"event": {"code": code}, "user": {"id": 'a"b'}, "host": {"name": "h"}}
    examples = lines(detection(), [{"_source": event}])
    [example] = notice_of(replace(alert(), examples=examples), ENTRY, clean=Redactor().text).examples
    assert example.endswith(r' user.id="a\"b" host.name=h')
    assert " user.id=root" not in example.replace(f'"{code}"', "")
    assert len(example) < 200


@pytest.mark.parametrize(
    "said",
    [
        {"title": "Login with hunter2"},
        {"guide": "Triage:\nhunter2\nend"},
        {"examples": ("user.name=hunter2: 5 events",)},
        {"closed": Standing("kim", NOW, "it was hunter2")},
        {"closed": Standing("hunter2", NOW, "over")},
    ],
)
def test_whoever_said_it_and_wherever_it_stands_it_passes_the_redactor(said: dict[str, Any]) -> None:
    spoken = replace(alert(), **said)
    resolve = Delivery("pagerduty", Action.RESOLVE, NOW, NOW)
    assert "hunter2" in repr(notice_of(spoken, resolve))
    cleaned = notice_of(spoken, resolve, clean=lambda text: text.replace("hunter2", "[REDACTED]"))
    assert "hunter2" not in repr(cleaned)
    assert "[REDACTED]" in repr(cleaned)


def test_what_a_person_said_goes_with_it() -> None:
    closed = replace(alert(), closed=Standing("kim", NOW, "a pentest"))
    notice = notice_of(closed, Delivery("pagerduty", Action.RESOLVE, NOW, NOW))
    assert (notice.by, notice.note) == ("kim", "a pentest")
