"""What a detection has evaluated: sequence numbers, per index and shard.

Invariants: a sequence number is counted as evaluated only when its event was; what was skipped to look at
the present first is kept as a gap until it is evaluated too; an index is known by its UUID, and a shard by the
history of its operations, so that one that was made again, empty or from a snapshot, starts from nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.errors import PermanentError


class ShardId(NamedTuple):
    """A shard of an index, by the index's UUID, and the UUID of the history that its sequence numbers belong to.

    `history` is empty in checkpoints from before it was noted.
    """

    uuid: str
    shard: int
    history: str = ""


class SeqRange(NamedTuple):
    """Sequence numbers above `after`, up to and including `upto`."""

    after: int
    upto: int

    @property
    def size(self) -> int:
        """Return how many sequence numbers there are."""
        return max(0, self.upto - self.after)


@dataclass(frozen=True, slots=True)
class Position:
    """All up to `seen` is evaluated but for `gaps`, which are in rising order and do not touch."""

    seen: int = -1
    gaps: tuple[SeqRange, ...] = ()

    def pending(self, upto: int) -> tuple[SeqRange, ...]:
        """Return what is not evaluated up to the sequence number `upto`, oldest first."""
        newest = (SeqRange(self.seen, upto),) if upto > self.seen else ()
        return (*self.gaps, *newest)

    def after(self, evaluated: Iterable[SeqRange], upto: int) -> "Position":
        """Return the position once `evaluated`, ranges of `pending(upto)`, are done."""
        left = list(self.pending(upto))
        for done in evaluated:
            left = [piece for range_ in left for piece in _without(range_, done)]
        return Position(max(self.seen, upto), _joined(left))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a detection stands. `Checkpoint()` has evaluated nothing.

    `caught_up_ms` is the instant from which lateness is reckoned: that of the last pass that left nothing pending,
    or of the first; `clock_ms` is the instant up to which conditions that follow the clock were evaluated, and
    `hold_ms` that until which they are put off. None means never. `delay_ms` is the kind's, as it was then.
    """

    positions: Mapping[ShardId, Position] = field(default_factory=dict)
    caught_up_ms: int | None = None
    clock_ms: int | None = None
    hold_ms: int | None = None
    delay_ms: int = 0

    @property
    def behind(self) -> int:
        """Return how many sequence numbers were passed over and are still to be evaluated."""
        return sum(gap.size for position in self.positions.values() for gap in position.gaps)

    def position(self, shard: ShardId) -> Position:
        """Return where the detection stands in `shard`."""
        known = self.positions.get(shard)
        return known or self.positions.get(ShardId(shard.uuid, shard.shard), Position())

    def to_json(self, shards: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the checkpoint as a JSON-safe value; `shards` are its positions so, where they are known."""
        return {
            "shards": positions_to_json(self.positions) if shards is None else shards,
            "caught_up_ms": self.caught_up_ms,
            "clock_ms": self.clock_ms,
            "hold_ms": self.hold_ms,
            "delay_ms": self.delay_ms,
        }

    @classmethod
    def from_json(
        cls, document: Mapping[str, Any], positions: Mapping[ShardId, Position] | None = None
    ) -> "Checkpoint":
        """Return the checkpoint that `to_json` wrote; `positions` are its own, where they are known.

        Raises `PermanentError` for anything else.
        """
        try:
            if positions is None:
                positions = positions_from_json(document["shards"])
            instants = (document["caught_up_ms"], document["clock_ms"], document.get("hold_ms"))
            caught_up, clock, hold = (None if instant is None else int(instant) for instant in instants)
            delay = int(document.get("delay_ms", 0))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PermanentError(f"a stored checkpoint cannot be read: {error!r}") from None
        return cls(positions, caught_up, clock, hold, delay)


def positions_to_json(positions: Mapping[ShardId, Position]) -> dict[str, Any]:
    """Return `positions` as a JSON-safe value."""
    return {
        _name(shard): [position.seen, [list(gap) for gap in position.gaps]]
        for shard, position in sorted(positions.items())
    }


def positions_from_json(shards: Mapping[str, Any]) -> dict[ShardId, Position]:
    """Return the positions that `positions_to_json` wrote."""
    return {
        _shard(name): Position(int(seen), tuple(SeqRange(int(after), int(upto)) for after, upto in gaps))
        for name, (seen, gaps) in shards.items()
    }


def _name(shard: ShardId) -> str:
    return f"{shard.uuid}/{shard.shard}/{shard.history}" if shard.history else f"{shard.uuid}/{shard.shard}"


def _shard(name: str) -> ShardId:
    place, _, last = name.rpartition("/")
    if last.isdigit():
        return ShardId(place, int(last))
    uuid, _, shard = place.rpartition("/")
    return ShardId(uuid, int(shard), last)


def _without(whole: SeqRange, part: SeqRange) -> tuple[SeqRange, ...]:
    pieces = (
        SeqRange(whole.after, min(whole.upto, part.after)),
        SeqRange(max(whole.after, part.upto), whole.upto),
    )
    if part.upto <= whole.after or part.after >= whole.upto:
        return (whole,)
    return tuple(piece for piece in pieces if piece.size)


def _joined(ranges: Iterable[SeqRange]) -> tuple[SeqRange, ...]:
    joined: list[SeqRange] = []
    for range_ in sorted(range_ for range_ in ranges if range_.size):
        if joined and range_.after <= joined[-1].upto:
            joined[-1] = SeqRange(joined[-1].after, max(joined[-1].upto, range_.upto))
        else:
            joined.append(range_)
    return tuple(joined)
