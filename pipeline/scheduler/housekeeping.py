"""What the leader does besides passes and deliveries: close what is over, send digests, give up what is unroutable."""

from collections.abc import Callable, Sequence
from typing import Protocol

from pipeline.alerts.closing import Closing, EvaluatedUpTo
from pipeline.alerts.digest import Digests
from pipeline.detection.detection import Detection
from pipeline.scheduler.daemon import Chore
from pipeline.scheduler.passes import PassOutcome

CLOSE_S, DIGEST_S, GIVE_UP_S, SENT_S = 15.0, 5.0, 60.0, 1.0


class DeliveryBooks(Protocol):
    """What keeps the books of deliveries; `Dispatcher` is one."""

    def give_up_unknown(self) -> int:
        """See `Dispatcher.give_up_unknown`."""
        ...

    def note_what_was_sent(self) -> None:
        """See `Dispatcher.note_what_was_sent`."""
        ...


class Housekeeping:
    """Notes how far each detection is evaluated, and acts on it."""

    def __init__(
        self,
        closing: Closing,
        digests: Digests,
        deliveries: DeliveryBooks,
        detections: Callable[[], Sequence[Detection]],
    ) -> None:
        self._closing = closing
        self._digests = digests
        self._deliveries = deliveries
        self._detections = detections
        self._evaluated: dict[str, int] = {}

    def passed(self, outcome: PassOutcome, _seconds: float) -> None:
        """Note how far a pass came: a detection that failed, or is not caught up, stays where it was."""
        for detection in outcome.detections:
            if detection.error is None and not detection.more and detection.evaluated_until_ms is not None:
                self._evaluated[detection.detection_id] = detection.evaluated_until_ms

    def close(self) -> int:
        """Close alerts whose episode is over."""
        return self._closing.close_expired(
            EvaluatedUpTo(detection, until)
            for detection in self._detections()
            if (until := self._evaluated.get(detection.id)) is not None
        )

    def chores(self) -> tuple[Chore, ...]:
        """Return the work, to be done at intervals."""
        return (
            Chore("closing", self.close, CLOSE_S),
            Chore("digest", self._digests.gather, DIGEST_S),
            Chore("unroutable", self._deliveries.give_up_unknown, GIVE_UP_S),
            Chore("sent", self._deliveries.note_what_was_sent, SENT_S, by_leader=False),
        )
