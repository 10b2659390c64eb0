"""Alerts in a real Elasticsearch: one document for each true episode, whoever writes and however often."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from pipeline.alerts.actions import AlertActions
from pipeline.alerts.closing import Closing, Evaluated
from pipeline.alerts.digest import Digests
from pipeline.alerts.evidence import EngineEvidence
from pipeline.alerts.lookup import all_alerts, refresh
from pipeline.alerts.outbox import Action, DeliveryState, Subject
from pipeline.alerts.ports import ApplyResult, Limits
from pipeline.alerts.quiet import Inhibits, Quietness
from pipeline.alerts.record import ALIAS, INDEX, Alert
from pipeline.alerts.silences import Silence, Silences
from pipeline.alerts.store import AlertStore
from pipeline.detection.detection import Detection
from pipeline.detection.durations import minutes
from pipeline.detection.kind import by_count
from pipeline.detection.kinds.absence import Absence
from pipeline.detection.kinds.spike import Spike
from pipeline.detection.timeline import Severity
from pipeline.elastic.client import connect
from pipeline.elastic.compare_and_set import CONTROL_INDEX
from pipeline.elastic.templates import install
from pipeline.engine.result import PassResult
from pipeline.errors import ConfigurationError, RetryableError, SiemliteError
from pipeline.settings import Settings
from tests.unit.alerts.memory_engine import MemoryEngine, address, detection
from tests.unit.clocks import ManualClock

MINUTE = 60_000
HOUR = 60 * MINUTE


class Routes:
    """Everybody is told by mail; the pager rings for critical alerts and hears everything."""

    def channels(self, subject: Subject) -> tuple[str, ...]:
        """See `Routes.channels`."""
        if subject.drill is not None:
            return ("console",)
        return ("mail", "pager") if subject.severity is Severity.CRITICAL else ("mail",)

    def understands(self, channel: str, action: Action) -> bool:
        """See `Routes.understands`."""
        return channel == "pager" or action in (Action.OPEN, Action.ESCALATE)


@dataclass
class World:
    """A store with all its parts."""

    client: Elasticsearch
    clock: ManualClock
    engine: MemoryEngine
    store: AlertStore
    actions: AlertActions
    closing: Closing
    silences: Silences
    digests: Digests
    audited: list[tuple[str, Silence, str]]
    inhibits: dict[str, tuple[str, ...]]

    def apply(self, rule: Detection | None = None, *, on_purpose: bool = False) -> ApplyResult:
        """Evaluate everything there is and apply it."""
        chosen = rule or detection()
        [result] = self.engine.evaluate([chosen], {}, self.clock.now_ms())
        return self.store.apply(chosen, result.findings, on_purpose=on_purpose)

    def alerts(self) -> list[Alert]:
        """Return all alerts, the earliest crossing first."""
        refresh(self.client)
        found = all_alerts(self.client, {"match_all": {}})
        return sorted(found, key=lambda a: (a.episode.crossing_ms, a.id))

    def source(self) -> dict[str, Any]:
        """Return the document of the only alert."""
        refresh(self.client)
        [hit] = self.client.search(index=ALIAS)["hits"]["hits"]
        source: dict[str, Any] = hit["_source"]
        return source


def world_of(client: Elasticsearch, clock: ManualClock, engine: MemoryEngine, limits: Limits | None = None) -> World:
    routes = Routes()
    audited: list[tuple[str, Silence, str]] = []
    inhibits: dict[str, tuple[str, ...]] = {}
    silences = Silences(client, clock, lambda what, silence, by: audited.append((what, silence, by)))

    def inhibited() -> Inhibits:
        return inhibits

    quiet = Quietness(client, silences, inhibited)
    store = AlertStore(client, EngineEvidence(engine), routes, clock, quiet=quiet, limits=limits)
    return World(
        client,
        clock,
        engine,
        store,
        AlertActions(client, routes, clock),
        Closing(client, routes, clock, EngineEvidence(engine)),
        silences,
        Digests(client, routes, clock),
        audited,
        inhibits,
    )


@pytest.fixture
def world(es_url: str) -> Iterator[World]:
    client = connect(Settings(_env_file=None), es_url)
    install(client)
    yield world_of(client, ManualClock(), MemoryEngine())
    client.close()


def owed(alert: Alert) -> list[tuple[str, str, str]]:
    return [(d.channel, d.action.value, d.state.value) for d in alert.deliveries]


def burst(world: World, value: str, *, ago: int = 0, events: int = 3) -> None:
    now = world.clock.now_ms() - ago
    world.engine.add(address(value), *(now - 1000 * back for back in range(events)))


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
                barrier.wait(10)
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


# Closing


def test_an_alert_closes_once_its_detection_is_evaluated_past_suppress_for(world: World) -> None:
    burst(world, "203.0.113.7")
    world.apply(detection(severity=Severity.CRITICAL))
    last = world.clock.now_ms()
    assert world.closing.close_expired([Evaluated(detection(), last + HOUR)]) == 0
    assert world.closing.close_expired([Evaluated(detection("another"), last + 9 * HOUR)]) == 0
    assert world.closing.close_expired([]) == 0
    assert world.closing.close_expired([Evaluated(detection(), last + HOUR + 1)]) == 1
    [alert] = world.alerts()
    assert alert.state == "closed"
    assert alert.closed is not None
    assert alert.closed.by == "siemlite"
    assert owed(alert)[-1] == ("pager", "resolve", "pending")
    assert world.closing.close_expired([Evaluated(detection(), last + HOUR + 1)]) == 0


def test_a_late_crossing_amends_an_alert_that_closed_by_itself_and_reopens_it_only_while_it_matters(
    world: World,
) -> None:
    rule = detection(severity=Severity.CRITICAL)
    burst(world, "203.0.113.7")
    world.apply(rule)
    first = world.clock.now_ms()
    world.clock.advance(3601)
    world.closing.close_expired([Evaluated(detection(), world.clock.now_ms())])
    world.engine.add(address("203.0.113.7"), first + 30 * MINUTE, first + 30 * MINUTE + 1, first + 30 * MINUTE + 2)
    world.apply(rule)
    [alert] = world.alerts()
    assert (alert.state, alert.count, alert.closed) == ("open", 6, None)
    assert owed(alert)[-1] == ("pager", "open", "pending")
    world.clock.advance(5 * 3600)
    world.closing.close_expired([Evaluated(detection(), world.clock.now_ms())])
    world.engine.add(address("203.0.113.7"), first + 31 * MINUTE)
    world.apply(rule)
    [alert] = world.alerts()
    assert (alert.state, alert.count) == ("closed", 7)


def test_what_a_person_closes_is_over_and_its_events_never_count_again(world: World) -> None:
    burst(world, "203.0.113.7")
    world.apply()
    world.clock.advance(1)
    closed = world.actions.close(world.alerts()[0].id, "kim", "a pentest")
    assert closed.closed is not None
    assert (closed.state, closed.closed.by, closed.closed.note) == ("closed", "kim", "a pentest")
    world.engine.add(address("203.0.113.7"), world.clock.now_ms() - 500)
    assert not world.apply().changed
    world.clock.advance(1)
    world.engine.add(address("203.0.113.7"), world.clock.now_ms() - 1, world.clock.now_ms())
    assert not world.apply().changed
    world.engine.add(address("203.0.113.7"), world.clock.now_ms() + 1)
    result = world.apply()
    assert [(a.episode.number, a.count) for a in result.opened] == [(2, 3)]
    assert not world.apply().changed


def test_a_level_reached_only_with_events_before_the_closing_does_not_count(world: World) -> None:
    rule = detection(severity=by_count({3: Severity.HIGH, 6: Severity.CRITICAL}))
    burst(world, "203.0.113.7", events=4)
    world.apply(rule)
    world.clock.advance(1)
    world.actions.close(world.alerts()[0].id, "kim")
    world.clock.advance(10)
    burst(world, "203.0.113.7")
    [alert] = world.apply(rule).opened
    assert (alert.severity, alert.count) == (Severity.HIGH, 3)


def test_acknowledging_tells_the_pager_and_closing_it_afterwards_too(world: World) -> None:
    burst(world, "203.0.113.7")
    world.apply(detection(severity=Severity.CRITICAL))
    alert_id = world.alerts()[0].id
    acknowledged = world.actions.acknowledge(world.actions.find(alert_id[:8]), "kim", "on it")
    assert acknowledged.state == "acknowledged"
    assert world.actions.acknowledge(alert_id, "lee") == acknowledged
    world.actions.close(alert_id, "kim")
    assert [entry[:2] for entry in owed(world.alerts()[0])] == [
        ("mail", "open"),
        ("pager", "open"),
        ("pager", "acknowledge"),
        ("pager", "resolve"),
    ]
    with pytest.raises(SiemliteError, match="is closed"):
        world.actions.acknowledge(alert_id, "lee")


def test_an_acknowledged_alert_stays_acknowledged_while_it_goes_on(world: World) -> None:
    burst(world, "203.0.113.7")
    world.apply()
    world.actions.acknowledge(world.alerts()[0].id, "kim")
    world.clock.advance(60)
    burst(world, "203.0.113.7")
    assert world.apply().amended == 1
    assert world.alerts()[0].state == "acknowledged"


def test_an_alert_is_named_by_the_beginning_of_its_id_if_that_is_clear(world: World) -> None:
    for number in range(40):
        burst(world, f"203.0.113.{number}")
    world.apply(on_purpose=True)
    with pytest.raises(SiemliteError, match="too short"):
        world.actions.find("abc")
    with pytest.raises(SiemliteError, match="no alert 'zzzz'"):
        world.actions.find("zzzz")


# Silences and inhibition


def silence(world: World, **conditions: Any) -> Silence:
    until = world.clock.now_ms() + HOUR
    return world.silences.add(author="kim", reason="a pentest", until_ms=until, **conditions)


@pytest.mark.parametrize(
    ("conditions", "silent"),
    [
        ({"detection": "brute_force"}, True),
        ({"detection": "brute_*"}, True),
        ({"detection": "spraying"}, False),
        ({"values": (("source.address", "203.0.113.7"),)}, True),
        ({"values": (("source.address", "203.0.113.8"),)}, False),
        ({"cidr": "203.0.113.0/24"}, True),
        ({"cidr": "2001:db8::/32"}, False),
        ({"cidr": "203.0.113.0/24", "detection": "spraying"}, False),
    ],
)
def test_a_silenced_alert_is_recorded_with_the_silence_on_it(
    world: World, conditions: dict[str, Any], silent: bool
) -> None:
    added = silence(world, **conditions)
    burst(world, "203.0.113.7")
    world.apply()
    [alert] = world.alerts()
    assert (alert.silence is not None) is silent
    assert owed(alert) == ([] if silent else [("mail", "open", "pending")])
    if silent:
        assert world.source()["siemlite"]["silence"]["id"] == added.id
        assert world.source()["siemlite"]["silence"]["reason"] == "a pentest"


@pytest.mark.parametrize(
    "conditions", [{"detection": "*"}, {"detection": "**?"}, {"cidr": "0.0.0.0/0"}, {"cidr": "::/0"}]
)
def test_nothing_silences_everything(world: World, conditions: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="nothing silences everything"):
        silence(world, **conditions)
    assert silence(world, detection="*", values=(("source.address", "203.0.113.7"),)).detection == "*"


def test_a_silence_that_cannot_be_read_silences_nothing_and_stops_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    silence(world, values=(("source.address", "203.0.113.8"),))
    spoilt = {"type": "silence", "silence": {"until": "2099-01-01T00:00:00Z", "author": "x"}}
    world.client.index(index=CONTROL_INDEX, id="silence:bad", document=spoilt, refresh=True)
    for number in (7, 8, 7):
        burst(world, f"203.0.113.{number}")
    world.apply()
    assert sorted(alert.silence is not None for alert in world.alerts()) == [False, True]
    assert sum("silence:bad" in record.message for record in caplog.records) == 1


def test_an_attack_that_outlasts_its_silence_is_told(world: World) -> None:
    silence(world, detection="brute_force")
    burst(world, "203.0.113.7")
    world.apply()
    world.clock.advance(1800)
    burst(world, "203.0.113.7")
    world.apply()
    assert owed(world.alerts()[0]) == []
    world.clock.advance(1801)
    assert not world.apply().changed
    burst(world, "203.0.113.7")
    world.apply()
    [alert] = world.alerts()
    assert (owed(alert), alert.silence) == ([("mail", "open", "pending")], None)


def test_an_expired_silence_ends_at_once_and_who_did_what_is_told_to_the_audit(world: World) -> None:
    added = silence(world, detection="brute_force")
    world.silences.expire(added.id, "lee")
    burst(world, "203.0.113.7")
    world.apply()
    assert owed(world.alerts()[0]) == [("mail", "open", "pending")]
    assert [(what, s.id, by) for what, s, by in world.audited] == [
        ("added", added.id, "kim"),
        ("expired", added.id, "lee"),
    ]
    assert world.silences.listed() == ()
    [kept] = world.silences.listed(everything=True)
    assert kept.expired_by == "lee"


def test_who_cannot_leave_a_trace_silences_nothing(world: World) -> None:
    def refuse(_what: str, _silence: Silence, _by: str) -> None:
        raise RetryableError("the disk is full")

    silences = Silences(world.client, world.clock, refuse)
    with pytest.raises(RetryableError):
        silences.add(author="kim", reason="x", until_ms=world.clock.now_ms() + HOUR, cidr="203.0.113.0/24")
    assert silences.listed(everything=True) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"until_ms": 0, "detection": "x"},
        {"reason": " ", "detection": "x"},
        {"author": "", "detection": "x"},
        {},
        {"cidr": "300.0.0.0/8"},
    ],
)
def test_a_silence_has_an_end_a_reason_an_author_and_a_condition(world: World, wrong: dict[str, Any]) -> None:
    given: dict[str, Any] = {"author": "kim", "reason": "x", "until_ms": world.clock.now_ms() + 1, **wrong}
    with pytest.raises(ConfigurationError):
        world.silences.add(**given)


def test_a_detection_that_says_more_of_the_same_group_keeps_another_quiet(world: World) -> None:
    world.inhibits["guessed"] = ("brute_force",)
    burst(world, "203.0.113.7")
    world.apply(detection("guessed"))
    world.apply()
    burst(world, "203.0.113.8")
    world.apply()
    by_group = {(a.detection_id, a.group[0][1]): a for a in world.alerts()}
    speaker = by_group["guessed", "203.0.113.7"]
    assert by_group["brute_force", "203.0.113.7"].inhibited_by == speaker.id
    assert owed(by_group["brute_force", "203.0.113.7"]) == []
    assert owed(by_group["brute_force", "203.0.113.8"]) == [("mail", "open", "pending")]
    world.actions.close(speaker.id, "kim")
    world.clock.advance(60)
    world.engine.add(address("203.0.113.7"), world.clock.now_ms())
    burst(world, "203.0.113.7")
    world.apply()
    [told] = [a for a in world.alerts() if a.id == by_group["brute_force", "203.0.113.7"].id]
    assert (owed(told), told.inhibited_by) == ([("mail", "open", "pending")], None)


# Storms and digests


def test_a_storm_is_one_rollup_with_the_true_total_and_every_group_has_its_alert(world: World) -> None:
    for number in range(25):
        burst(world, f"203.0.113.{number}")
    result = world.apply()
    alerts = world.alerts()
    [rollup] = [a for a in alerts if a.is_rollup]
    members = [a for a in alerts if not a.is_rollup]
    assert (len(members), rollup.members_total, rollup.count) == (25, 25, 75)
    assert result.rollup is not None
    assert all(m.membership is not None and m.membership.id == rollup.id for m in members)
    assert all(owed(m) == [] for m in members)
    assert owed(rollup) == [("mail", "open", "pending")]
    assert rollup.title == "25 alerts at once: Title of brute_force."
    assert not world.apply().changed


def test_a_rollup_closes_after_the_last_of_its_members(world: World) -> None:
    for number in range(25):
        burst(world, f"203.0.113.{number}")
    world.apply()
    start = world.clock.now_ms()
    world.clock.advance(1800)
    burst(world, "203.0.113.1")
    world.apply()

    def states(until_ms: int) -> Counter[str]:
        world.closing.close_expired([Evaluated(detection(), until_ms)])
        world.closing.close_expired([Evaluated(detection(), until_ms)])
        return Counter(f"{'rollup' if a.is_rollup else 'member'} {a.state}" for a in world.alerts())

    assert states(start + HOUR + 1) == {"member closed": 24, "member open": 1, "rollup open": 1}
    assert states(start + 2 * HOUR) == {"member closed": 25, "rollup closed": 1}


def test_as_many_as_the_limit_are_no_storm_and_detect_knows_none(world: World) -> None:
    for number in range(20):
        burst(world, f"203.0.113.{number}")
    world.apply()
    assert all(owed(a) == [("mail", "open", "pending")] for a in world.alerts())
    for number in range(25):
        burst(world, f"198.51.100.{number}")
    world.apply(on_purpose=True)
    assert len(world.alerts()) == 45
    assert all(owed(a) == [("mail", "open", "pending")] for a in world.alerts())


def test_a_flood_of_decoys_buries_no_critical_alert(world: World) -> None:
    rule = detection(severity=by_count({3: Severity.LOW, 6: Severity.CRITICAL}))
    for number in range(25):
        burst(world, f"203.0.113.{number}")
    burst(world, "198.51.100.1", events=6)
    world.apply(rule)
    by_address = {a.group[0][1]: a for a in world.alerts() if a.group}
    assert owed(by_address["198.51.100.1"]) == [("mail", "open", "pending"), ("pager", "open", "pending")]
    assert owed(by_address["203.0.113.1"]) == []
    assert next(a for a in world.alerts() if a.is_rollup).members_total == 25


def test_a_member_of_a_rollup_that_turns_critical_speaks_for_itself(world: World) -> None:
    rule = detection(severity=by_count({3: Severity.LOW, 6: Severity.CRITICAL}))
    for number in range(25):
        burst(world, f"203.0.113.{number}")
    world.apply(rule)
    world.clock.advance(5)
    burst(world, "203.0.113.1", events=4)
    world.apply(rule)
    [loud] = [a for a in world.alerts() if a.group == address("203.0.113.1")]
    assert owed(loud) == [("mail", "open", "pending"), ("pager", "open", "pending")]


def test_a_crash_between_a_rollup_and_its_members_leaves_nobody_untold(world: World) -> None:
    for number in range(25):
        burst(world, f"203.0.113.{number}")
    failing = _FailingBulk(world.client, after=1)
    broken = world_of(failing, world.clock, world.engine)  # type: ignore[arg-type]
    with pytest.raises(RetryableError):
        broken.apply()
    [rollup] = world.alerts()
    assert rollup.members_total == 25
    world.apply()
    members = [a for a in world.alerts() if not a.is_rollup]
    assert len(members) == 25
    assert all(m.membership is not None and m.membership.id == rollup.id for m in members)
    assert len([a for a in world.alerts() if a.is_rollup]) == 1


class _FailingBulk:
    """The real client, whose bulk requests fail after the first so many."""

    def __init__(self, client: Elasticsearch, after: int) -> None:
        self._client = client
        self._left = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def bulk(self, **arguments: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise RetryableError("the connection broke")
        return self._client.bulk(**arguments)


def test_old_crossings_reach_people_as_one_digest_of_all_detections(world: World) -> None:
    burst(world, "203.0.113.1", ago=2 * HOUR)
    burst(world, "203.0.113.2", ago=3 * HOUR)
    burst(world, "203.0.113.3")
    world.apply()
    world.apply(detection("spraying", severity=Severity.CRITICAL))
    waiting = [a for a in world.alerts() if a.membership is not None]
    assert len(waiting) == 4
    assert all(owed(a) == [] for a in waiting)
    assert world.digests.gather() is None
    world.clock.advance(31)
    digest = world.digests.gather()
    assert digest is not None
    assert (digest.members_total, digest.severity) == (4, Severity.CRITICAL)
    assert owed(digest) == [("mail", "open", "pending"), ("pager", "open", "pending")]
    members = [a for a in world.alerts() if a.membership is not None]
    assert {m.membership.id for m in members if m.membership is not None} == {digest.id}
    assert world.digests.gather(at_once=True) is None


def test_a_digest_waits_for_the_end_of_a_long_catching_up_but_not_for_ever(world: World) -> None:
    for number in range(20):
        burst(world, f"203.0.113.{number}", ago=2 * HOUR)
        world.apply()
        world.clock.advance(20)
        if (digest := world.digests.gather()) is not None:
            break
    assert digest is not None
    assert digest.members_total == 15


def test_what_waits_for_a_digest_and_goes_on_now_is_told_now(world: World) -> None:
    burst(world, "203.0.113.1", ago=61 * MINUTE)
    world.apply()
    world.engine.add(address("203.0.113.1"), *(world.clock.now_ms() - 5 * MINUTE + n for n in range(3)))
    world.apply()
    [alert] = world.alerts()
    assert (alert.membership, owed(alert)) == (None, [("mail", "open", "pending")])


def test_detect_delivers_each_alert_however_old(world: World) -> None:
    burst(world, "203.0.113.1", ago=1000 * HOUR)
    world.apply(on_purpose=True)
    assert owed(world.alerts()[0]) == [("mail", "open", "pending")]


# Drills


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


def spike() -> Detection:
    kind = Spike(
        severity=Severity.HIGH,
        group_by="source.address",
        at_least=5,
        ratio=10,
        within=60_000,
        compared_with=minutes(30),
    )
    return Detection("many_more", "Many more.", "Look.", Path("many_more.py"), kind)


def test_after_a_closing_the_habit_of_before_is_still_known(world: World) -> None:
    value, now = address("203.0.113.7"), world.clock.now_ms()
    world.engine.add(value, *(now - 60_000 - 1_700 * back for back in range(1_000)))  # some 35 a minute
    world.engine.add(value, *(now - back for back in range(450)))
    assert len(world.apply(spike()).opened) == 1
    [alert] = world.alerts()
    world.clock.advance(1)
    world.actions.close(alert.id, "ann")
    world.clock.advance(1)
    world.engine.add(value, *(world.clock.now_ms() - back for back in range(6)))
    assert not world.apply(spike()).changed
    world.engine.add(value, *(world.clock.now_ms() - back for back in range(900)))
    assert len(world.apply(spike()).opened) == 1


def test_a_service_that_goes_silent_after_its_old_alert_was_closed_is_told_of(world: World) -> None:
    kind = Absence(severity=Severity.HIGH, group_by="source.address", within=20_000, suppress_for=5_000)
    rule = Detection("silent", "Silent.", "Look.", Path("silent.py"), kind)
    value, start = address("203.0.113.7"), world.clock.now_ms()
    world.engine.add(value, start, start + 30_000)
    world.clock.advance(32)
    assert len(world.apply(rule).opened) == 1
    [alert] = world.alerts()
    world.actions.close(alert.id, "ann", "it is back")
    world.clock.advance(60)
    world.engine.add(value, world.clock.now_ms())  # so that the memory's engine sees the end of the silence
    assert len(world.apply(rule).opened) == 1
    assert [a.episode.crossing_ms - start for a in world.alerts()] == [20_000, 50_000]


def test_an_alert_about_a_silence_is_open_until_something_is_heard(world: World) -> None:
    kind = Absence(severity=Severity.CRITICAL, group_by="source.address", within=20_000, suppress_for=5_000)
    rule = Detection("silent", "Silent.", "Look.", Path("silent.py"), kind)
    value, start = address("203.0.113.7"), world.clock.now_ms()
    world.engine.add(value, start, start + 60_000)
    assert len(world.apply(rule).opened) == 1
    world.engine.events.remove((value, start + 60_000, None))  # it was there so that the memory's engine sees the end
    for later in (30_000, 60_000, 9 * HOUR):
        assert world.closing.close_expired([Evaluated(rule, start + later)]) == 0
    world.engine.add(value, start + 50_000)
    assert world.closing.close_expired([Evaluated(rule, start + 49_999)]) == 0
    assert world.closing.close_expired([Evaluated(rule, start + 50_000)]) == 1
    assert owed(world.alerts()[0])[-1] == ("pager", "resolve", "pending")


def test_silences_that_cannot_be_looked_at_keep_no_other_alert_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = Absence(severity=Severity.HIGH, group_by="source.address", within=20_000, suppress_for=5_000)
    rule = Detection("silent", "Silent.", "Look.", Path("silent.py"), kind)
    start = world.clock.now_ms()
    world.engine.add(address("203.0.113.7"), start, start + 60_000)
    world.apply(rule)
    burst(world, "203.0.113.8")
    world.apply()

    def fails(*_: object, **__: object) -> None:
        raise RetryableError("a shard failed")

    monkeypatch.setattr(world.engine, "evidence", fails)
    until_ms = start + 9 * HOUR
    assert world.closing.close_expired([Evaluated(rule, until_ms), Evaluated(detection(), until_ms)]) == 1
    assert {alert.detection_id: alert.state for alert in world.alerts()} == {"silent": "open", "brute_force": "closed"}


def test_an_alert_that_is_silenced_speaks_for_no_other(world: World) -> None:
    world.inhibits["loud"] = ("brute_force",)
    silence(world, detection="loud")
    burst(world, "203.0.113.7")
    world.apply(detection("loud"))
    refresh(world.client)
    world.apply()
    quiet, told = sorted(world.alerts(), key=lambda a: a.detection_id, reverse=True)
    assert (quiet.detection_id, quiet.silence is not None, owed(quiet)) == ("loud", True, [])
    assert (told.inhibited_by, owed(told)) == (None, [("mail", "open", "pending")])


def test_a_silence_that_comes_after_an_alert_stops_what_would_be_said_of_it_later(world: World) -> None:
    rule = detection(severity=by_count({3: Severity.LOW, 6: Severity.CRITICAL}))
    burst(world, "203.0.113.7")
    world.apply(rule)
    before = owed(world.alerts()[0])
    added = silence(world, detection="brute_force")
    world.clock.advance(1)
    burst(world, "203.0.113.7", events=6)
    world.apply(rule)
    [alert] = world.alerts()
    assert (alert.severity, owed(alert)) == (Severity.CRITICAL, before)
    assert alert.silence is not None
    world.silences.expire(added.id, "kim")
    world.clock.advance(1)
    burst(world, "203.0.113.7", events=7)
    world.apply(rule)
    [alert] = world.alerts()
    assert alert.silence is None
    assert owed(alert)[len(before) :] == [("pager", "open", "pending")]


def test_a_storm_whose_members_become_worse_together_is_one_more_message(world: World) -> None:
    rule = detection(severity=by_count({3: Severity.LOW, 6: Severity.HIGH}))
    for _ in range(2):
        for number in range(25):
            burst(world, f"203.0.113.{number}")
        world.apply(rule)
        world.clock.advance(10)
    rollups = [a for a in world.alerts() if a.is_rollup]
    assert sorted(a.title for a in rollups) == [
        "25 alerts at once, now up to high: Title of brute_force.",
        "25 alerts at once: Title of brute_force.",
    ]
    assert all(owed(a) == [("mail", "open", "pending")] for a in rollups)
    assert all(owed(a) == [] for a in world.alerts() if not a.is_rollup)


def test_many_alerts_whose_silence_ends_together_are_one_message(world: World) -> None:
    added = silence(world, detection="brute_force")
    for number in range(25):
        burst(world, f"203.0.113.{number}")
    world.apply()
    world.silences.expire(added.id, "kim")
    world.clock.advance(10)
    for number in range(25):
        burst(world, f"203.0.113.{number}")
    world.apply()
    assert [owed(a) for a in world.alerts() if a.is_rollup] == [[("mail", "open", "pending")]]
    assert all(owed(a) == [] for a in world.alerts() if not a.is_rollup)


def test_many_closed_groups_are_judged_anew_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        burst(world, f"203.0.113.{number}")
    world.apply(on_purpose=True)
    for alert in world.alerts():
        world.clock.advance(0.001)
        world.actions.close(alert.id, "kim")
    evaluations: list[str] = []
    over = world.engine.over

    def counted(rule: Detection, from_ms: int, to_ms: int) -> PassResult:
        evaluations.append(rule.id)
        return over(rule, from_ms, to_ms)

    monkeypatch.setattr(world.engine, "over", counted)
    world.clock.advance(1)
    for number in range(60):
        burst(world, f"203.0.113.{number}", events=1)
    assert not world.apply().changed
    assert len(evaluations) == 1
