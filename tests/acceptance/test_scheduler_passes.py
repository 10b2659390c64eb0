"""One pass on a real Elasticsearch: what fails stops no other, and no checkpoint moves over what was not done."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from pipeline.alerts.ports import ApplyResult
from pipeline.detection.detection import Detection
from pipeline.elastic.client import connect
from pipeline.elastic.compare_and_set import CONTROL_INDEX
from pipeline.engine.checkpoint import Checkpoint, Position, SeqRange, ShardId
from pipeline.engine.finding import Finding
from pipeline.engine.result import Coverage
from pipeline.errors import PermanentError, RetryableError, SiemliteError
from pipeline.scheduler.checkpoints import Checkpoints
from pipeline.scheduler.passes import PassOutcome, run_pass
from pipeline.settings import Settings
from tests.unit.alerts.memory_engine import SHARD, MemoryEngine, address, detection
from tests.unit.clocks import ManualClock

NAMES = ("first", "second", "third")


class Alerts:
    """Takes findings, or raises what it is told to for one detection."""

    def __init__(self) -> None:
        self.applied: list[str] = []
        self.errors: dict[str, Exception] = {}

    def apply(self, detection: Detection, findings: Sequence[Finding], *, on_purpose: bool = False) -> ApplyResult:
        """See `AlertStore.apply`."""
        if detection.id in self.errors:
            raise self.errors[detection.id]
        if findings:
            self.applied.append(detection.id)
        return ApplyResult(amended=len(findings))


class World:
    """Three detections, an engine and a place for checkpoints."""

    def __init__(self, client: Elasticsearch) -> None:
        self.client = client
        self.clock = ManualClock()
        self.engine = MemoryEngine()
        self.alerts = Alerts()
        self.checkpoints = Checkpoints(client, self.clock)
        self.stop = threading.Event()

    def run(self, *, leads: bool = True, on_alerts: Callable[[], None] = lambda: None) -> PassOutcome:
        """Run a pass."""
        return run_pass(
            [detection(name) for name in NAMES],
            self.engine,
            self.alerts,
            self.checkpoints,
            self.clock,
            stop=self.stop,
            may_go_on=lambda: leads,
            on_alerts=on_alerts,
        )

    def burst(self) -> None:
        """Let something arrive that all detections find."""
        now = self.clock.now_ms()
        self.engine.add(address("203.0.113.7"), now, now - 1, now - 2)

    def seen(self) -> dict[str, int]:
        """Return how far each checkpoint is."""
        kept, _ = self.checkpoints.load(NAMES)
        return {name: k.checkpoint.positions[SHARD].seen for name, k in kept.items() if k.version is not None}


@pytest.fixture
def world(es_ready: str) -> Iterator[World]:
    client = connect(Settings(_env_file=None), es_ready)
    yield World(client)
    client.close()


def test_checkpoints_move_over_what_was_written_and_the_next_pass_finds_nothing_new(world: World) -> None:
    world.burst()
    outcome = world.run()
    assert world.alerts.applied == list(NAMES)
    assert world.seen() == dict.fromkeys(NAMES, 2)
    assert world.engine.settled == 3
    assert {d.evaluated_until_ms for d in outcome.detections} == {world.clock.now_ms()}
    world.run()
    assert world.alerts.applied == list(NAMES)


def test_alerts_are_announced_while_the_pass_goes_on_and_only_where_there_are_any(world: World) -> None:
    written_when_told: list[int] = []
    world.burst()
    world.run(on_alerts=lambda: written_when_told.append(len(world.alerts.applied)))
    world.run(on_alerts=lambda: written_when_told.append(-1))
    assert written_when_told == [1, 2, 3]


def test_a_detection_that_cannot_be_evaluated_stops_no_other(world: World) -> None:
    world.burst()
    world.engine.failing = "second"
    outcome = world.run()
    assert [d.detection_id for d in outcome.failed] == ["second"]
    assert world.alerts.applied == ["first", "third"]
    world.engine.failing = None
    world.run()
    assert world.alerts.applied == ["first", "third", "second"]


@pytest.mark.parametrize("error", [PermanentError("the alert is refused"), RetryableError("the count timed out")])
def test_a_detection_whose_alerts_cannot_be_written_keeps_its_checkpoint_and_stops_no_other(
    world: World, error: SiemliteError
) -> None:
    world.burst()
    world.alerts.errors["first"] = error
    outcome = world.run()
    assert [(d.detection_id, d.error) for d in outcome.failed] == [("first", str(error))]
    assert world.seen() == {"second": 2, "third": 2}
    world.alerts.errors.clear()
    assert not world.run().failed
    assert world.alerts.applied == ["second", "third", "first"]


def test_what_nobody_foresaw_of_the_alerts_of_one_detection_is_its_error_and_logged_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.burst()
    world.alerts.errors["first"] = KeyError(f"a defect of {id(world)}")
    for _ in range(2):
        (failed,) = world.run().failed
        assert failed.detection_id == "first"
        assert "KeyError" in str(failed.error)
    assert world.alerts.applied == ["second", "third"]
    assert world.seen() == {"second": 2, "third": 2}
    assert caplog.text.count(f"KeyError: 'a defect of {id(world)}'") == 1


def test_elasticsearch_away_ends_the_pass_after_what_was_done_is_kept(world: World) -> None:
    world.burst()
    world.engine.before = lambda each: setattr(world.engine, "down", each.id == "first")
    world.engine.down = True
    with pytest.raises(RetryableError):
        world.run()
    assert world.alerts.applied == []


def test_an_order_to_stop_ends_the_pass_between_two_detections(world: World) -> None:
    world.burst()
    world.engine.before = lambda each: world.stop.set() if each.id == "second" else None
    outcome = world.run()
    assert outcome.stopped
    assert world.seen() == {"first": 2, "second": 2}
    world.stop.clear()
    world.engine.before = lambda _: None
    world.run()
    assert world.alerts.applied == list(NAMES)


def test_who_has_lost_the_lease_does_not_go_on(world: World) -> None:
    world.burst()
    assert world.run(leads=False).stopped
    assert len(world.seen()) == 1


def test_of_two_that_both_believe_they_lead_one_moves_the_checkpoint(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.run()
    other = Checkpoints(world.client, world.clock)
    stale, _ = other.load(NAMES)
    world.burst()
    world.run()
    moved = other.store([(stale[name], Checkpoint()) for name in NAMES])
    assert moved == (None, None, None)
    assert world.seen() == dict.fromkeys(NAMES, 2)


def test_a_checkpoint_that_cannot_be_read_is_an_error_of_its_detection_and_no_fresh_start(world: World) -> None:
    world.run()
    world.client.index(index=CONTROL_INDEX, id="checkpoint:second", document={"checkpoint": {"shards": 7}})
    world.burst()
    outcome = world.run()
    [failed] = outcome.failed
    assert failed.detection_id == "second"
    assert "checkpoint:second" in str(failed.error)
    assert world.alerts.applied == ["first", "third"]


def test_detections_that_stand_at_the_same_positions_share_them_and_others_do_not(world: World) -> None:
    days = {ShardId(f"uuid{day}", 0, "h"): Position(day) for day in range(400)}
    behind = {**days, ShardId("uuid0", 0, "h"): Position(9, (SeqRange(1, 3),))}
    none, _ = world.checkpoints.load(NAMES)
    at = dict(zip(NAMES, (Checkpoint(days, 1), Checkpoint(behind, 2), Checkpoint(days, 3)), strict=True))
    world.checkpoints.store([(none[name], at[name]) for name in NAMES])
    for _ in range(2):
        kept, _ = world.checkpoints.load(NAMES)
        assert {name: one.checkpoint for name, one in kept.items()} == at
        first, second, third = (kept[name].checkpoint.positions for name in NAMES)
        assert first is third is not second
    again, _ = world.checkpoints.load(NAMES)
    assert again["first"].checkpoint.positions is first


def test_an_outcome_says_what_was_looked_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = world.engine.evaluate

    def covering(*given: Any, **named: Any) -> Any:
        for result in evaluate(*given, **named):
            yield replace(result, coverage=Coverage(arrived=7, behind=2))

    monkeypatch.setattr(world.engine, "evaluate", covering)
    world.burst()
    assert {d.coverage for d in world.run().detections} == {Coverage(arrived=7, behind=2)}
