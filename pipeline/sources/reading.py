"""From lines to records: parse, and give each event its id.

Invariants: each line that is not blank is at least one record, in order; the events of one line differ in
the ordinal that their ids hash. A blank line (empty, or spaces only) is no event and is counted.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from pipeline.events.quick import is_short
from pipeline.sources.formats.format import Format
from pipeline.sources.keyblocks import BEGIN, KeyBlocks
from pipeline.sources.lines import Behind, Line
from pipeline.sources.pieces import Cutter
from pipeline.sources.record import BATCH_RECORDS, Record

LEFT_OUT = "bytes_left_out"
"""Metadata of an event whose line was cut: how many bytes are missing at its end."""

_BLANK_MAX = 64
_WITHIN_KEY = re.compile(r"(\d{1,3}):", re.ASCII)
_TELLING_LINES = 20


class Identity(Protocol):
    """Names the events of one file."""

    def event_id(self, offset: int, line: bytes, ordinal: int = 0) -> str:
        """Return the id of the `ordinal`-th event of the line at byte `offset`."""
        ...


class RecordMaker:
    """Makes the records of one source; without an `identity` the shipper numbers them."""

    __slots__ = ("_identity", "_keys", "blank", "format", "taken")

    def __init__(self, line_format: Format, identity: Identity | None) -> None:
        self.format = line_format
        self._identity = identity
        self._keys = KeyBlocks()
        self.blank = 0
        self.taken = 0

    @property
    def foreign(self) -> bool:
        """Return whether none of the lines so far, and they are enough to tell, is of the format."""
        return self.taken >= _TELLING_LINES and self.format.unread >= self.taken - self.blank > 0

    def snapshot(self) -> str:
        """Return what the lines so far mean to those that follow, as text."""
        state = self.format.snapshot()
        return f"{self._keys.left}:{state}" if self._keys.left else state

    def restore(self, state: str) -> None:
        """Go on from a state that `snapshot` returned; what is not one is ignored."""
        within = _WITHIN_KEY.match(state)
        if within is not None:
            self._keys.left = int(within[1])
            state = state[within.end() :]
        if state:
            self.format.restore(state)

    def batches(self, lines: Sequence[Line], cutter: Cutter) -> Iterator[tuple[list[Record], Behind]]:
        """Yield the records of `lines`, which `cutter` has just cut, and where reading goes on behind them."""
        start = 0
        while start < len(lines):
            records, start = self.take(lines, start)
            yield records, cutter.behind(lines, start - 1)

    def take(self, lines: Sequence[Line], start: int) -> tuple[list[Record], int]:
        """Return the records of a batch, and the index in `lines` of the first line that is not in it."""
        records: list[Record] = []
        append = records.append
        parse = self.format.parse
        keys = self._keys
        event_id = None if self._identity is None else self._identity.event_id
        for index in range(start, len(lines)):
            offset, data, left_out = lines[index]
            if len(data) < _BLANK_MAX and not data.strip():
                self.blank += 1
                continue
            short = is_short(data) and not left_out
            if left_out:
                events = self.format.parse_cut(data)
                for event in events:
                    event[LEFT_OUT] = left_out
            else:
                events = parse(data)
            if keys.left or BEGIN in data:
                keys.hide(events)
            if len(events) == 1:
                append(Record(events[0], event_id(offset, data) if event_id is not None else None, short))
            else:
                for ordinal, event in enumerate(events):
                    append(Record(event, event_id(offset, data, ordinal) if event_id is not None else None, short))
            if len(records) >= BATCH_RECORDS:
                self.taken += index + 1 - start
                return records, index + 1
        self.taken += len(lines) - start
        return records, len(lines)
