"""How alerts end: by themselves, by a person, and what the next events of the group mean then."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pipeline.alerts.closing import EvaluatedUpTo
from pipeline.detection.detection import Detection
from pipeline.detection.durations import minutes
from pipeline.detection.kind import by_count
from pipeline.detection.kinds.absence import Absence
from pipeline.detection.kinds.spike import Spike
from pipeline.detection.timeline import Severity
from pipeline.engine.result import Evidence, PassResult, Wanted
from pipeline.errors import RetryableError, SiemliteError
from tests.acceptance.alert_world import HOUR, MINUTE, World, burst, owed, worlds
from tests.unit.alerts.memory_engine import address, detection


@pytest.fixture
def world(es_ready: str) -> Iterator[World]:
    yield from worlds(es_ready)


def test_an_alert_closes_once_its_detection_is_evaluated_past_suppress_for(world: World) -> None:
    burst(world, "203.0.113.7")
    world.apply(detection(severity=Severity.CRITICAL))
    last = world.clock.now_ms()
    assert world.closing.close_expired([EvaluatedUpTo(detection(), last + HOUR)]) == 0
    assert world.closing.close_expired([EvaluatedUpTo(detection("another"), last + 9 * HOUR)]) == 0
    assert world.closing.close_expired([]) == 0
    assert world.closing.close_expired([EvaluatedUpTo(detection(), last + HOUR + 1)]) == 1
    [alert] = world.alerts()
    assert alert.state == "closed"
    assert alert.closed is not None
    assert alert.closed.by == "siemlite"
    assert owed(alert)[-1] == ("pager", "resolve", "pending")
    assert world.closing.close_expired([EvaluatedUpTo(detection(), last + HOUR + 1)]) == 0


def test_a_late_crossing_amends_an_alert_that_closed_by_itself_and_reopens_it_only_while_it_matters(
    world: World,
) -> None:
    rule = detection(severity=Severity.CRITICAL)
    burst(world, "203.0.113.7")
    world.apply(rule)
    first = world.clock.now_ms()
    world.clock.advance(3601)
    world.closing.close_expired([EvaluatedUpTo(detection(), world.clock.now_ms())])
    world.engine.add(address("203.0.113.7"), first + 30 * MINUTE, first + 30 * MINUTE + 1, first + 30 * MINUTE + 2)
    world.apply(rule)
    [alert] = world.alerts()
    assert (alert.state, alert.count, alert.closed) == ("open", 6, None)
    assert owed(alert)[-1] == ("pager", "open", "pending")
    world.clock.advance(5 * 3600)
    world.closing.close_expired([EvaluatedUpTo(detection(), world.clock.now_ms())])
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
        assert world.closing.close_expired([EvaluatedUpTo(rule, start + later)]) == 0
    world.engine.add(value, start + 50_000)
    assert world.closing.close_expired([EvaluatedUpTo(rule, start + 49_999)]) == 0
    assert world.closing.close_expired([EvaluatedUpTo(rule, start + 50_000)]) == 1
    assert owed(world.alerts()[0])[-1] == ("pager", "resolve", "pending")


def test_a_silence_of_months_is_looked_at_as_a_whole_now_and_then_and_in_between_at_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = Absence(severity=Severity.HIGH, group_by="source.address", within=20_000, suppress_for=5_000)
    rule = Detection("silent", "Silent.", "Look.", Path("silent.py"), kind)
    values, start = [address("203.0.113.7"), address("203.0.113.8")], world.clock.now_ms()
    for value in values:
        world.engine.add(value, start, start + 60_000)
    world.apply(rule)
    for value in values:
        world.engine.events.remove((value, start + 60_000, None))
    asked: list[int] = []
    evidence = world.engine.evidence

    def noted(rule: Detection, wanted: Sequence[Wanted], *, size: int = 0) -> list[Evidence]:
        asked.extend(one.last_ms - one.first_ms for one in wanted)
        return evidence(rule, wanted, size=size)

    monkeypatch.setattr(world.engine, "evidence", noted)
    until_ms = start + 60 * 24 * HOUR
    assert world.closing.close_expired([EvaluatedUpTo(rule, until_ms)]) == 0
    assert min(asked) > 59 * 24 * HOUR
    asked.clear()
    world.engine.add(values[0], until_ms - HOUR // 2)
    world.engine.add(values[1], until_ms - 24 * HOUR)
    assert world.closing.close_expired([EvaluatedUpTo(rule, until_ms + 15_000)]) == 1
    assert max(asked) < 2 * HOUR
    world.clock.advance(600)
    assert world.closing.close_expired([EvaluatedUpTo(rule, until_ms + 600_000)]) == 1


def test_silences_that_cannot_be_looked_at_keep_no_other_alert_open(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
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
    assert world.closing.close_expired([EvaluatedUpTo(rule, until_ms), EvaluatedUpTo(detection(), until_ms)]) == 1
    assert {alert.detection_id: alert.state for alert in world.alerts()} == {"silent": "open", "brute_force": "closed"}
    assert world.closing.close_expired([EvaluatedUpTo(rule, until_ms)]) == 0
    assert [record.message for record in caplog.records] == [
        "silent: whether its silences have ended is not known: a shard failed"
    ]


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


def test_what_a_person_closes_is_over_whatever_becomes_of_other_groups_meanwhile(world: World) -> None:
    for number in (1, 2, 3):
        burst(world, f"203.0.113.{number}")
    world.apply()
    world.clock.advance(1)
    for alert in world.alerts():
        if alert.group[0][1] != "203.0.113.2":
            world.actions.close(alert.id, "kim")
    world.clock.advance(1)
    for number in (1, 2, 3):
        burst(world, f"203.0.113.{number}", events=1)
    result = world.apply()
    assert (result.opened, result.amended) == ((), 1)
