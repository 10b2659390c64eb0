"""The command that finds an alert's events."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.alerts.command import curl
from pipeline.alerts.episodes import Episode
from pipeline.alerts.record import Alert, new_alert
from pipeline.alerts.rollups import of_storm
from pipeline.detection.timeline import Severity
from pipeline.events.values import printable
from tests.unit.alerts.memory_engine import address, detection

NOW = 1_750_000_000_000


def alert(value: str) -> Alert:
    return new_alert(
        detection(), "key", address(value), Episode(1, NOW - 9000, NOW - 4000, NOW, Severity.HIGH, 5), count=7
    )


@pytest.mark.parametrize("value", ["'; touch x; '", "$(id) `id` \\", "a\nb\x1b[2J", "\u202eabc", "\u00fcn\u00ef"])
def test_a_value_reaches_elasticsearch_as_it_is_and_the_shell_not_at_all(value: str) -> None:
    command = curl(alert(value), "https://name:secret@es.example:9243", "kim o'neil")
    assert printable(command) == command
    assert "secret" not in command
    words = shlex.split(command)
    assert words[:4] == ["curl", "-sS", "-u", "kim o'neil"]
    assert words[4].startswith("https://es.example:9243/security-logs-*/_search?")
    filters = json.loads(words[-1])["query"]["bool"]["filter"]
    assert {"term": {"source.address": value}} in filters
    assert {"term": {"event.code": {"value": "LOGIN_FAILURE"}}} in filters
    assert filters[0] == {
        "range": {"@timestamp": {"gte": "2025-06-15T15:06:31.000Z", "lte": "2025-06-15T15:06:40.000Z"}}
    }


def test_the_command_trusts_whom_siemlite_trusts_and_says_why_it_has_no_answer() -> None:
    command = curl(alert("192.0.2.7"), "https://es.example:9200", None, Path("/etc/our own/ca.pem"))
    assert shlex.split(command)[:4] == ["curl", "-sS", "--cacert", "/etc/our own/ca.pem"]


def test_a_roll_up_has_no_events_of_its_own() -> None:
    rollup = of_storm(detection(), [alert("192.0.2.1"), replace(alert("192.0.2.2"), id="other")])
    assert curl(rollup, "http://127.0.0.1:9200", None) == ""
