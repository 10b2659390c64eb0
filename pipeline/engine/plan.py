"""What one bounded step evaluates: the newest arrivals first, then some of what was left behind.

Invariants: all that is pending is either part of the step or a gap of the new position; a step holds at most
`step` sequence numbers of the present and as many of the past, whatever is pending.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.engine.checkpoint import Checkpoint, Position, SeqRange, ShardId
from pipeline.engine.indices import DAY_MS, Index, Indices


@dataclass(frozen=True, slots=True)
class Portion:
    """Sequence numbers of one shard of one index that a step evaluates."""

    index: Index
    shard: int
    range: SeqRange


@dataclass(frozen=True, slots=True)
class Plan:
    """A step: its portions, the positions once they are evaluated, and how many sequence numbers remain.

    Events before `floor_ms` are too late to be evaluated; `skipped` sequence numbers are of indices that hold
    only such events. `changed` are the indices in which something arrived, whether it is part of the step or not:
    what the step looks at may lie there.
    """

    portions: tuple[Portion, ...]
    positions: Mapping[ShardId, Position] = field(default_factory=dict)
    behind: int = 0
    floor_ms: int = 0
    skipped: int = 0
    changed: frozenset[Index] = frozenset()

    @property
    def arrived(self) -> int:
        """Return how many sequence numbers the step evaluates."""
        return sum(portion.range.size for portion in self.portions)


def plan(since: Checkpoint, indices: Indices, now_ms: int, late_horizon_ms: int, step: int) -> Plan:
    """Return the next step after the checkpoint `since`."""
    # A clock that was ahead for a pass makes nothing that arrives now late.
    floor_ms = (now_ms if since.caught_up_ms is None else min(now_ms, since.caught_up_ms)) - late_horizon_ms
    evaluated: dict[ShardId, list[SeqRange]] = {}
    portions: list[Portion] = []
    skipped = 0
    changed: set[Index] = set()
    shards = sorted(indices.shards(), key=lambda entry: (-_day(entry[0]), entry[0].name, entry[1].shard))
    present = past = step
    for index, shard, upto in shards:
        position = since.position(shard)
        newest = SeqRange(max(position.seen, upto - present), upto)
        if upto <= position.seen:
            continue
        changed.add(index)
        if index.day_ms is not None and index.day_ms + DAY_MS <= floor_ms:
            skipped += upto - position.seen
            evaluated[shard] = [SeqRange(position.seen, upto)]
        elif newest.size:
            present -= newest.size
            evaluated[shard] = [newest]
            portions.append(Portion(index, shard.shard, newest))
    for index, shard, upto in shards:
        position = since.position(shard).after(evaluated.get(shard, ()), upto)
        for gap in reversed(position.gaps):
            part = SeqRange(max(gap.after, gap.upto - past), gap.upto)
            if part.size:
                past -= part.size
                evaluated.setdefault(shard, []).append(part)
                portions.append(Portion(index, shard.shard, part))
    positions = {shard: since.position(shard).after(evaluated.get(shard, ()), upto) for _, shard, upto in shards}
    if indices.missing:
        positions = {**since.positions, **positions}
    behind = sum(gap.size for position in positions.values() for gap in position.gaps)
    too_late = 0 if since.caught_up_ms is None else skipped
    changed |= {portion.index for portion in portions}
    return Plan(tuple(portions), positions, behind, floor_ms, too_late, frozenset(changed))


def _day(index: Index) -> int:
    return 2**62 if index.day_ms is None else index.day_ms
