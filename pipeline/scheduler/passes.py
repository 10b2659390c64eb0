"""One pass: evaluate what arrived, write the alerts, move the checkpoints.

Invariants: a detection's checkpoint moves only after the alerts for what it covers are written, so a crash at
any point repeats work and loses none; a detection that fails keeps its checkpoint, is reported, and stops no
other; what stops a whole pass is only Elasticsearch not answering at all, or the order to stop.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from pipeline.alerts.ports import ApplyResult
from pipeline.clock import Clock
from pipeline.detection.detection import Detection
from pipeline.engine.checkpoint import Checkpoint
from pipeline.engine.finding import Finding
from pipeline.engine.protocol import Evaluator
from pipeline.engine.result import Coverage, PassResult
from pipeline.engine.steps import unforeseen
from pipeline.errors import PermanentError, RetryableError
from pipeline.scheduler.checkpoints import Checkpoints, Kept

FLUSH_S = 2.0
"""Seconds after which the checkpoints of a long pass are stored while it goes on."""

_log = logging.getLogger(__name__)


class Alerts(Protocol):
    """Where findings go; `pipeline.alerts.store.AlertStore` is one."""

    def apply(self, detection: Detection, findings: Sequence[Finding], *, on_purpose: bool = False) -> ApplyResult:
        """See `AlertStore.apply`."""
        ...


@dataclass(frozen=True, slots=True)
class DetectionOutcome:
    """What became of one detection in a pass.

    `error` is one line where it was not evaluated, `passed_over` one where groups were whose condition failed.
    """

    detection_id: str
    opened: int = 0
    amended: int = 0
    more: bool = False
    error: str | None = None
    passed_over: str | None = None
    evaluated_until_ms: int | None = None
    coverage: Coverage = field(default_factory=Coverage)


@dataclass(frozen=True, slots=True)
class PassOutcome:
    """What became of a pass; `beside` are the detections still under way beside it."""

    detections: tuple[DetectionOutcome, ...] = ()
    stopped: bool = False
    beside: tuple[str, ...] = ()

    @property
    def more(self) -> bool:
        """Return whether something evaluable remains, so that the next pass should follow at once."""
        return any(outcome.more for outcome in self.detections)

    @property
    def failed(self) -> tuple[DetectionOutcome, ...]:
        """Return the detections that were not evaluated."""
        return tuple(outcome for outcome in self.detections if outcome.error is not None)


def run_pass(
    detections: Sequence[Detection],
    engine: Evaluator,
    alerts: Alerts,
    checkpoints: Checkpoints,
    clock: Clock,
    *,
    stop: threading.Event | None = None,
    may_go_on: Callable[[], bool] = lambda: True,
    on_alerts: Callable[[], None] = lambda: None,
) -> PassOutcome:
    """Run one pass over `detections`; stop between two of them when `stop` is set or `may_go_on` says no.

    `on_alerts` is called each time that alerts were written, while the pass goes on. Raises `RetryableError` or
    `ConfigurationError` where Elasticsearch as a whole cannot be asked.
    """
    started = clock.now_ms()
    kept, unreadable = checkpoints.load(detection.id for detection in detections)
    outcomes = {name: DetectionOutcome(name, error=str(error)) for name, error in unreadable.items()}
    usable = [detection for detection in detections if detection.id in kept]
    since = {name: k.checkpoint for name, k in kept.items() if k.version is not None}
    moves: list[tuple[Kept, Checkpoint]] = []
    flushed = clock.monotonic()
    stopped = False
    try:
        for result in engine.evaluate(usable, since, started):
            outcome = _outcome(result)
            try:
                applied = alerts.apply(result.detection, result.findings)
                if applied.changed:
                    on_alerts()
                engine.settle(result)
                outcome = replace(outcome, opened=len(applied.opened), amended=applied.amended)
                before = kept[result.detection.id]
                ledger = before.ledger.after(result.coverage, started, complete=result.complete)
                moves.append((replace(before, ledger=ledger), result.checkpoint))
            except PermanentError as error:
                outcome = replace(outcome, error=str(error), more=False)
            except RetryableError as error:
                checkpoints.probe()
                outcome = replace(outcome, error=str(error), more=False)
            except Exception as error:  # noqa: BLE001 - a defect met in one must not keep the others from being told
                outcome = replace(outcome, error=str(unforeseen(error)), more=False)
            outcomes[result.detection.id] = outcome
            if clock.monotonic() - flushed > FLUSH_S:
                _move(checkpoints, moves, outcomes)
                flushed = clock.monotonic()
            if (stop is not None and stop.is_set()) or not may_go_on():
                stopped = True
                break
    finally:
        _move(checkpoints, moves, outcomes)
    beside = () if stopped else tuple(detection.id for detection in usable if detection.id not in outcomes)
    return PassOutcome(tuple(outcomes.values()), stopped, beside)


def _outcome(result: PassResult) -> DetectionOutcome:
    name, coverage = result.detection.id, result.coverage
    if result.complete and coverage.unjudged:
        return DetectionOutcome(name, more=result.more, passed_over=result.error, coverage=coverage)
    error = result.error if result.error is not None or result.complete else "not evaluated completely"
    return DetectionOutcome(name, more=result.more, error=error, coverage=coverage)


def _move(
    checkpoints: Checkpoints, moves: list[tuple[Kept, Checkpoint]], outcomes: dict[str, DetectionOutcome]
) -> None:
    """Store the checkpoints of what is evaluated and written; empty `moves`."""
    pending, moves[:] = list(moves), []
    for (before, _), after in zip(pending, checkpoints.store(pending), strict=True):
        name = before.detection_id
        if after is None:
            _log.warning("%s: another scheduler has moved the checkpoint; this pass counts for nothing", name)
            outcomes[name] = replace(outcomes[name], more=False)
        else:
            outcomes[name] = replace(outcomes[name], evaluated_until_ms=after.checkpoint.caught_up_ms)
