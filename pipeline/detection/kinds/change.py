"""`Change`: a field's value is another than the group's event before had.

Semantics: an instant `t` is a crossing where one of its events has another value of `field` than the event
before it, which may be up to `within` (exclusive) earlier. Events of the same instant are in the order of
their values, and so are several values of one event: watch a field that has one. Events without the field are not
looked at. What fits the regular expression `ignoring` is left out of both values before they are compared.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.detection.durations import days, duration_text
from pipeline.detection.kind import ByCount, Kind, Memory
from pipeline.detection.timeline import Crossing, Row, Timeline
from pipeline.detection.validation import duration, field_name, wrong


@dataclass(frozen=True, kw_only=True)
class Change(Kind):
    """Fires when `field` has another value than the group's last event, at most `within` ago, had.

    `ignoring` is a regular expression of what may differ, such as `[0-9]` for the numbers of versions.
    """

    field: str
    within: int = days(30)
    ignoring: str = ""

    windows: ClassVar[tuple[str, ...]] = ("within",)
    memory: ClassVar[Memory] = Memory.LAST

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.severity, ByCount):
            raise wrong("severity", self.severity, "a change counts nothing; use Severity.HIGH")
        field_name("field", self.field)
        if self.field in self.group:
            raise wrong("field", self.field, "watch a field that is not in group_by")
        duration("within", self.within)
        if not isinstance(self.ignoring, str):
            raise wrong("ignoring", self.ignoring, "give a regular expression as text")
        try:
            re.compile(self.ignoring)
        except re.error as error:
            raise wrong("ignoring", self.ignoring, f"give a regular expression ({error})") from None

    @property
    def required(self) -> tuple[str, ...]:
        """See `Kind.required`."""
        return (self.field,)

    @property
    def columns(self) -> tuple[str, ...]:
        """See `Kind.columns`."""
        return (self.field,)

    @property
    def evidence_ms(self) -> int:
        """See `Kind.evidence_ms`."""
        return self.within - 1

    @property
    def depth(self) -> int:
        """See `Kind.depth`."""
        return 1

    @property
    def least_events(self) -> int:
        """See `Kind.least_events`."""
        return 2

    def after_closing(self, crossings: Sequence[Crossing], cut_ms: int) -> Sequence[Crossing]:
        """See `Kind.after_closing`: what a value changes from may lie before the closing, the change does not."""
        return [crossing for crossing in crossings if crossing.time_ms > cut_ms]

    def crossings(self, timeline: Timeline, now_ms: int | None = None) -> Iterator[Crossing]:  # noqa: ARG002
        """See `Kind.crossings`. The count is the two events."""
        before: Row | None = None
        crossed: int | None = None
        for row in timeline:
            if before is not None and row.time_ms - before.time_ms < self.within and self._differ(before, row):
                if crossed != row.time_ms:
                    yield Crossing(row.time_ms, before.time_ms, 2)
                crossed = row.time_ms
            before = row

    def _differ(self, before: Row, row: Row) -> bool:
        if row.values == before.values or not self.ignoring:
            return row.values != before.values
        return re.sub(self.ignoring, "", str(row.values[0])) != re.sub(self.ignoring, "", str(before.values[0]))

    def mutations(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """See `Kind.mutations`."""
        if self.ignoring:
            yield "ignoring nothing", {"ignoring": ""}

    def summary(self) -> str:
        """See `Kind.summary`."""
        return f"{self.field} changes within {duration_text(self.within)}"
