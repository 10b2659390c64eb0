"""What a roll-up says of the alerts that it stands for."""

from dataclasses import replace

from pipeline.alerts.episodes import Episode
from pipeline.alerts.record import Alert, headline, new_alert
from pipeline.alerts.rollups import digest, listing, of_storm
from pipeline.detection.timeline import Severity
from tests.unit.alerts.memory_engine import address, detection

NOW = 1_750_000_000_000


def alert(value: str) -> Alert:
    episode = Episode(1, NOW - 9000, NOW - 4000, NOW, Severity.HIGH, 5)
    return new_alert(detection(), value, address(value), episode, count=7)


def test_each_alert_that_is_shown_is_named_by_what_commands_take() -> None:
    members = [alert("192.0.2.7"), alert("192.0.2.8")]
    for rollup in (of_storm(detection(), members), digest(members)):
        assert {example.split()[0] for example in rollup.examples} == {member.id[:12] for member in members}


def test_a_digest_tells_how_to_list_its_alerts_which_are_closed_where_they_are_over() -> None:
    found = digest([alert("192.0.2.7")])
    command = "siemlite alerts list --state open --state acknowledged --state closed --since 2025-06-15T15:06:31.000Z"
    assert f"`{command} --limit 1000`" in found.guide


def test_of_a_storm_those_of_its_detection_are_listed() -> None:
    assert " --detection brute_force --since " in listing(of_storm(detection(), [alert("192.0.2.7")]))


def test_of_silences_no_event_is_said_to_have_come_when_they_were_noticed() -> None:
    silences = [replace(alert(value), by_clock=True, count=1) for value in ("192.0.2.7", "192.0.2.8")]
    rollup = of_storm(detection(), silences)
    assert headline(rollup) == "2 alerts, quiet since 2025-06-15T15:06:31.000Z, noticed 2025-06-15T15:06:40.000Z"
    assert rollup.span == ("Quiet since", "Noticed")
    assert digest([*silences, alert("192.0.2.9")]).span == ("First event", "Last event")
    assert of_storm(detection(), [replace(one, count=3) for one in silences]).span == ("Few since", "Noticed")
