"""Evaluating history on purpose: the same engine, alerts and deliveries as the daemon's, without checkpoints.

Invariants: a detection's alerts are written before the next detection is evaluated; running it again raises
and sends nothing that is there already; each alert is delivered by itself, however old.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.alerts.store import AlertStore
from pipeline.delivery.dispatcher import Dispatcher
from pipeline.detection.detection import Detection
from pipeline.engine.finding import Finding
from pipeline.engine.history import past
from pipeline.engine.protocol import Evaluator
from pipeline.errors import SiemliteError


@dataclass(frozen=True, slots=True)
class HistoryOutcome:
    """What one detection found: its findings, the alerts opened and amended, or why it was not evaluated."""

    detection_id: str
    findings: tuple[Finding, ...] = ()
    opened: int = 0
    amended: int = 0
    error: str | None = None

    @property
    def crossings(self) -> int:
        """Return how many events completed the condition."""
        return sum(len(finding.crossings) for finding in self.findings)


def evaluate_history(
    detections: Sequence[Detection],
    engine: Evaluator,
    alerts: AlertStore | None,
    span_ms: tuple[int, int],
    stop: threading.Event,
    *,
    now_ms: int,
) -> Iterator[HistoryOutcome]:
    """Evaluate each detection over `[span_ms[0], span_ms[1])`; without `alerts` nothing is written.

    `now_ms` is the time: what the clock has not brought yet is not found.
    """
    for detection in detections:
        if stop.is_set():
            yield HistoryOutcome(detection.id, error="stopped before it was evaluated")
            continue
        span = past(detection.kind, span_ms, now_ms)
        if span is None:
            yield HistoryOutcome(detection.id)
            continue
        try:
            result = engine.over(detection, *span)
            if alerts is None:
                applied = (0, 0)
            else:
                written = alerts.apply(detection, result.findings, on_purpose=True)
                applied = (len(written.opened), written.amended)
        except SiemliteError as error:
            yield HistoryOutcome(detection.id, error=str(error))
            continue
        yield HistoryOutcome(detection.id, result.findings, *applied, error=result.error)


def deliver_all(dispatcher: Dispatcher, stop: threading.Event) -> int:
    """Send what is due until nothing more goes out now; return how many messages were taken.

    What a channel does not take now stays owed: the daemon goes on with it.
    """
    total = 0
    while not stop.is_set():
        sent = dispatcher.dispatch_due(stop=stop)
        total += sent
        if sent == 0:
            break
    return total
