"""One detection's view of the events: what it looks at, in one world, over the days that matter."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.detection.conditions import Query
from pipeline.detection.detection import Detection
from pipeline.detection.kind import Kind
from pipeline.engine.indices import Indices
from pipeline.engine.queries import times
from pipeline.engine.scope import Scope
from pipeline.engine.steps import PAGE_FIRST, PAGE_NEXT, Bucket, Step, pages


@dataclass(frozen=True, slots=True)
class View:
    """Reads `detection`'s events of the world `scope`; the server gives up a search after `timeout_ms`.

    Groups of up to `rows_together` events are read together, larger ones alone; `page` is the largest page. A condition
    that is a function may take `code_s` seconds in all, with no limit where that is None.
    """

    detection: Detection
    indices: Indices
    scope: Scope
    timeout_ms: int = 20_000
    rows_together: int = 10_000
    page: int = PAGE_NEXT
    code_s: float | None = None

    @property
    def kind(self) -> Kind:
        """Return the detection's kind."""
        return self.detection.kind

    @property
    def group_by(self) -> tuple[str, ...]:
        """Return the fields of a group."""
        return self.detection.group_by

    def names(self, first_ms: int, last_ms: int) -> tuple[str, ...]:
        """Return the indices that can hold events of `[first_ms, last_ms]`."""
        return self.indices.overlapping(first_ms, last_ms)

    def query(self, first_ms: int, last_ms: int, *clauses: Query) -> Query:
        """Return the query for the detection's events of `[first_ms, last_ms]` that fit `clauses`."""
        return self.scope.query(times(first_ms, last_ms), self.kind.clause.query(), *clauses)

    def loosely(self, first_ms: int, last_ms: int, *clauses: Query) -> Query:
        """Return the same, for who may also be told of events that were marked since the marks were read."""
        return self.scope.loosely(times(first_ms, last_ms), self.kind.clause.query(), *clauses)

    def buckets(
        self,
        window: tuple[int, int],
        clauses: Sequence[Query],
        sources: Sequence[Mapping[str, Any]],
        take: Callable[[list[Bucket]], bool],
        *,
        aggs: Mapping[str, Any] | None = None,
        size: int = PAGE_FIRST,
        loosely: bool = False,
    ) -> Step[None]:
        """Read all buckets of the detection's events in `window`, as `steps.pages` does; see `loosely`."""
        first_ms, last_ms = window
        if first_ms > last_ms:
            return
        yield from pages(
            self.names(first_ms, last_ms),
            (self.loosely if loosely else self.query)(first_ms, last_ms, *clauses),
            sources,
            take,
            aggs=aggs,
            size=min(size, self.page),
            largest=self.page,
            timeout_ms=self.timeout_ms,
        )
