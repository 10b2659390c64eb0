"""The coverage ledger: what each detection has really evaluated, what not, and how late.

It lies in the document of the detection's checkpoint, and both change in one write, so that it says neither more
nor less than what the checkpoint stands for. It decides nothing: one that cannot be read begins anew.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.elastic.client import part, translated
from pipeline.elastic.compare_and_set import CONTROL_INDEX
from pipeline.engine.result import Coverage
from pipeline.errors import RetryableError

_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Ledger:
    """Numbers of arrivals since the detection was first evaluated; instants and durations in milliseconds.

    `evaluated` were looked at; never will be `too_late` (beyond the late horizon), `misfiled` (in another day's
    index) and `without_group` (a field of the group is missing), nor the groups counted by `unjudged`, each time
    that the condition failed for one; `behind` are still to be. `at_ms` is the instant of the last pass that
    evaluated all that was due, `delay_ms` how long an arrival had then waited for it at most, `longest_delay_ms`
    the most that ever was; `oldest_ms` and `newest_ms` are when the last arrivals that it looked at happened.
    """

    evaluated: int = 0
    too_late: int = 0
    misfiled: int = 0
    without_group: int = 0
    unjudged: int = 0
    behind: int = 0
    at_ms: int | None = None
    delay_ms: int | None = None
    longest_delay_ms: int | None = None
    oldest_ms: int | None = None
    newest_ms: int | None = None

    def after(self, coverage: Coverage, at_ms: int, *, complete: bool) -> "Ledger":
        """Return the ledger after a pass at `at_ms`; one that is not `complete` leaves the detection waiting."""
        if not complete:
            return replace(self, behind=coverage.behind)
        delay = None if self.at_ms is None else max(0, at_ms - self.at_ms)
        longest = [one for one in (delay, self.longest_delay_ms) if one is not None]
        return Ledger(
            evaluated=self.evaluated + coverage.arrived,
            too_late=self.too_late + coverage.too_late,
            misfiled=self.misfiled + coverage.misfiled,
            without_group=self.without_group + coverage.ungrouped,
            unjudged=self.unjudged + coverage.unjudged,
            behind=coverage.behind,
            at_ms=at_ms,
            delay_ms=delay,
            longest_delay_ms=max(longest, default=None),
            oldest_ms=self.oldest_ms if coverage.oldest_ms is None else coverage.oldest_ms,
            newest_ms=self.newest_ms if coverage.newest_ms is None else coverage.newest_ms,
        )

    def to_json(self) -> dict[str, int | None]:
        """Return the ledger as a JSON-safe value."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: object) -> "Ledger":
        """Return the ledger that `to_json` wrote; an empty one for anything else."""
        if not isinstance(document, Mapping):
            return cls()
        known = {field.name: document.get(field.name) for field in fields(cls)}
        return cls(**{name: value for name, value in known.items() if type(value) is int})


def ledgers(client: Elasticsearch) -> Iterator[tuple[str, Ledger]]:
    """Yield the ledger of each detection that was ever evaluated, by the detection's id, in its order.

    Raises `RetryableError` where they cannot be read.
    """
    query: dict[str, Any] = {"term": {"type": "checkpoint"}}
    source = ["detection", "ledger"]
    what = "reading the coverage ledger"
    with translated(what):
        answer = client.search(
            index=CONTROL_INDEX, query=query, source_includes=source, size=_PAGE, ignore_unavailable=True
        )
    if part(what, answer, "timed_out") or part(what, answer, "_shards", "failed"):
        raise RetryableError(f"{what}: the answer is not whole")
    sources = [part(what, hit, "_source") for hit in part(what, answer, "hits", "hits")]
    found = {source["detection"]: source.get("ledger") for source in sources}
    for name in sorted(found):
        yield name, Ledger.from_json(found[name])
