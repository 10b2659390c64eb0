"""How the engine looks at Elasticsearch: its searches, its limits, and whose marks it believes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from elasticsearch import Elasticsearch

from pipeline.detection.detection import Detection
from pipeline.elastic.search import Searcher
from pipeline.engine.indices import Indices, refresh
from pipeline.engine.marks import KnownMarks
from pipeline.engine.scope import Marks, Scope
from pipeline.engine.steps import PAGE_NEXT, Step, T, run
from pipeline.engine.view import View
from pipeline.errors import RetryableError, SiemliteError


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one step may take: sequence numbers of the present and as many of the past; time for a search.

    Groups of up to `rows_together` events are read together; `page` buckets are asked for at a time at most. A
    detection whose search takes the server longer than `slow_ms` is evaluated beside the passes from then on, and so is
    one whose condition is a function that takes longer than `code_s` seconds for all groups of a pass.
    """

    step: int = 200_000
    search_ms: int = 20_000
    rows_together: int = 10_000
    page: int = PAGE_NEXT
    slow_ms: int = 10_000
    code_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Sight:
    """Looks through `client`; `known_marks` reads the marks of drills.

    `late_horizon_ms` is how late an event may arrive and still be evaluated.
    """

    client: Elasticsearch
    searcher: Searcher
    known_marks: KnownMarks
    limits: Limits
    late_horizon_ms: int

    def marks(self, indices: Indices, names: Collection[str], refreshed: Collection[str]) -> Marks:
        """Return the marks in those of `indices` that are called `names`.

        All events of those that are called `refreshed` can be searched already. Raises `RetryableError` where the marks
        cannot be read.
        """
        self.known_marks.forget_others(indices.all)
        wanted = [index for index in indices.all if index.name in names]
        stale = [index.name for index in self.known_marks.unknown(wanted) if index.name not in refreshed]
        whole = set(names).difference(self._not_refreshed(stale))
        try:
            found = self.run(self.known_marks.of(wanted, whole))
        except SiemliteError as error:
            raise RetryableError(f"reading the marks of drills: {error}") from error
        examined = {own.index for own in found}
        return Marks(tuple(found), tuple(index.name for index in wanted if index.name not in examined))

    def _not_refreshed(self, names: Sequence[str]) -> list[str]:
        """Make all that indices hold searchable; return the names of those where that could not be done."""
        try:
            if names:
                refresh(self.client, names)
        except SiemliteError:
            if len(names) == 1:
                return list(names)
            return [name for one in names for name in self._not_refreshed([one])]
        return []

    def view(self, detection: Detection, indices: Indices, scope: Scope, code_s: float | None = None) -> View:
        """Return a detection's view of the world `scope`; see `View` for `code_s`."""
        limits = self.limits
        return View(detection, indices, scope, limits.search_ms, limits.rows_together, limits.page, code_s)

    def run(self, step: Step[T], spent_ms: dict[None, int] | None = None) -> T:
        """Run one step alone; raises what it fails with."""
        ((_, outcome),) = run(self.searcher, [(None, step)], spent_ms)
        if isinstance(outcome, SiemliteError):
            raise outcome
        return outcome
