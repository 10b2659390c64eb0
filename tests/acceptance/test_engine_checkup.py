"""`siemlite check`: which detection can never match, and why."""

import pytest

from pipeline.detection import (
    Metric,
    Severity,
    Share,
    Threshold,
    all_of,
    at_least,
    cidr,
    none_of,
    not_,
    phrase,
    prefix,
    raw,
    stage,
)
from pipeline.detection import Sequence as Stages
from pipeline.engine.checkup import Doubt, examine
from pipeline.engine.loader import BUILT_IN, load_detections
from tests.acceptance.engine_world import NOON, World, detection, failure

LOW = Severity.LOW


def threshold(**fields: object) -> Threshold:
    return Threshold(**{"severity": LOW, "at_least": 1, "within": 1, **fields})  # type: ignore[arg-type]


def unmapped(name: str) -> str:
    return (
        f"the field {name} is mapped in no event index; correct its name, or use siemlite.data.{name} for what "
        "applications log by that name"
    )


@pytest.fixture
def world(es_ready: str) -> World:
    return World(es_ready)


def test_before_there_is_an_event_the_template_tells(world: World) -> None:
    assert list(examine(world.client, load_detections([BUILT_IN]).detections)) == []
    (doubt,) = examine(world.client, [detection(threshold(group_by="user.idd"), "typo")])
    assert doubt == Doubt("typo", "wrong", unmapped("user.idd"))


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
        ("typo", "wrong", unmapped("usr.id")),
        ("refused", "wrong", "searching: 400 unknown query [nonsense]"),
        ("dynamic", "note", "no event has matched its where so far"),
        ("flattened", "note", "no event has matched its where so far"),
    ]


def test_conditions_are_looked_at_wherever_they_stand(world: World) -> None:
    world.write([failure(NOON, message="Failed password")])
    world.client.indices.refresh(index="security-logs-*")
    address = {"source.address": cidr("10.0.0.0/8")}
    among = {"event.code": "LOGIN_FALIURE"}
    detections = [
        detection(threshold(where=none_of(address)), "excluded"),
        detection(threshold(where={"source.address": not_(not_(cidr("10.0.0.0/8")))}), "twice"),
        detection(Share(severity=LOW, of=address, percent=50, at_least=1, within=1), "share"),
        detection(Share(severity=LOW, of=among, where={"user.id": "u1"}, percent=50, at_least=1, within=1), "misspelt"),
        detection(Metric(severity=LOW, field="user.id", measure="sum", above=1, within=1), "words"),
        detection(Metric(severity=LOW, field="siemlite.data.rows", measure="sum", above=1, within=1), "metadata"),
        detection(threshold(inhibits=("brute_force_by_adress",)), "speaks"),
    ]
    found = [(doubt.detection_id, doubt.verdict, doubt.text) for doubt in examine(world.client, detections)]
    no_ip = "cidr(…) needs an ip field and source.address is none; use source.ip"
    metadata = "is metadata, which is text; name it in SIEMLITE_MEASURE and use siemlite.number.…"
    assert found[:7] == [
        ("excluded", "wrong", no_ip),
        ("twice", "wrong", no_ip),
        ("share", "wrong", no_ip),
        ("words", "wrong", "the field user.id is no number and cannot be measured"),
        ("metadata", "wrong", f"the field siemlite.data.rows {metadata}"),
        ("speaks", "note", "it speaks for brute_force_by_adress, and there is no such detection"),
        ("misspelt", "note", "no event has had event.code: LOGIN_FALIURE"),
    ]


def test_what_is_compared_with_words_but_can_be_none_is_named(world: World) -> None:
    mappings = {"properties": {"alert": {"properties": {"text": {"type": "text"}, "name": {"type": "keyword"}}}}}
    world.client.indices.create(index="security-logs-2026.01.01", mappings=mappings)
    detections = [
        detection(threshold(where=all_of({"alert.text": not_("Failed password")}, {"alert.name": "a"})), "never"),
        detection(threshold(where={"alert.text": ["failed", "Refused"]}), "one_never"),
        detection(threshold(where={"alert.text": phrase("Failed password")}), "phrase"),
        detection(threshold(where={"alert.text": "failed"}), "word"),
        detection(threshold(where={"alert.name": phrase("failed")}), "no_text"),
    ]
    found = [(doubt.detection_id, doubt.verdict, doubt.text) for doubt in examine(world.client, detections)]
    words = "the field alert.text is text and is compared word by word, in lower case"
    assert found[:4] == [
        ("never", "note", f"{words}, so that 'Failed password' fits nothing; use phrase(…)"),
        ("one_never", "note", f"{words}, so that 'Refused' fits nothing; use phrase(…)"),
        ("word", "note", words),
        ("no_text", "wrong", "phrase(…) needs a text and alert.name is none; use contains(…), or a value"),
    ]


def test_a_field_that_events_have_as_metadata_is_named_as_such(world: World) -> None:
    world.write([failure(NOON, **{"siemlite.data.process.command_line": "bash -i"})])
    world.client.indices.refresh(index="security-logs-*")
    detections = [
        detection(threshold(where={"process.command_line": prefix("bash")}), "there"),
        detection(threshold(where={"process.title": "bash"}), "nowhere"),
    ]
    assert [(doubt.detection_id, doubt.verdict, doubt.text) for doubt in examine(world.client, detections)] == [
        (
            "there",
            "wrong",
            "process.command_line is no field of its own, and events have it as metadata; use "
            "siemlite.data.process.command_line",
        ),
        ("nowhere", "wrong", unmapped("process.title")),
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
        ("ungrouped", "none of its events (2) has session.id, which it groups by"),
    ]


def test_of_many_values_that_no_event_has_a_few_are_named(world: World) -> None:
    world.write([failure(NOON)])
    world.client.indices.refresh(index="security-logs-*")
    codes = ["LOGIN_FAILURE", *(f"C{number}" for number in range(5_000))]
    (doubt,) = examine(world.client, [detection(threshold(where={"event.code": codes}), "listed")])
    named = ", ".join(f"event.code: C{number}" for number in range(5))
    assert doubt.text == f"no event has had {named} and 494 more of its values"


def test_a_pass_counts_the_events_that_belong_to_no_group(world: World) -> None:
    world.write([failure(NOON), failure(NOON + 1, user=None), failure(NOON + 5_000, user=None)])
    (result,) = world.step([detection(threshold(group_by="user.id", at_least=9), "users")], NOON + 9_000)
    assert (result.coverage.touched, result.coverage.ungrouped) == (1, 2)
    assert result.coverage.oldest_ms == NOON


def test_a_part_that_stands_behind_one_that_takes_all_its_events_is_noted(world: World) -> None:
    world.write([failure(NOON), failure(NOON + 1, **{"event.code": "LOGOUT"})])
    world.client.indices.refresh(index="security-logs-*")
    shadowed = (stage({"user.id": "u1"}, at_least=3), stage({"event.code": "LOGOUT"}))
    sound = (stage({"event.code": "LOGIN_FAILURE"}, at_least=3), stage({"event.code": "LOGOUT"}))
    elsewhere = Share(
        severity=LOW,
        where={"event.code": "LOGIN_FAILURE"},
        of={"event.code": "LOGOUT"},
        percent=1,
        at_least=1,
        within=9,
    )
    detections = [
        detection(Stages(severity=LOW, group_by="user.id", stages=shadowed, within=9), "shadowed"),
        detection(Stages(severity=LOW, group_by="user.id", stages=sound, within=9), "sound"),
        detection(elsewhere, "elsewhere"),
    ]
    found = [(doubt.detection_id, doubt.verdict, doubt.text) for doubt in examine(world.client, detections)]
    behind = "none of its events (2) fits part 2 (event.code), none but those that fit a part before it"
    assert found == [
        ("shadowed", "note", behind),
        ("elsewhere", "note", "none of its events (1) fits part 1 (event.code)"),
    ]
