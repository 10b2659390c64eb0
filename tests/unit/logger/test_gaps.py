"""Nothing is shed silently: what has no room is counted, by level, in a LOG_GAP event."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import RetryableError
from pipeline.events.catalogue import EventType
from pipeline.events.encoded import Encoded
from pipeline.logger.committer import Bounds
from pipeline.logger.encoding import TwoSteps
from pipeline.logger.gaps import GapLedger
from pipeline.logger.handover import Handover, Item, Ticket
from pipeline.logger.security import SecurityLogger
from pipeline.shipping.spool import Spool
from tests.unit.logger.support import broken, settings_for, spooled, until

Make = Callable[..., SecurityLogger]
MEGABYTE = 1024 * 1024
LEVELS = ("info", "warn", "error")
EVENTS = {level: EventType(f"TEST_{level.upper()}", level) for level in LEVELS}


def stated(events: list[dict[str, Any]]) -> Counter[str]:
    """Add up what the LOG_GAP events state, by level."""
    total: Counter[str] = Counter()
    for event in events:
        if event["event"]["code"] == "LOG_GAP":
            numbers = event["siemlite"]["number"]
            total += Counter({level: int(numbers[f"shed_{level}"]) for level in LEVELS})
            assert numbers["shed"] == sum(numbers[f"shed_{level}"] for level in LEVELS)
    return total


def kept(events: list[dict[str, Any]]) -> Counter[str]:
    return Counter(event["log"]["level"] for event in events if event["event"]["code"].startswith("TEST_"))


def test_a_full_spool_sheds_info_before_warn_before_error_and_states_exactly_what(make: Make, home: Path) -> None:
    security = make(siemlite_spool_max_bytes=MEGABYTE)
    made: Counter[str] = Counter()
    filler = "x" * 3_000
    for level in LEVELS:
        for _ in range(350):
            security.log(EVENTS[level], filler=filler)
            made[level] += 1
        assert security.flush()
    events = spooled(home)
    assert kept(events) + stated(events) == made
    assert kept(events)["info"] > 200
    assert kept(events)["warn"] > 20
    assert kept(events)["error"] > 15
    assert all(stated(events)[level] > 0 for level in LEVELS)


def test_an_error_finds_room_where_info_has_none(make: Make, home: Path) -> None:
    security = make(siemlite_spool_max_bytes=MEGABYTE)
    for _ in range(400):
        security.log(EVENTS["info"], filler="x" * 3_000)
    security.flush()
    security.log(EVENTS["info"], filler="x" * 3_000)
    security.log(EVENTS["error"], filler="x" * 3_000)
    security.flush()
    events = spooled(home)
    assert kept(events)["error"] == 1
    assert stated(events) == {"info": 401 - kept(events)["info"]}


def test_a_gap_names_service_reason_and_first_and_last_time(make: Make, home: Path) -> None:
    security = make("shop", siemlite_spool_max_bytes=MEGABYTE)
    for _ in range(400):
        security.log(EVENTS["info"], filler="x" * 3_000)
    security.flush()
    gaps = [event for event in spooled(home) if event["event"]["code"] == "LOG_GAP"]
    assert gaps
    for gap in gaps:
        assert gap["log"]["level"] == "error"
        assert gap["service"]["name"] == "shop"
        assert gap["event"]["reason"] == "spool full"
        assert gap["siemlite"]["data"]["event.start"] <= gap["siemlite"]["data"]["event.end"] <= gap["@timestamp"]


def test_a_gap_is_stated_without_being_asked_for(make: Make, home: Path) -> None:
    security = make(siemlite_spool_max_bytes=MEGABYTE)
    for _ in range(400):
        security.log(EVENTS["info"], filler="x" * 3_000)

    def accounted() -> Counter[str]:
        events = spooled(home) if home.exists() else []
        return kept(events) + stated(events)

    assert until(lambda: accounted() == {"info": 400})


def test_room_that_a_shipper_makes_is_used_again(make: Make, home: Path) -> None:
    security = make(siemlite_spool_max_bytes=MEGABYTE)
    for _ in range(400):
        security.log(EVENTS["info"], filler="x" * 3_000)
    security.flush()
    (path,) = (home / "spool").glob("*.db")
    sender = Spool(path, max_bytes=MEGABYTE)
    sender.settle(sender.take(0, 10 * MEGABYTE))
    for _ in range(100):
        security.log(EVENTS["info"], filler="x" * 3_000)
    security.flush()
    assert kept(spooled(home)) == {"info": 100}
    sender.close()


def test_a_durable_event_without_room_raises_and_is_not_counted_as_shed(make: Make, home: Path) -> None:
    security = make(siemlite_spool_max_bytes=MEGABYTE)
    for _ in range(300):
        security.log(EVENTS["info"], filler="x" * 3_000)
    security.flush()
    before = stated(spooled(home))
    with pytest.raises(RetryableError, match="SIEMLITE_SPOOL_MAX_BYTES"):
        security.log(EVENTS["info"], filler="x" * 3_000, durable=True)
    security.flush()
    assert stated(spooled(home)) == before


def test_a_full_queue_sheds_by_level_and_states_exactly_what_when_the_disk_is_back(make: Make, home: Path) -> None:
    obstacle = broken(home)
    security = make(siemlite_queue_max_bytes=100_000)
    made: Counter[str] = Counter()
    for level in LEVELS:
        for _ in range(150):
            security.log(EVENTS[level], filler="x" * 500)
            made[level] += 1
    obstacle.unlink()
    assert security.flush(timeout=20)
    events = spooled(home)
    assert kept(events) + stated(events) == made
    assert kept(events)["info"] > kept(events)["warn"] > 10
    assert kept(events)["error"] > 10
    assert {event["event"]["reason"] for event in events if event["event"]["code"] == "LOG_GAP"} == {"queue full"}


def test_a_durable_event_that_the_queue_has_no_room_for_raises(make: Make, home: Path) -> None:
    broken(home)
    security = make(siemlite_queue_max_bytes=65_536)
    with pytest.raises(RetryableError, match="SIEMLITE_QUEUE_MAX_BYTES"):
        security.log(EVENTS["error"], parts=["x" * 3_000] * 40, durable=True)


def test_a_shed_event_is_stated_though_no_other_follows(make: Make, home: Path) -> None:
    security = make(siemlite_queue_max_bytes=65_536)
    security.log(EVENTS["error"], durable=True)
    security.log(EVENTS["error"], parts=["x" * 3_000] * 40)
    assert until(lambda: home.exists() and stated(spooled(home)) == {"error": 1})


def test_one_event_larger_than_the_queue_is_counted(make: Make, home: Path) -> None:
    security = make(siemlite_queue_max_bytes=65_536)
    security.log(EVENTS["error"], parts=["x" * 3_000] * 40)
    assert security.flush()
    assert stated(spooled(home)) == {"error": 1}


@pytest.mark.parametrize("max_bytes", [MEGABYTE, 10 * MEGABYTE, 1024 * MEGABYTE])
def test_the_bounds_of_a_spool_rise_with_the_level_and_leave_room_for_gaps(max_bytes: int) -> None:
    info, warn, error = Bounds.of(max_bytes).by_rank
    assert 0 < info < warn < error <= max_bytes - 16 * 1024


def test_the_queue_keeps_its_last_quarter_for_errors(home: Path) -> None:
    steps = TwoSteps(settings_for(home))

    def item(rank: int) -> Item:
        return Item(Encoded("i", "e", "x", b"x" * 600), rank, "s", 0, steps)

    handover = Handover(100_000)
    taken = [sum(handover.offer(item(rank)) for _ in range(200)) for rank in (0, 1, 2)]
    assert taken == [50, 25, 25]
    first = handover.await_some(0)
    assert first is not None
    handover.release(first.items[0])
    assert not handover.offer(item(0))
    assert handover.offer(item(2))


def test_an_answer_refuses_no_durable_event_that_is_offered_because_of_it(home: Path) -> None:
    handover = Handover(100_000)
    steps = TwoSteps(settings_for(home))
    again = Ticket()

    def offer(ticket: Ticket) -> None:
        assert handover.offer(Item(Encoded("i", "e", "x", b"x"), 0, "s", 0, steps, ticket))

    class Repeating(Ticket):
        def resolve(self, error: Exception | None = None) -> None:
            super().resolve(error)
            offer(again)

    offer(Repeating())
    handover.refuse_durable(RetryableError("the disk is full"))
    assert not again.resolved


def test_a_ledger_takes_back_what_could_not_be_stated() -> None:
    ledger = GapLedger()
    ledger.add("s", 0, 500, "queue full")
    ledger.add("s", 2, 400, "spool full")
    taken = ledger.take()
    assert ledger.empty
    ledger.add("s", 0, 600, "queue full")
    ledger.put_back(taken)
    (gap,) = ledger.take().values()
    assert (gap.counts, gap.first_ms, gap.last_ms) == ([2, 0, 1], 400, 600)
    assert gap.reasons == {"queue full", "spool full"}
