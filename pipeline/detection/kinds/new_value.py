"""`NewValue`: a value, or a combination of values, that a group has not had for long.

Semantics: an instant `t` is a crossing where one of its events has a combination of values of `fields` that no
event of the group in `(t - over, t)` has. A group's very first event, with nothing in that time before it, is
no crossing unless `first_too`. Events that lack one of the fields are not looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, ClassVar

from pipeline.detection.durations import days, duration_text
from pipeline.detection.kind import ByCount, Kind, Memory
from pipeline.detection.timeline import Crossing, Scalar, Timeline
from pipeline.detection.validation import duration, field_name, flag, wrong


@dataclass(frozen=True, kw_only=True)
class NewValue(Kind):
    """Fires when a group has values of `fields` that it has not had in the last `over` milliseconds."""

    fields: str | tuple[str, ...]
    over: int = days(30)
    first_too: bool = False

    windows: ClassVar[tuple[str, ...]] = ("over",)
    memory: ClassVar[Memory] = Memory.LAST_OF_EACH
    remembers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        flag("first_too", self.first_too)
        if isinstance(self.severity, ByCount):
            raise wrong("severity", self.severity, "a new value is no count; use Severity.HIGH")
        if isinstance(self.fields, list):
            object.__setattr__(self, "fields", tuple(self.fields))
        if not isinstance(self.fields, str | tuple) or not self.columns:
            raise wrong("fields", self.fields, "name one or several fields")
        for name in self.columns:
            field_name("fields", name)
        if set(self.columns) & set(self.group):
            raise wrong("fields", self.fields, "watch fields that are not in group_by")
        duration("over", self.over)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """See `Kind.columns`."""
        return (self.fields,) if isinstance(self.fields, str) else tuple(self.fields)

    @property
    def required(self) -> tuple[str, ...]:
        """See `Kind.required`."""
        return self.columns

    @property
    def evidence_ms(self) -> int:
        """See `Kind.evidence_ms`."""
        return self.over - 1

    @property
    def influence_ms(self) -> int:
        """See `Kind.influence_ms`; a late event can turn a group's next one from its first into a new one."""
        return 0 if self.first_too else self.over - 1

    @property
    def depth(self) -> int:
        """See `Kind.depth`."""
        return 2**31

    @property
    def least_events(self) -> int:
        """See `Kind.least_events`."""
        return 1 if self.first_too else 2

    def crossings(self, timeline: Timeline, now_ms: int | None = None) -> Iterator[Crossing]:  # noqa: ARG002
        """See `Kind.crossings`. The count is that of the new combinations."""
        latest: dict[tuple[Scalar, ...], int] = {}
        last: int | None = None
        for instant, rows in groupby(timeline, key=lambda row: row.time_ms):
            values = [row.values for row in rows]
            known = last is not None and instant - last < self.over
            new = [value for value in values if value not in latest or instant - latest[value] >= self.over]
            if new and (known or self.first_too):
                yield Crossing(instant, instant, len(new))
            latest.update(dict.fromkeys(values, instant))
            last = instant

    def mutations(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """See `Kind.mutations`."""
        yield "first_too inverted", {"first_too": not self.first_too}

    def summary(self) -> str:
        """See `Kind.summary`."""
        return f"{' and '.join(self.columns)} not seen for {duration_text(self.over)}"
