"""`siemlite check`: which detection can never match, and why."""

import pytest

from pipeline.detection import Metric, Severity, Threshold, at_least, cidr, not_, raw
from pipeline.engine.checkup import Doubt, examine
from pipeline.engine.loader import BUILT_IN, load_detections
from tests.acceptance.engine_world import NOON, World, detection, failure

LOW = Severity.LOW


def threshold(**fields: object) -> Threshold:
    return Threshold(**{"severity": LOW, "at_least": 1, "within": 1, **fields})  # type: ignore[arg-type]


@pytest.fixture
def world(es_url: str) -> World:
    return World(es_url)


def test_before_there_is_an_event_the_template_tells(world: World) -> None:
    assert list(examine(world.client, load_detections([BUILT_IN]).detections)) == []
    (doubt,) = examine(world.client, [detection(threshold(group_by="user.idd"), "typo")])
    assert doubt == Doubt("typo", "wrong", "the field user.idd is mapped in no event index; correct its name")


def test_fields_that_cannot_work_are_named(world: World) -> None:
    world.write([failure(NOON)])
    detections = [
        detection(threshold(group_by="message"), "text"),
        detection(threshold(where={"source.address": cidr("10.0.0.0/8")}), "no_ip"),
        detection(threshold(where={"user.id": not_(at_least(5))}), "no_number"),
        detection(threshold(where={"usr.id": "x"}), "typo"),
        detection(threshold(where=raw({"nonsense": {}})), "refused"),
        detection(threshold(where={"event.code": "LOGIN_FAILURE"}, group_by="source.address"), "well"),
        detection(Metric(severity=LOW, field="siemlite.number.rows", measure="sum", above=1, within=1), "dynamic"),
        detection(threshold(where={"siemlite.data.setting": "x"}), "flattened"),
    ]
    world.client.indices.refresh(index="security-logs-*")
    found = [(doubt.detection_id, doubt.verdict, doubt.text) for doubt in examine(world.client, detections)]
    assert found == [
        ("text", "wrong", "the field message is text and cannot be grouped by; use a keyword field"),
        ("no_ip", "wrong", "cidr(…) needs an ip field and source.address is none; use source.ip"),
        ("no_number", "wrong", "a range needs a number and user.id is none"),
        ("typo", "wrong", "the field usr.id is mapped in no event index; correct its name"),
        ("refused", "wrong", "searching: 400 unknown query [nonsense]"),
        ("dynamic", "note", "no event has matched its where so far"),
        ("flattened", "note", "no event has matched its where so far"),
    ]


def test_values_and_groups_that_no_event_has_are_noted(world: World) -> None:
    world.write([failure(NOON), failure(NOON + 1)])
    world.client.indices.refresh(index="security-logs-*")
    detections = [
        detection(threshold(where={"event.code": ["LOGIN_FAILURE", "LOGIN_FAILED"]}), "one_of_two"),
        detection(threshold(where={"event.code": "LOGIN_FAILURE"}, group_by="session.id"), "ungrouped"),
    ]
    assert [(doubt.detection_id, doubt.text) for doubt in examine(world.client, detections)] == [
        ("one_of_two", "no event has had event.code: LOGIN_FAILED"),
        ("ungrouped", "none of its 2 events has session.id, which it groups by"),
    ]


def test_a_pass_counts_the_events_that_belong_to_no_group(world: World) -> None:
    world.write([failure(NOON), failure(NOON + 1, user=None), failure(NOON + 5_000, user=None)])
    (result,) = world.step([detection(threshold(group_by="user.id", at_least=9), "users")], NOON + 9_000)
    assert (result.coverage.touched, result.coverage.ungrouped) == (1, 2)
    assert result.coverage.oldest_ms == NOON
