"""PagerDuty's events, as Events API v2 wants them."""

import json
from dataclasses import replace

import pytest

from pipeline.alerts.outbox import Action
from pipeline.delivery.channels.pagerduty import body
from pipeline.detection.timeline import Severity
from tests.unit.delivery.notices import HOSTILE, ORDINARY

KEY = "R0UT1NGKEYR0UT1NGKEYR0UT1NGKEY01"


def test_an_alert_triggers_an_incident_under_its_own_id() -> None:
    event = json.loads(body(ORDINARY, KEY))
    assert (event["routing_key"], event["event_action"]) == (KEY, "trigger")
    assert event["dedup_key"] == ORDINARY.alert_id
    payload = event["payload"]
    assert payload["summary"] == f"[HIGH] {ORDINARY.title}: {ORDINARY.summary}"
    assert payload["source"] == "203.0.113.7"
    assert payload["custom_details"]["events"] == 23
    assert payload["custom_details"]["group"] == {"source.address": "203.0.113.7"}
    assert event["links"] == [{"href": ORDINARY.links[0].url, "text": "Alert"}]


@pytest.mark.parametrize(
    ("severity", "theirs"),
    [
        (Severity.CRITICAL, "critical"),
        (Severity.HIGH, "error"),
        (Severity.MEDIUM, "warning"),
        (Severity.LOW, "info"),
    ],
)
def test_severities_are_translated(severity: Severity, theirs: str) -> None:
    assert json.loads(body(replace(ORDINARY, severity=severity), KEY))["payload"]["severity"] == theirs


@pytest.mark.parametrize(
    ("action", "theirs"),
    [
        (Action.OPEN, "trigger"),
        (Action.ESCALATE, "trigger"),
        (Action.ACKNOWLEDGE, "acknowledge"),
        (Action.RESOLVE, "resolve"),
    ],
)
def test_all_actions_speak_of_the_same_incident(action: Action, theirs: str) -> None:
    event = json.loads(body(replace(ORDINARY, action=action), KEY))
    assert (event["event_action"], event["dedup_key"]) == (theirs, ORDINARY.alert_id)
    assert ("payload" in event) is (theirs == "trigger")


def test_an_event_keeps_within_the_limits_whatever_it_is_about() -> None:
    huge = replace(
        HOSTILE, title="t" * 5000, guide="g" * 900_000, group=tuple((f"f{i}", "v" * 32_000) for i in range(40))
    )
    encoded = body(huge, KEY)
    assert len(encoded) <= 512_000
    payload = json.loads(encoded)["payload"]
    assert len(payload["summary"]) <= 1024
    assert len(payload["source"]) <= 1024
    assert payload["custom_details"]["events"] == 23
