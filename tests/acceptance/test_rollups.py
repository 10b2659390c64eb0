"""Storms and old crossings: one message for many alerts, and nobody untold."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from pipeline.alerts import digest as digests
from pipeline.alerts.closing import EvaluatedUpTo
from pipeline.alerts.record import INDEX
from pipeline.detection.kind import by_count
from pipeline.detection.timeline import Severity
from pipeline.elastic.compare_and_set import Merge, read_many, write_many
from pipeline.errors import RetryableError
from tests.acceptance.alert_world import HOUR, MINUTE, World, burst, owed, world_of, worlds
from tests.unit.alerts.memory_engine import address, detection


@pytest.fixture
def world(es_ready: str) -> Iterator[World]:
    yield from worlds(es_ready)


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
        world.closing.close_expired([EvaluatedUpTo(detection(), until_ms)])
        world.closing.close_expired([EvaluatedUpTo(detection(), until_ms)])
        return Counter(f"{'rollup' if a.is_rollup else 'member'} {a.state}" for a in world.alerts())

    assert states(start + HOUR + 1) == {"member closed": 24, "member open": 1, "rollup open": 1}
    assert states(start + 2 * HOUR) == {"member closed": 25, "rollup closed": 1}


def test_what_a_person_makes_of_a_rollup_goes_for_its_members_but_those_that_spoke_for_themselves(world: World) -> None:
    rule = detection(severity=by_count({3: Severity.LOW, 6: Severity.CRITICAL}))
    for number in range(25):
        burst(world, f"203.0.113.{number}")
    world.apply(rule)
    rollup = next(a.id for a in world.alerts() if a.is_rollup)
    burst(world, "203.0.113.1")
    world.apply(rule)
    world.actions.acknowledge(rollup, "kim", "on it")
    assert Counter(a.state for a in world.alerts()) == {"acknowledged": 25, "open": 1}
    world.actions.close(rollup, "kim", "a pentest")
    world.actions.close(rollup, "lee", "again")
    by_state = {a.state: a for a in world.alerts()}
    assert Counter(a.state for a in world.alerts()) == {"closed": 25, "open": 1}
    assert by_state["open"].group[0][1] == "203.0.113.1"
    assert all(
        a.closed is not None and a.closed.by == "kim" and a.closed.note == "a pentest"
        for a in world.alerts()
        if a.state == "closed"
    )
    burst(world, "203.0.113.2", events=2)
    assert not world.apply(rule).opened, "what happened before the closing does not count again"


def test_what_a_person_makes_of_a_rollup_leaves_alone_what_a_later_one_tells_of(world: World) -> None:
    rule = detection(severity=by_count({3: Severity.LOW, 6: Severity.HIGH}))
    for number in range(25):
        burst(world, f"203.0.113.{number}")
    stale = world.apply(rule).rollup
    for number in range(1, 25):
        burst(world, f"203.0.113.{number}")
    later = world.apply(rule).rollup
    assert stale is not None
    assert later is not None
    world.actions.acknowledge(stale.id, "kim", "on it")
    world.actions.close(stale.id, "kim", "a pentest")
    by_id = {a.id: a for a in world.alerts()}
    assert {by_id[member].state for member in later.members} == {"open"}
    assert {by_id[member].state for member in {*stale.members} - {*later.members}} == {"closed"}
    world.actions.close(later.id, "kim", "a pentest")
    assert {a.state for a in world.alerts()} == {"closed"}


def test_a_member_that_somebody_made_unreadable_keeps_no_other_from_being_closed(world: World) -> None:
    for number in range(25):
        burst(world, f"203.0.113.{number}")
    rollup = world.apply().rollup
    assert rollup is not None
    world.client.update(index=INDEX, id=rollup.members[0], doc={"siemlite": {"severity": "dire"}}, refresh=True)
    world.actions.close(rollup.id, "kim", "a pentest")
    others = read_many(world.client, INDEX, rollup.members[1:])
    assert Counter(document.source["siemlite"]["state"] for document in others.values()) == {"closed": 24}


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


def test_an_earlier_digest_does_not_hurry_the_next(world: World) -> None:
    for value in ("203.0.113.1", "203.0.113.2"):
        burst(world, value, ago=2 * HOUR)
        world.apply()
        assert world.digests.gather() is None
        world.clock.advance(31)
        digest = world.digests.gather()
        assert digest is not None
        assert digest.members_total == 1
        world.clock.advance(3600)


def test_a_digest_waits_for_no_clock_that_was_ahead(world: World) -> None:
    burst(world, "203.0.113.1", ago=-HOUR)
    world.clock.advance(3 * 3600)
    world.apply()
    world.clock.advance(-3 * 3600)
    assert world.digests.gather() is not None


def test_a_member_that_goes_on_while_its_digest_is_written_is_told_of_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("203.0.113.1", "203.0.113.2"):
        burst(world, value, ago=2 * HOUR)
    world.apply()

    def late(client: Elasticsearch, index: str, writes: Sequence[Any], **options: Any) -> Any:
        if isinstance(writes[0], Merge):
            monkeypatch.undo()
            world.engine.add(address("203.0.113.1"), world.clock.now_ms() - 2 * HOUR + 1000)
            assert world.apply().amended == 1
        return write_many(client, index, writes, **options)

    monkeypatch.setattr(digests, "write_many", late)
    first = world.digests.gather(at_once=True)
    assert first is not None
    assert {a.membership.id for a in world.alerts() if a.membership is not None} == {first.id}
    assert world.digests.gather(at_once=True) is None
