"""What the scheduler, the alerts and the commands may ask of the engine."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from pipeline.detection.detection import Detection
from pipeline.engine.checkpoint import Checkpoint
from pipeline.engine.result import Evidence, PassResult, Wanted

VerifyMark = Callable[[str, str, str, int, str], bool]
"""`(index, event id, drill id, instant in ms, signature)`: whether the signature is this installation's."""


class Evaluator(Protocol):
    """The engine. All methods raise `RetryableError` where Elasticsearch as a whole cannot be asked."""

    def evaluate(
        self, detections: Sequence[Detection], since: Mapping[str, Checkpoint], now_ms: int
    ) -> Iterator[PassResult]:
        """Evaluate what arrived for each of `detections` since its checkpoint, in one bounded step.

        `since` holds checkpoints by detection id; one that is missing has evaluated nothing. Each detection
        gives one result, the quick ones first; one that failed has `complete` false, its checkpoint unmoved. A
        slow detection is evaluated beside the passes and gives its result in the first pass after it has ended,
        if the checkpoint is still the one that it began with; until then it gives none. For each result the
        caller writes the alerts, calls `settle`, then stores the checkpoint.
        """
        ...

    def settle(self, result: PassResult) -> None:
        """Remember what the detection learned in `result`. Call it once the result's alerts are written."""
        ...

    def over(
        self,
        detection: Detection,
        from_ms: int,
        to_ms: int,
        progress: Callable[[float], None] | None = None,
    ) -> PassResult:
        """Evaluate history: all crossings in `[from_ms, to_ms)`, whose evidence may reach back before it.

        The result's checkpoint means nothing. `progress` is told the share that is done, from 0 to 1.
        """
        ...

    def evidence(self, detection: Detection, wanted: Sequence[Wanted], *, size: int = 0) -> list[Evidence]:
        """Return for each of `wanted`, in order, how many events its group has, exactly, and up to `size` of the last.

        Its `drill` says which are meant: a drill's signed events alone, or all but signed ones.
        """
        ...
