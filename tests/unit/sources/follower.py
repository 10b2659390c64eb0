"""A follower that a test drives, look by look."""

import threading
from pathlib import Path

from pipeline.sources.follow import FollowSource
from pipeline.sources.formats.format import FormatOptions, format_factory
from pipeline.sources.record import Batch
from tests.unit.sources.clocks import StillClock

KEY = b"k" * 32


class Follower:
    """A follower that looks when it is told to, and what it gave out."""

    def __init__(self, *patterns: Path, name: str = "json", year: int | None = None) -> None:
        self.patterns = [str(pattern) for pattern in patterns]
        self.formats = format_factory(name, FormatOptions(year))
        self.clock = StillClock()
        self.said: list[str] = []
        self.positions: dict[str, str] = {}
        self.events: dict[str, dict[str, object]] = {}
        self.source = self._new()

    def _new(self) -> FollowSource:
        return FollowSource(
            self.patterns,
            self.formats,
            KEY,
            self.positions,
            clock=self.clock,
            stop=threading.Event(),
            notify=self.said.append,
        )

    def take(self, batch: Batch) -> None:
        self.positions.update(batch.positions)
        for record in batch.records:
            assert record.event_id is not None
            self.events[record.event_id] = dict(record.event)

    def look(self, seconds: float = 0.25) -> list[object]:
        """Look once, wait for `seconds`, and return the messages that are new."""
        known = len(self.events)
        for batch in self.source.poll():
            self.take(batch)
        self.clock.move(seconds)
        return [event["message"] for event in list(self.events.values())[known:]]

    def restart(self) -> None:
        self.source.close()
        self.source = self._new()

    def settle(self) -> list[object]:
        """Let everything come to rest; return the messages that are new."""
        return [message for _ in range(10) for message in self.look(3.0)]


def append(path: Path, text: str) -> None:
    with path.open("ab") as file:
        file.write(text.encode())


def held(*paths: Path) -> int:
    """Return how many descriptors of this process lead to `paths`."""
    return sum(link.resolve() in paths for link in Path("/proc/self/fd").iterdir())
