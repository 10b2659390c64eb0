"""Alerts in a real Elasticsearch: one document for each true episode, whoever writes and however often."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from pipeline.alerts import search
from pipeline.alerts.listing import Filter, listed
from pipeline.alerts.outbox import DeliveryState
from pipeline.alerts.record import ALIAS, INDEX
from pipeline.alerts.search import refresh
from pipeline.detection.detection import Detection
from pipeline.detection.kind import by_count
from pipeline.detection.timeline import Severity
from pipeline.elastic.client import connect
from pipeline.engine.result import Wanted
from pipeline.errors import SiemliteError
from pipeline.settings import Settings
from tests.acceptance.alert_world import HOUR, MINUTE, World, burst, owed, silence, world_of, worlds
from tests.unit.alerts.memory_engine import address, detection


@pytest.fixture
def world(es_ready: str) -> Iterator[World]:
    yield from worlds(es_ready)


@pytest.fixture
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have documents that cannot be read logged again, whatever a test before this one met."""
    monkeypatch.setattr(search, "_said", set())


def test_an_alert_says_everything_and_owes_its_messages_in_one_document(world: World) -> None:
    burst(world, "203.0.113.7", events=4)
    result = world.apply()
    source = world.source()
    now = world.clock.now_ms()
    assert [a.id for a in result.opened] == [source["event"]["id"]]
    assert source["@timestamp"] == "2025-06-15T15:06:39.000Z"
    assert source["event"] == {
        "kind": "alert",
        "id": source["event"]["id"],
        "severity": 73,
        "start": "2025-06-15T15:06:37.000Z",
        "end": "2025-06-15T15:06:40.000Z",
    }
    assert source["rule"] == {
        "id": "brute_force",
        "name": "Title of brute_force.",
        "description": "Look at the address.",
    }
    assert source["threat"]["technique"] == {"id": ["T1110"], "subtechnique": {"id": ["T1110.001"]}}
    assert source["source"] == {"address": "203.0.113.7", "ip": "203.0.113.7"}
    own = source["siemlite"]
    assert (own["severity"], own["state"], own["count"]) == ("high", "open", 4)
    assert [sample["_id"] for sample in own["samples"]] == [f"e{now}", f"e{now - 1000}", f"e{now - 2000}"]
    assert [(d["channel"], d["action"], d["state"]) for d in own["deliveries"]] == [("mail", "open", "pending")]


@pytest.mark.usefixtures("nothing_said")
def test_an_alert_that_cannot_be_read_hides_no_other(world: World, caplog: pytest.LogCaptureFixture) -> None:
    for number in (7, 8):
        burst(world, f"203.0.113.{number}")
    world.apply()
    spoilt, sound = world.alerts()
    world.client.update(index=INDEX, id=spoilt.id, doc={"siemlite": {"acknowledged": {"by": "jo"}}}, refresh=True)
    assert [alert.id for alert, _ in listed(world.client, Filter(), 10)] == [sound.id]
    assert spoilt.id in caplog.text


def test_the_groups_values_are_searchable_at_their_own_fields(world: World) -> None:
    burst(world, "203.0.113.7")
    world.apply()
    refresh(world.client)
    for query in (
        {"term": {"source.address": "203.0.113.7"}},
        {"term": {"source.ip": "203.0.113.0/24"}},
        {"term": {"threat.technique.subtechnique.id": "T1110.001"}},
        {"range": {"event.severity": {"gte": 70}}},
        {"term": {"siemlite.deliveries.state": "pending"}},
    ):
        assert world.client.count(index=ALIAS, query=query)["count"] == 1, query


def test_the_same_findings_again_write_nothing(world: World) -> None:
    burst(world, "203.0.113.7")
    assert world.apply().changed
    version = world.alerts()[0].version
    assert not world.apply().changed
    assert not world.apply(on_purpose=True).changed
    assert world.alerts()[0].version == version


def test_an_episode_that_goes_on_is_amended_and_nobody_is_told_twice(world: World) -> None:
    burst(world, "203.0.113.7")
    world.apply()
    world.clock.advance(59 * 60)
    burst(world, "203.0.113.7")
    result = world.apply()
    [alert] = world.alerts()
    assert (len(result.opened), result.amended) == (0, 1)
    assert (alert.count, alert.episode.last_ms) == (6, world.clock.now_ms())
    assert owed(alert) == [("mail", "open", "pending")]


def test_after_a_longer_gap_the_next_episode_is_an_alert_of_its_own(world: World) -> None:
    burst(world, "203.0.113.7")
    world.apply()
    world.clock.advance(2 * 3600)
    burst(world, "203.0.113.7")
    world.apply()
    assert [(a.episode.number, a.count) for a in world.alerts()] == [(1, 3), (2, 3)]


def test_what_arrived_out_of_order_makes_the_same_alerts(world: World) -> None:
    burst(world, "203.0.113.7")
    world.apply()
    burst(world, "203.0.113.7", ago=3 * HOUR)
    burst(world, "203.0.113.7", ago=30 * MINUTE)
    world.apply()
    first, second = world.alerts()
    assert (first.episode.number, first.count) == (2, 3)
    assert (second.episode.number, second.count, second.episode.last_ms) == (1, 6, world.clock.now_ms())


def test_a_rising_severity_is_told_to_all_who_should_know(world: World) -> None:
    rule = detection(severity=by_count({3: Severity.HIGH, 6: Severity.CRITICAL}))
    burst(world, "203.0.113.7")
    world.apply(rule)
    world.clock.advance(10)
    burst(world, "203.0.113.7", events=4)
    world.apply(rule)
    [alert] = world.alerts()
    assert alert.severity is Severity.CRITICAL
    assert owed(alert) == [("mail", "open", "pending"), ("pager", "open", "pending")]
    assert world.source()["event"]["severity"] == 99


def test_two_writers_make_one_document_of_each_episode(world: World) -> None:
    clients = [connect(Settings(_env_file=None), f"http://{_host(world.client)}") for _ in range(4)]
    writers = [world_of(client, world.clock, world.engine) for client in clients]
    for round_ in range(5):
        for number in range(10):
            burst(world, f"203.0.113.{number}")
        errors: list[Exception] = []
        barrier = threading.Barrier(len(writers))

        def write(writer: World, barrier: threading.Barrier = barrier, errors: list[Exception] = errors) -> None:
            try:
                barrier.wait(60)
                writer.apply()
            except Exception as error:  # noqa: BLE001 - shown below
                errors.append(error)

        threads = [threading.Thread(target=write, args=(writer,)) for writer in writers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not errors
        alerts = world.alerts()
        assert len({(a.group, a.episode.number) for a in alerts}) == len(alerts) == 10 * (round_ + 1)
        assert all(a.count == 3 for a in alerts)
        world.clock.advance(2 * 3600)
    for client in clients:
        client.close()


def _host(client: Elasticsearch) -> str:
    node = client.transport.node_pool.get().config
    return f"{node.host}:{node.port}"


def test_a_group_with_a_hostile_value_still_has_its_alert(world: World) -> None:
    rule = detection(group_by=("@timestamp", "user.name"))
    group = (("@timestamp", "not a date"), ("user.name", "x" * 40_000))
    world.engine.add(group, *(world.clock.now_ms() - n for n in range(3)))
    world.apply(rule)
    [alert] = world.alerts()
    assert alert.group == group
    assert alert.count == 3
    assert not world.apply(rule).changed


@pytest.mark.usefixtures("nothing_said")
@pytest.mark.parametrize(
    "spoilt",
    [
        {"siemlite": {"severity": "enormous"}},
        {"siemlite": {"deliveries": [{"channel": "mail"}]}},
        {"siemlite": {"episode": {"number": None}}},
        {"rule": {"id": None, "name": None}, "siemlite": {"suppress_for": None}},
    ],
)
def test_an_alert_that_somebody_spoilt_makes_its_detection_blind_neither_for_its_group_nor_for_others(
    world: World, spoilt: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    burst(world, "203.0.113.7")
    world.apply()
    [alert] = world.alerts()
    world.client.update(index=INDEX, id=alert.id, doc=spoilt)
    world.clock.advance(60)
    burst(world, "203.0.113.7")
    burst(world, "203.0.113.8")
    result = world.apply()
    assert sorted(opened.group for opened in result.opened) == [address("203.0.113.7"), address("203.0.113.8")]
    assert alert.id in caplog.text
    world.clock.advance(60)
    burst(world, "203.0.113.7")
    assert not world.apply().opened, "from then on the new alert is the group's"


def test_thousands_of_past_episodes_do_not_hide_the_present_one(world: World) -> None:
    rule = detection(suppress_for=MINUTE)
    for number in range(60):
        burst(world, "203.0.113.7", ago=number * 20 * MINUTE)
    world.apply(rule, on_purpose=True)
    assert len(world.alerts()) == 60
    world.clock.advance(30)
    burst(world, "203.0.113.7")
    result = world.apply(rule)
    assert (len(result.opened), result.amended) == (0, 1)


def test_an_alert_is_named_by_the_beginning_of_its_id_if_that_is_clear(world: World) -> None:
    for number in range(40):
        burst(world, f"203.0.113.{number}")
    world.apply(on_purpose=True)
    with pytest.raises(SiemliteError, match="too short"):
        world.actions.find("abc")
    with pytest.raises(SiemliteError, match="no alert 'zzzz'"):
        world.actions.find("zzzz")


def test_a_drills_alert_is_marked_and_apart_from_the_real_one(world: World) -> None:
    now = world.clock.now_ms()
    world.engine.add(address("203.0.113.7"), now, now - 1, now - 2, drill="7f")
    burst(world, "203.0.113.7")
    silence(world, detection="brute_force")
    world.apply()
    real, drill = sorted(world.alerts(), key=lambda a: a.drill or "")
    assert (real.drill, drill.drill) == (None, "7f")
    assert real.silence is not None
    assert owed(drill) == [("console", "open", "pending")]
    refresh(world.client)
    assert world.client.count(index=INDEX, query={"term": {"siemlite.drill.id": "7f"}})["count"] == 1


def test_a_dead_delivery_is_owed_again_when_somebody_asks_for_it(world: World) -> None:
    burst(world, "203.0.113.7")
    world.apply()
    [alert] = world.alerts()
    dead = [replace(d, state=DeliveryState.DEAD, last_error="HTTP 404") for d in alert.deliveries]
    from pipeline.alerts.outbox import to_documents

    world.client.update(index=INDEX, id=alert.id, doc={"siemlite": {"deliveries": to_documents(tuple(dead))}})
    assert world.actions.given_up() == [alert.id]
    world.actions.retry(alert.id)
    assert owed(world.alerts()[0]) == [("mail", "open", "pending")]
    assert world.actions.given_up() == []


def test_an_episode_that_lasts_for_days_is_counted_where_it_went_on_and_wholly_now_and_then(world: World) -> None:
    value = address("203.0.113.7")
    counted: list[tuple[int, int]] = []
    counts = world.engine.evidence

    def watched(detection: Detection, wanted: Sequence[Wanted], *, size: int = 0) -> Any:
        counted.extend((one.first_ms, one.last_ms) for one in wanted if not size)
        return counts(detection, wanted, size=size)

    world.engine.evidence = watched  # type: ignore[method-assign]
    start = world.clock.now_ms()
    for _ in range(60):
        world.engine.add(value, *(world.clock.now_ms() + n for n in range(3)))
        world.clock.advance(1800)
        world.apply()
    [alert] = world.alerts()
    assert (alert.count, alert.episode.first_ms) == (180, start)
    for _ in range(2):
        world.engine.add(value, *(world.clock.now_ms() + n for n in range(3)))
        world.clock.advance(10)
        world.apply()
    assert counted[-1][0] > start + 24 * HOUR
    world.engine.add(value, world.clock.now_ms() - 60_000)  # of a host that is behind
    world.clock.advance(400)
    world.engine.add(value, *(world.clock.now_ms() - n for n in range(3)))
    world.apply()
    [alert] = world.alerts()
    assert counted[-1][0] == start
    assert alert.count == 180 + 3 + 3 + 1 + 3
