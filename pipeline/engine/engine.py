"""The engine as the scheduler, the alerts and the commands see it; see `protocol.Evaluator` for its promises."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from elasticsearch import Elasticsearch

from pipeline.detection.detection import Detection
from pipeline.elastic.search import Searcher
from pipeline.engine import evidence
from pipeline.engine.checkpoint import Checkpoint
from pipeline.engine.history import evaluate_over
from pipeline.engine.indices import DAY_MS, Indices, look
from pipeline.engine.mappings import Mappings
from pipeline.engine.marks import KnownMarks
from pipeline.engine.memory import MemoryWriter
from pipeline.engine.passes import Lanes, begin, evaluate_pass
from pipeline.engine.protocol import VerifyMark
from pipeline.engine.result import Evidence, PassResult, Wanted
from pipeline.engine.scope import world
from pipeline.engine.sight import Limits, Sight
from pipeline.engine.steps import unforeseen
from pipeline.errors import SiemliteError

__all__ = ["Engine", "Limits"]


class Engine:
    """Evaluates detections on Elasticsearch.

    `verify_mark` says whether a drill's mark is signed by this installation; `late_horizon_ms` how late an
    event may arrive and still be evaluated. One engine serves one thread.
    """

    def __init__(
        self,
        client: Elasticsearch,
        *,
        verify_mark: VerifyMark,
        late_horizon_ms: int = DAY_MS,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        self._client = client
        searcher = Searcher(client, timeout_s=limits.search_ms / 1000)
        self._sight = Sight(client, searcher, KnownMarks(verify_mark), limits, late_horizon_ms)
        self._memory = MemoryWriter(client)
        self._mappings = Mappings(client)
        self._lanes = Lanes()
        self._indices: Indices | None = None  # of the last pass, or look into history: its evidence is sought there

    def evaluate(
        self, detections: Sequence[Detection], since: Mapping[str, Checkpoint], now_ms: int
    ) -> Iterator[PassResult]:
        """See `protocol.Evaluator.evaluate`."""
        indices = self._indices = self._look()
        this = begin(self._sight, indices, detections, since, now_ms)
        yield from evaluate_pass(self._sight, self._lanes, this, detections)

    def settle(self, result: PassResult) -> None:
        """See `protocol.Evaluator.settle`."""
        self._memory.remember(result.learned, result.checkpoint.clock_ms or 0)

    def over(
        self,
        detection: Detection,
        from_ms: int,
        to_ms: int,
        progress: Callable[[float], None] | None = None,
    ) -> PassResult:
        """See `protocol.Evaluator.over`."""
        indices = self._indices = self._look()
        try:
            return evaluate_over(self._sight, indices, detection, (from_ms, to_ms), progress)
        except SiemliteError:
            raise
        except Exception as error:
            raise unforeseen(error) from error

    def evidence(self, detection: Detection, wanted: Sequence[Wanted], *, size: int = 0) -> list[Evidence]:
        """See `protocol.Evaluator.evidence`."""
        if not wanted:
            return []
        indices = self._look() if self._indices is None else self._indices
        span = (min(one.first_ms for one in wanted), max(one.last_ms for one in wanted))
        marks = self._sight.marks(indices, indices.overlapping(*span), ())
        drills = {one.drill for one in wanted}
        views = {drill: self._sight.view(detection, indices, world(marks, drill)) for drill in drills}
        return evidence.several(self._sight.searcher, [views[one.drill] for one in wanted], wanted, size)

    def _look(self) -> Indices:
        return self._mappings.judged(look(self._client))
