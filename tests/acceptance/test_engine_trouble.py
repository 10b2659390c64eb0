"""What fails in a pass fails alone and says so: crashing and hanging detections, damaged indices, answers in part."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from pipeline.detection import (
    Absence,
    Custom,
    Match,
    NewValue,
    Severity,
    Threshold,
    Window,
    days,
    minutes,
    one_of,
    raw,
)
from pipeline.elastic.compare_and_set import Create, create, write_many
from pipeline.elastic.templates import taking_our_place
from pipeline.engine import timelines
from pipeline.engine.checkpoint import Checkpoint
from pipeline.engine.checkup import examine
from pipeline.engine.engine import Engine, Limits
from pipeline.engine.finding import Finding
from pipeline.engine.indices import look, refresh
from pipeline.engine.mappings import AGAIN_SECONDS, Mappings
from pipeline.engine.overseer import Overseer
from pipeline.engine.result import PassResult
from pipeline.errors import PermanentError, RetryableError
from pipeline.events.values import instant_text
from tests.acceptance.engine_world import (
    DAY,
    FIVE,
    HOUR,
    MARKER,
    MINUTE,
    NOON,
    World,
    detection,
    failure,
    index_of,
    instants,
)
from tests.unit.clocks import ManualClock

JSON = {"content-type": "application/json", "accept": "application/json"}


@pytest.fixture
def world(es_ready: str) -> World:
    return World(es_ready)


def test_a_detection_whose_query_is_refused_fails_alone_and_keeps_its_checkpoint(world: World) -> None:
    broken = detection(
        Threshold(severity=Severity.LOW, where=raw({"nonsense": {}}), at_least=1, within=minutes(1)), "broken"
    )
    for _ in range(2):
        world.since.clear()
        world.write(failure(NOON + n) for n in range(5))
        results = {result.detection.id: result for result in world.step([broken, FIVE], NOON + MINUTE)}
        assert not results["broken"].complete
        assert results["broken"].error is not None
        assert "unknown query [nonsense]" in results["broken"].error
        assert results["broken"].checkpoint == Checkpoint()
        assert results["five"].complete
        assert results["five"].findings


class Unforeseen:
    """A clause of an author's own that says no more which fields it looks at."""

    def query(self) -> dict[str, Any]:
        return {"match_all": {}}

    def matches(self, document: object) -> bool:
        raise AssertionError

    def fields(self) -> tuple[str, ...]:
        raise ZeroDivisionError("no fields")


def test_whatever_a_detection_raises_it_fails_alone_in_passes_history_and_check(world: World) -> None:
    broken = detection(Match(severity=Severity.LOW, where=Unforeseen()), "broken")
    world.write(failure(NOON + n) for n in range(5))
    for _ in range(2):
        results = {result.detection.id: result for result in world.step([broken, FIVE], NOON + MINUTE)}
        assert not results["broken"].complete
        assert results["broken"].error == "its evaluation failed: ZeroDivisionError: no fields"
        assert results["broken"].checkpoint == Checkpoint()
        assert results["five"].complete
        assert results["five"].findings
        world.since.clear()
    with pytest.raises(PermanentError, match="its evaluation failed: ZeroDivisionError: no fields"):
        world.engine.over(broken, NOON, NOON + MINUTE)
    doubts = [(doubt.detection_id, doubt.verdict) for doubt in examine(world.client, [broken, FIVE])]
    assert doubts == [("broken", "wrong")]


def test_a_definition_that_cannot_be_looked_at_in_common_fails_alone(world: World) -> None:
    def cannot(_: object) -> bool:
        raise ZeroDivisionError("no reach")

    class Own(Threshold):
        evidence_ms = property(cannot)

    broken = detection(Own(severity=Severity.LOW, where={"event.code": "X"}, at_least=1, within=minutes(1)), "broken")
    world.write(failure(NOON + n) for n in range(5))
    others = [FIVE, replace(FIVE, id="other")]
    results = {result.detection.id: result for result in world.step([broken, *others], NOON + MINUTE)}
    assert results["broken"].error == "its evaluation failed: ZeroDivisionError: no reach"
    assert all(results[one.id].findings for one in others)


def test_an_index_without_its_primary_is_not_evaluated_and_says_so(world: World) -> None:
    world.write(failure(NOON + n) for n in range(5))
    world.client.indices.create(
        index="security-logs-2026.01.02",
        settings={"index.routing.allocation.require._name": "no such node"},
        wait_for_active_shards="0",
        timeout="1s",
    )
    (result,) = world.step([FIVE], NOON + MINUTE)
    assert not result.complete
    assert result.error is not None
    assert "security-logs-2026.01.02 has 0 of 1 primary shards" in result.error
    assert instants(result.findings) == {("203.0.113.7",): [NOON + 4]}
    history = world.engine.over(FIVE, NOON, NOON + DAY)
    assert (history.complete, instants(history.findings)) == (False, {("203.0.113.7",): [NOON + 4]})
    quiet = detection(Absence(severity=Severity.LOW, group_by="source.address", within=minutes(60)))
    history = world.engine.over(quiet, NOON, NOON + DAY)
    assert (history.complete, history.findings, history.error) == (False, (), result.error)


def test_a_block_that_somebody_set_on_an_index_is_named_and_no_matter_of_credentials(world: World) -> None:
    world.write([failure(NOON)])
    name = index_of(NOON)
    steps: Mapping[str, Callable[[], object]] = {
        "read": lambda: world.step([FIVE], NOON + MINUTE),
        "metadata": lambda: world.step([FIVE], NOON + MINUTE),
        "write": lambda: create(world.client, name, "new", {}),
        "read-only": lambda: write_many(world.client, name, [Create("new", {})]),
    }
    for block, step in steps.items():
        setting = f"index.blocks.{block.replace('-', '_')}"
        world.client.indices.put_settings(index=name, settings={setting: True})
        with pytest.raises(RetryableError, match=rf"{name}\] blocked by: \[FORBIDDEN.*{block}.*; remove that block"):
            step()
        world.client.indices.put_settings(index=name, settings={setting: False})


@pytest.mark.parametrize(
    "mappings",
    [
        {"dynamic": False, "properties": {"@timestamp": {"type": "date"}, "message": {"type": "text"}}},
        {
            "properties": {
                "@timestamp": {"type": "date"},
                "event": {"properties": {"code": {"type": "text"}}},
                "source": {"properties": {"address": {"type": "keyword"}}},
            }
        },
    ],
)
def test_a_day_whose_index_is_not_mapped_as_ours_is_not_evaluated_and_says_so(
    world: World, mappings: dict[str, Any]
) -> None:
    foreign = {"index_patterns": ["security-logs-*"], "priority": 600, "template": {"mappings": mappings}}
    world.client.perform_request("PUT", "/_index_template/security-foreign", body=foreign, headers=JSON)
    assert taking_our_place(world.client, "security-logs-2026.01.01") == ["security-foreign"]
    world.write(failure(NOON + n) for n in range(5))
    (result,) = world.step([FIVE], NOON + MINUTE)
    assert result.error is not None
    assert "security-logs-2026.01.01 is not mapped as siemlite's indices are" in result.error
    assert "event.code is" in result.error
    assert world.engine.over(FIVE, NOON - HOUR, NOON + HOUR).error is not None


def test_an_index_without_a_day_that_is_mapped_otherwise_troubles_only_what_needs_its_events(world: World) -> None:
    dynamic = {"index_patterns": ["security-logs-legacy*"], "priority": 600, "template": {}}
    world.client.perform_request("PUT", "/_index_template/security-foreign", body=dynamic, headers=JSON)
    legacy = {"event": {"code": "X"}, "user": {"id": "a"}}
    for day in ("2025-01-01", "2025-02-01"):
        document = {"@timestamp": f"{day}T00:00:00.000Z", **legacy}
        world.client.index(index="security-logs-legacy", document=document, refresh=True)
    world.write(failure(NOON + n) for n in range(5))
    assert instants(world.findings([FIVE], NOON + MINUTE)) == {("203.0.113.7",): [NOON + 4]}
    old = world.engine.over(FIVE, NOON - 340 * DAY, NOON - 330 * DAY)
    assert old.error is not None
    assert "security-logs-legacy is not mapped" in old.error


def test_a_mapping_that_becomes_wrong_with_later_events_is_seen(world: World) -> None:
    dynamic = {"index_patterns": ["security-logs-*"], "priority": 600, "template": {}}
    world.client.perform_request("PUT", "/_index_template/security-foreign", body=dynamic, headers=JSON)
    clock = ManualClock()
    mappings = Mappings(world.client, clock.monotonic)
    index = "security-logs-2026.01.01"
    world.client.index(index=index, document={"@timestamp": instant_text(NOON), "message": "started"})
    assert mappings.judged(look(world.client)).missing == ()
    world.client.index(index=index, document={"@timestamp": instant_text(NOON), "event": {"code": "LOGIN_FAILURE"}})
    clock.advance(AGAIN_SECONDS + 1)
    (missing,) = mappings.judged(look(world.client)).missing
    assert "event.code is text" in missing.text


def test_indices_with_long_names_are_as_many_as_one_likes(world: World) -> None:
    restored = [f"security-logs-2026.01.01-restored-for-the-{'é' * 60}-{number}" for number in range(12)]
    for name in restored:
        world.client.indices.create(index=name, settings={"number_of_replicas": 0})
    world.write(failure(NOON + n) for n in range(5))
    assert instants(world.findings([FIVE], NOON + MINUTE)) == {("203.0.113.7",): [NOON + 4]}
    refresh(world.client, restored)


def test_an_index_that_nothing_looks_at_any_more_may_be_lost(world: World) -> None:
    world.write(failure(NOON + n) for n in range(5))
    world.client.indices.create(
        index="security-logs-2025.09.01",
        settings={"index.routing.allocation.require._name": "no such node"},
        wait_for_active_shards="0",
        timeout="1s",
    )
    month = detection(NewValue(severity=Severity.LOW, group_by="source.address", fields="user.id"), "month")
    half_a_year = detection(
        NewValue(severity=Severity.LOW, group_by="source.address", fields="user.id", over=days(180)), "half_a_year"
    )
    results = {result.detection.id: result for result in world.step([FIVE, month, half_a_year], NOON + MINUTE)}
    assert {name: result.complete for name, result in results.items()} == {
        "five": True,
        "month": True,
        "half_a_year": False,
    }
    assert results["five"].checkpoint.caught_up_ms == NOON + MINUTE
    assert instants(results["five"].findings) == {("203.0.113.7",): [NOON + 4]}


def _without_its_shard(client: Elasticsearch) -> None:
    client.indices.delete(index="security-seen-v1")
    nowhere = {"index.routing.allocation.require._name": "no such node"}
    client.indices.create(index="security-seen-v1", settings=nowhere, wait_for_active_shards="0", timeout="1s")


def _without_instants(client: Elasticsearch) -> None:
    client.indices.refresh(index="security-seen-v1")
    for hit in client.search(index="security-seen-v1")["hits"]["hits"]:
        client.index(index="security-seen-v1", id=hit["_id"], document={}, refresh=True)


@pytest.mark.parametrize(
    "damage",
    [
        _without_its_shard,
        _without_instants,
        lambda client: client.indices.close(index="security-seen-v1"),
        lambda client: client.indices.add_block(index="security-seen-v1", block="write"),
    ],
)
def test_a_damaged_memory_costs_no_alert(world: World, damage: Callable[[Elasticsearch], object]) -> None:
    country = detection(
        NewValue(severity=Severity.LOW, group_by="user.id", fields="source.address", over=days(10)), "country"
    )
    world.write([failure(NOON - HOUR, "home")])
    assert world.findings([country], NOON) == []
    damage(world.client)
    world.engine = world.new_engine()
    for number in range(2):
        world.write([failure(NOON + 10 * number + 1, "home"), failure(NOON + 10 * number + 2, f"away{number}")])
        (result,) = world.step([country], NOON + 10 * number + 3)
        assert result.complete
        assert NOON + 10 * number + 2 in instants(result.findings)[("u1",)]


def test_a_memory_that_fails_in_every_pass_is_told_of_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    country = detection(
        NewValue(severity=Severity.LOW, group_by="user.id", fields="source.address", over=days(10)), "country"
    )
    world.write([failure(NOON - HOUR, "home")])
    assert world.findings([country], NOON) == []
    for block in ("read", "write"):
        world.client.indices.add_block(index="security-seen-v1", block=block)
    for number in range(1, 5):
        world.write([failure(NOON + number * 2 * MINUTE, f"away{number}")])
        assert world.findings([country], NOON + number * 2 * MINUTE)
    told = [record.message.partition(",")[0].partition(":")[0] for record in caplog.records]
    assert told == ["what values were seen cannot be read", "remembering what values were seen"]


def test_a_judgement_that_crashes_fails_alone(world: World) -> None:
    def crashes(window: Window) -> bool:
        return window.values("no such column") is None

    broken = detection(Custom(severity=Severity.LOW, judge=crashes, fields=("user.id",)), "broken")
    world.write(failure(NOON + n) for n in range(5))
    results = {result.detection.id: result for result in world.step([broken, FIVE], NOON + MINUTE)}
    assert not results["broken"].complete
    assert "its condition failed at 5 of 5 instants: ValueError" in str(results["broken"].error)
    assert results["five"].findings


def test_counts_beside_rows_are_bounded_as_rows_are(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(*_: object) -> None:
        raise AssertionError("rows are read though their counts are too many to hold")

    monkeypatch.setattr("pipeline.engine.reading.ROWS_MAX", 10)
    monkeypatch.setattr("pipeline.engine.counted.read_rows", reached)
    world.write([{**failure(NOON + n), "user.roles": ["a", "b"]} for n in range(20)])
    kind = Custom(severity=Severity.LOW, judge=lambda window: window.count > 2, fields=("user.roles",), at_least=2)
    with pytest.raises(PermanentError, match="more than 10 rows"):
        world.engine.over(detection(kind), NOON, NOON + MINUTE)


def test_a_value_that_a_judgement_does_not_expect_blinds_it_to_nothing_else(world: World) -> None:
    def judge(window: Window) -> bool:
        return any(int(str(amount)) > 5 for amount in window.values("siemlite.data.amount"))

    amounts = Custom(severity=Severity.LOW, judge=judge, fields=("siemlite.data.amount",), group_by="user.id")
    rule = detection(amounts, "amounts")

    def paid(time_ms: int, user: str, amount: str) -> dict[str, Any]:
        return failure(time_ms, user=user, **{"siemlite.data.amount": amount})

    world.write([paid(NOON, "evil", "1e3"), paid(NOON + 1, "bob", "50"), paid(NOON + 2, "evil", "70")])
    (result,) = world.step([rule], NOON + MINUTE)
    assert result.complete
    assert "1 of the groups could not be judged, or not wholly" in str(result.error)
    assert result.coverage.unjudged == 1
    assert "failed at 1 of 2 instants: ValueError" in str(result.error)
    assert instants(result.findings) == {("bob",): [NOON + 1], ("evil",): [NOON + 2]}
    world.write([paid(NOON + 3, "eve", "500")])
    (result,) = world.step([rule], NOON + MINUTE)
    assert (result.complete, result.error) == (True, None)
    assert instants(result.findings) == {("eve",): [NOON + 3]}
    history = world.engine.over(rule, NOON, NOON + MINUTE)
    assert len(history.findings) == 3
    assert "could not be judged" in str(history.error)


def test_a_judgement_that_does_not_end_fails_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(window: Window) -> bool:
        while window.count:
            pass
        return False

    monkeypatch.setattr(timelines, "_overseer", Overseer(0.2))
    broken = detection(Custom(severity=Severity.HIGH, judge=judge, group_by="source.address"), "broken")
    world.write([failure(NOON + n) for n in range(5)])
    results = {result.detection.id: result for result in world.step([broken, FIVE], NOON + MINUTE)}
    assert "did not answer within 0.2 s" in str(results["broken"].error)
    assert results[FIVE.id].complete
    assert instants(results[FIVE.id].findings) == {("203.0.113.7",): [NOON + 4]}


def test_a_judgement_that_is_slow_for_many_groups_makes_nobody_wait_and_is_brought_to_its_end(es_ready: str) -> None:
    asked: list[str] = []

    def judge(window: Window) -> bool:
        asked.append(threading.current_thread().name)
        time.sleep(0.02)
        return window.count >= 1

    slow = detection(Custom(severity=Severity.HIGH, judge=judge, group_by="user.id"), "slow")
    world = World(es_ready, Limits(code_s=0.1))
    world.write([failure(NOON + n, user=f"u{n}") for n in range(40)])
    results = {result.detection.id: result for result in world.step([slow, FIVE], NOON + MINUTE)}
    assert set(results) == {FIVE.id}
    assert results[FIVE.id].findings
    assert asked.count(threading.current_thread().name) < 15
    found: list[PassResult] = []
    for _ in range(100):
        found += [one for one in world.step([slow, FIVE], NOON + MINUTE) if one.detection.id == "slow"]
        if found:
            break
        time.sleep(0.1)
    assert found[0].complete
    assert len(found[0].findings) == 40


def test_an_evaluation_that_raises_whatever_it_is_fails_alone(world: World) -> None:
    broken = detection(Match(severity=Severity.HIGH, where={"event.code": one_of(10**40)}), "broken")
    world.write([failure(NOON + n) for n in range(5)])
    results = {result.detection.id: result for result in world.step([broken, FIVE], NOON + MINUTE)}
    assert "64-bit" in str(results["broken"].error)
    assert instants(results[FIVE.id].findings) == {("203.0.113.7",): [NOON + 4]}


def test_a_judgement_that_wants_to_end_the_program_fails_alone(world: World) -> None:
    def leaves(_: Window) -> bool:
        raise SystemExit(0)

    broken = detection(Custom(severity=Severity.LOW, judge=leaves), "broken")
    world.write(failure(NOON + n) for n in range(5))
    results = {result.detection.id: result for result in world.step([broken, FIVE], NOON + MINUTE)}
    assert "its condition failed at" in str(results["broken"].error)
    assert results["five"].findings


def test_an_answer_that_leaves_out_a_shard_is_not_taken_for_whole(es_ready: str) -> None:
    world = World(es_ready)
    name = "security-logs-2026.01.01"
    world.client.indices.create(index=name, settings={"index.number_of_shards": 2})
    world.write(failure(NOON + n) for n in range(20))
    whole = look(world.client)
    assert (whole.missing, len(whole.all[0].checkpoints)) == ((), 2)

    class Partial(Elasticsearch):
        def perform_request(self, method: str, path: str, **options: Any) -> Any:
            answer = super().perform_request(method, path, **options)
            if "_stats" in path:
                del answer.body["indices"][name]["shards"]["1"]
            return answer

    partial = look(Partial(es_ready))
    assert partial.trouble(NOON, NOON) == f"{name} tells of 1 of its 2 shards"


def test_a_silence_is_found_once_however_often_an_index_was_missing_meanwhile(world: World) -> None:
    quiet = detection(Absence(severity=Severity.LOW, group_by="source.address", within=minutes(60)))
    yesterday = NOON - 12 * HOUR - 10 * MINUTE
    world.write([failure(yesterday)])
    hidden = index_of(yesterday)

    class Forgetful(Elasticsearch):
        forgets = False

        def perform_request(self, method: str, path: str, **options: Any) -> Any:
            answer = super().perform_request(method, path, **options)
            if "_stats" in path and self.forgets:
                del answer.body["indices"][hidden]
            return answer

    client = Forgetful(world.url)
    world.engine = Engine(client, verify_mark=MARKER.verify)
    found: list[Finding] = []
    for number in range(8):
        client.forgets = number in (4, 5, 6)
        (result,) = world.step([quiet], yesterday + HOUR + (number - 5) * 10_000)
        assert result.complete is not client.forgets
        found += result.findings
        assert result.coverage.arrived == (1 if number == 0 else 0)
    assert instants(found) == {("203.0.113.7",): [yesterday + HOUR]}


def test_a_slow_detection_is_evaluated_beside_the_passes_and_loses_nothing(es_ready: str) -> None:
    world = World(es_ready, limits=Limits(slow_ms=-1))
    world.write(failure(NOON + n) for n in range(5))
    assert instants(world.findings([FIVE], NOON + 1)) == {("203.0.113.7",): [NOON + 4]}
    world.write(failure(NOON + 1000 + n, "next") for n in range(5))
    assert world.step([FIVE], NOON + 2000) == []
    for _ in range(500):
        results = world.step([FIVE], NOON + 3000)
        if results:
            break
    assert instants(results[0].findings) == {("next",): [NOON + 1004]}
