"""An engine over a list: the real kinds judge events that a test holds in memory."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.detection.detection import Detection
from pipeline.detection.durations import minutes
from pipeline.detection.kind import ByCount
from pipeline.detection.kinds.threshold import Threshold
from pipeline.detection.timeline import Crossing, Row, Severity
from pipeline.engine.checkpoint import Checkpoint, Position, ShardId
from pipeline.engine.finding import Finding, Group
from pipeline.engine.result import Evidence, PassResult, Sample, Wanted
from pipeline.errors import RetryableError

SHARD = ShardId("memory", 0)


def detection(
    name: str = "brute_force",
    *,
    at_least: int = 3,
    within: int = minutes(15),
    suppress_for: int = minutes(60),
    severity: Severity | ByCount = Severity.HIGH,
    group_by: str | tuple[str, ...] = "source.address",
    tags: tuple[str, ...] = (),
) -> Detection:
    """Return a threshold."""
    kind = Threshold(
        severity=severity,
        attack=("T1110.001",),
        where={"event.code": "LOGIN_FAILURE"},
        group_by=group_by,
        at_least=at_least,
        within=within,
        suppress_for=suppress_for,
        tags=tags,
    )
    return Detection(name, f"Title of {name}.", "Look at the address.", Path(f"{name}.py"), kind)


def _sample(time_ms: int) -> Sample:
    return Sample("security-logs-x", f"e{time_ms}", time_ms, {"event": {"code": "LOGIN_FAILURE"}})


def address(value: str) -> Group:
    """Return a group of the default detection."""
    return (("source.address", value),)


@dataclass
class MemoryEngine:
    """Implements `Evaluator`; `events` may be added to while it is used."""

    events: list[tuple[Group, int, str | None]] = field(default_factory=list)
    failing: str | None = None
    down: bool = False
    more: bool = False
    settled: int = 0
    evaluations: int = 0
    before: Callable[[Detection], None] = lambda _detection: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, group: Group, *instants: int, drill: str | None = None) -> None:
        """Let events of `group` arrive."""
        with self.lock:
            self.events.extend((group, instant, drill) for instant in instants)

    def evaluate(
        self, detections: Sequence[Detection], since: Mapping[str, Checkpoint], now_ms: int
    ) -> Iterator[PassResult]:
        """See `Evaluator.evaluate`."""
        if self.down:
            raise RetryableError("evaluating: Elasticsearch does not answer")
        for each in detections:
            self.before(each)
            self.evaluations += 1
            checkpoint = since.get(each.id, Checkpoint())
            if self.failing == each.id:
                yield PassResult(each, checkpoint, complete=False, error="the query is refused")
                continue
            with self.lock:
                events = list(self.events)
            seen = checkpoint.positions.get(SHARD, Position()).seen
            touched = {(group, drill) for group, _, drill in events[seen + 1 :]}
            after = Checkpoint({SHARD: Position(len(events) - 1)}, now_ms)
            findings = [f for f in self._findings(each, events) if (f.group, f.drill) in touched]
            yield PassResult(each, after, tuple(findings), more=self.more)
            self.more = False

    def settle(self, result: PassResult) -> None:
        """See `Evaluator.settle`."""
        self.settled += 1

    def over(
        self, detection: Detection, from_ms: int, to_ms: int, progress: Callable[[float], None] | None = None
    ) -> PassResult:
        """Judge the events of `[from_ms, to_ms)` alone."""
        events = [event for event in self.events if from_ms <= event[1] < to_ms]
        return PassResult(detection, Checkpoint(), tuple(self._findings(detection, events)))

    def evidence(self, detection: Detection, wanted: Sequence[Wanted], *, size: int = 0) -> list[Evidence]:
        """See `Evaluator.evidence`."""
        found = [self._of(one.group, one.first_ms, one.last_ms, one.drill) for one in wanted]
        return [
            Evidence(len(times), tuple(_sample(time_ms) for time_ms in sorted(times, reverse=True)[:size]))
            for times in found
        ]

    def _of(self, group: Group, first_ms: int, last_ms: int, drill: str | None) -> list[int]:
        return [t for g, t, d in self.events if g == group and d == drill and first_ms <= t <= last_ms]

    def _findings(self, each: Detection, events: Sequence[tuple[Group, int, str | None]]) -> Iterator[Finding]:
        for group, drill in dict.fromkeys((g, d) for g, _, d in events):
            instants = sorted(t for g, t, d in events if (g, d) == (group, drill))
            crossings: tuple[Crossing, ...] = tuple(each.kind.crossings([Row(t, 1) for t in instants]))
            if crossings:
                yield Finding(each.id, group, crossings, drill)
