"""What a source yields: raw events, and the positions behind them.

Invariants: an event is still unredacted and goes nowhere but to the encoder; positions cover exactly what
this batch and those before it held, so that committing both together loses nothing. Positions only save
reading again: whoever loses them reads the same events with the same ids.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

BATCH_RECORDS = 1_000
"""Records after which a batch ends; the events of one line stay together, so a repeated one can exceed it."""


class Record(NamedTuple):
    """A raw event in the common application format or ECS; `event_id` None lets the shipper number it.

    `short` says that it was parsed from few bytes, see `quick.is_short`.
    """

    event: Mapping[str, object]
    event_id: str | None
    short: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in the order of their source, and what to give back to it at the next start.

    `received_ms` is when they were received at the latest, where the source knows it and will say the same again:
    the last change of a file that is read from beginning to end.
    """

    records: Sequence[Record] = ()
    positions: Mapping[str, str] = field(default_factory=dict)
    received_ms: int | None = None


class Source(Protocol):
    """Where events come from.

    `bytes_read` of `bytes_total` is the progress; the total of a source that never ends is what there is now.
    """

    bytes_read: int
    bytes_total: int

    def batches(self) -> Iterator[Batch]:
        """Yield what there is; a live source yields an empty batch at least every 0.25 s while it idles.

        It ends soon after `stop`, and has then yielded whatever it has read that it could not read again.
        """
        ...
