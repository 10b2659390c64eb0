"""What is known of one log: the file that is written now and those that rotation made of earlier ones.

Invariants: a part is one file's content under whatever name, known again by its first line, its inode and
what lies before the offset; a part that is done is remembered as long as rotation may show it again, and
the parts are bounded in number; a sibling that is no known part and changed at or after `since_ns` is new.
"""

from collections.abc import Callable, Mapping

from pipeline.sources.logfile import LogFile
from pipeline.sources.origin import Fingerprints
from pipeline.sources.position import Position, from_text, to_text
from pipeline.sources.tail import Inode, Signature, Tail

DONE_KEPT = 8
LOST_KEPT = 64


class Part:
    """One content: where reading stands, and the open file where there is one.

    `copy_of` is the part that this one's file is a longer copy of.
    """

    __slots__ = ("_position", "copy_of", "tail")

    def __init__(self, position: Position, copy_of: "Part | None" = None) -> None:
        self._position = position
        self.copy_of = copy_of
        self.tail: Tail | None = None

    @property
    def position(self) -> Position:
        """Where reading stands."""
        return self._position if self.tail is None else self.tail.position

    def detach(self, position: Position) -> None:
        """Remember `position`; the file is no longer open."""
        self._position = position
        self.tail = None


class Lineage:
    """The parts of the log `stem`, to which the path `path` of those that are followed leads.

    `parked` are siblings that need no look until they change, `newborn` those whose first line is not complete,
    with the monotonic second since when they look so. `unsettled` says that rotation is under way and
    the siblings are to be looked at; `dirty`, that there is something new to remember. `gone_since` is the
    monotonic second since when nothing is left of it.
    """

    def __init__(self, stem: str, since_ns: int, path: str) -> None:
        self.stem = stem
        self._path = path
        self._since_ns = since_ns
        self.parts: list[Part] = []
        self.parked: dict[Inode, Signature] = {}
        self.newborn: dict[Inode, tuple[Signature, float]] = {}
        self.unsettled = True
        self.dirty = True
        self.looked_at = 0.0
        self.gone_since: float | None = None
        self._gone_ms: int | None = None

    @classmethod
    def from_text(cls, stem: str, text: str) -> "Lineage | None":
        """Return what `as_text` was made of; None for anything else."""
        plain = from_text(text)
        if not isinstance(plain, dict) or not isinstance(plain.get("parts"), list):
            return None
        since_ns, path = plain.get("since"), plain.get("path")
        if not isinstance(since_ns, int) or not isinstance(path, str):
            return None
        lineage = cls(stem, since_ns, path)
        positions = [Position.of(value) for value in plain["parts"]]
        lineage.parts = [Part(position) for position in positions if position is not None]
        gone_ms = plain.get("gone")
        lineage._gone_ms = gone_ms if isinstance(gone_ms, int) else None
        lineage.dirty = False
        return lineage

    @property
    def path(self) -> str:
        """The path that leads to it, as people named it: it goes on where links may have changed."""
        return self._path

    @path.setter
    def path(self, path: str) -> None:
        self.dirty = self.dirty or path != self._path
        self._path = path

    @property
    def since_ns(self) -> int:
        """The time of change at or after which a sibling that is no known part is new."""
        return min([self._since_ns, *(signature.changed_ns for signature, _ in self.newborn.values())])

    def as_text(self) -> str:
        """Return what to remember."""
        parts = [part.position.as_plain() for part in self.parts]
        gone = {} if self._gone_ms is None else {"gone": self._gone_ms}
        return to_text({"since": self.since_ns, "path": self._path, "parts": parts, **gone})

    def there(self) -> None:
        """Note that something of it is there."""
        self.dirty = self.dirty or self._gone_ms is not None
        self.gone_since = self._gone_ms = None

    def gone(self, now: float, now_ms: int, at_most_s: float) -> None:
        """Note that nothing of it is there, as may have been so for up to `at_most_s` before this process began."""
        if self.gone_since is not None:
            return
        if self._gone_ms is None:
            self._gone_ms = now_ms
            self.dirty = True
        self.gone_since = now - min(max(0.0, (now_ms - self._gone_ms) / 1000), at_most_s)

    def match(self, file: LogFile, fingerprint: str, fingerprints: Fingerprints) -> Part | None:
        """Return the part that `file`, whose first line has `fingerprint`, is or continues."""
        same = [part for part in self.parts if part.position.first == fingerprint]
        same.sort(key=lambda part: (not part.position.is_of(file), part.position.done, -part.position.offset))
        return next((part for part in same if part.position.fits(file, fingerprints)), None)

    def lost(self) -> bool:
        """Return whether a part was not read to its end and is not open."""
        return any(part.tail is None and not part.position.done for part in self.parts)

    def covered(self, part: Part, consumed: int, fingerprints: Fingerprints) -> bool:
        """Return whether a copy holds what `part` had read, `consumed` bytes, and goes on from there."""
        for other in self.parts:
            if other.copy_of is part:
                return True
            if other.tail is not None and other.position.first == part.position.first:
                file = other.tail.file
                if part.position.fits(file, fingerprints) and file.read_at(consumed - 1, 1):
                    return True
        return False

    def state(self) -> str:
        """Return the state of the format after the part that changed last."""
        positions = [part.position for part in self.parts]
        return max(positions, key=lambda position: position.changed_ns).state if positions else ""

    def tails(self) -> list[Tail]:
        """Return the open files: first those that rotation has moved away, by age."""
        tails = [part.tail for part in self.parts if part.tail is not None]
        return sorted(tails, key=lambda tail: (tail.current, tail.position.changed_ns))

    def settle(self, part: Part, position: Position) -> None:
        """Note that `part` is done at `position`, and forget what is beyond reason."""
        part.detach(position)
        self._since_ns = max(self._since_ns, position.changed_ns)
        self.dirty = True
        closed = [part for part in self.parts if part.tail is None]
        closed.sort(key=lambda part: part.position.changed_ns, reverse=True)
        done = [part for part in closed if part.position.done]
        lost = [part for part in closed if not part.position.done]
        dropped = {*done[DONE_KEPT:], *lost[LOST_KEPT:]}
        self.parts = [part for part in self.parts if part not in dropped]


def remembered(
    positions: Mapping[str, str], prefix: str, leads_to: Callable[[str], bool]
) -> tuple[dict[str, Lineage], dict[str, Lineage]]:
    """Return, by stem, the logs of the positions that begin with `prefix`: those whose path is followed still, others.

    Of the others, other followers of the home may have theirs; some may turn out to be followed by another path.
    """
    ours: dict[str, Lineage] = {}
    others: dict[str, Lineage] = {}
    for name, text in positions.items():
        lineage = Lineage.from_text(name.removeprefix(prefix), text) if name.startswith(prefix) else None
        if lineage is not None:
            (ours if leads_to(lineage.path) else others)[lineage.stem] = lineage
    return ours, others
