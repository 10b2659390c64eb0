"""The handover: what calling threads share with the writer thread.

Invariants: nothing here touches a disk, a socket or the clock; a caller never waits for the writer; a signal
handler may interrupt any of it and call it again, so the only lock is re-entrant and guards a few
instructions; what is waiting is bounded in bytes, and the last of the bound is kept for the graver events.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.events.encoded import Encoded
from pipeline.logger.encoding import Snapshot, TwoSteps
from pipeline.threads import TIMEOUT_MAX, Empty, Lock, RLock, SimpleQueue

RANKS = {"warn": 1, "error": 2, "critical": 2, "fatal": 2, "alert": 2, "emergency": 2, "emerg": 2, "panic": 2}
"""How grave a level is: 2 is shed last; every level not named here has 0 and is shed first."""

_SHARES = (0.5, 0.75, 1.0)
_OVERHEAD = 400


class Ticket:
    """What a caller waits on until the writer has dealt with everything up to its place in the queue."""

    __slots__ = ("_lock", "_resolved", "error", "stop")

    def __init__(self, *, stop: bool = False) -> None:
        """Make an unresolved ticket; `stop` asks the writer to end behind it."""
        self._lock = Lock()
        self._lock.acquire()
        self._resolved = False
        self.error: Exception | None = None
        self.stop = stop

    def resolve(self, error: Exception | None = None) -> None:
        """Let the caller go on, with `error` where its event is not durable. Only the first call counts.

        For the writer alone.
        """
        if not self._resolved:
            self._resolved = True
            self.error = error
            self._lock.release()

    @property
    def resolved(self) -> bool:
        """Whether the writer has answered."""
        return self._resolved

    def wait(self, seconds: float) -> bool:
        """Return whether the ticket was resolved within `seconds`."""
        if not self._lock.acquire(timeout=min(max(0.0, seconds), TIMEOUT_MAX)):
            return False
        self._lock.release()
        return True


class Item(NamedTuple):
    """An event on its way to the writer, its second step of encoding (by `steps`) still to be done.

    `ticket` where a caller waits until it is durable.
    """

    event: Encoded | Snapshot
    rank: int
    service: str
    received_ms: int
    steps: TwoSteps
    ticket: Ticket | None = None

    @property
    def weight(self) -> int:
        """The memory that it takes while it waits, in bytes."""
        return len(self.event.body) + _OVERHEAD


class Ready(NamedTuple):
    """An event that may be written; the rest as in `Item`."""

    encoded: Encoded
    rank: int
    service: str
    received_ms: int
    ticket: Ticket | None


@dataclass(slots=True)
class Taken:
    """What the writer took out of the queue at once, in order: events, then tickets that wait for them."""

    items: list[Item] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)

    @property
    def stop(self) -> bool:
        """Whether the writer is asked to end."""
        return any(ticket.stop for ticket in self.tickets)


class Handover:
    """A queue of at most `max_bytes` of events, many callers to one writer."""

    # No dictionary of attributes: eventlet looks through those for locks to put its own in their place.
    __slots__ = ("_bell", "_durable", "_held", "_limits", "_lock", "_queue")

    def __init__(self, max_bytes: int) -> None:
        self._limits = tuple(int(max_bytes * share) for share in _SHARES)
        self._queue: SimpleQueue[Item | Ticket | None] = SimpleQueue()
        self._durable: deque[Ticket] = deque()
        self._lock = RLock()
        self._held = 0
        self._bell = Lock()
        self._bell.acquire()

    def offer(self, item: Item) -> bool:
        """Take `item` unless its level's share of the bound is used up; return whether it was taken."""
        weight = item.weight
        with self._lock:
            # No call between reading and writing: a signal handler that runs in between would be forgotten.
            held = self._held + weight
            fits = held <= self._limits[item.rank]
            if fits:
                self._held = held
        if fits:
            if item.ticket is not None:
                self._durable.append(item.ticket)
            self._queue.put(item)
        return fits

    def refuse_durable(self, error: Exception) -> None:
        """Answer all whose events must be durable with `error`, also those behind others in the queue.

        For the writer, which then leaves out of what it takes what is answered already. Who is answered may offer
        another at once, and `error` says nothing of that.
        """
        for ticket in [self._durable.popleft() for _ in range(len(self._durable))]:
            ticket.resolve(error)

    def put_ticket(self, ticket: Ticket) -> None:
        """Queue `ticket` behind everything that was offered before."""
        self._queue.put(ticket)

    def nudge(self) -> None:
        """See to it that the writer looks up, though nothing is queued for it."""
        if self._queue.empty():
            self._queue.put(None)

    def ring(self) -> None:
        """End the writer's `nap`: somebody waits."""
        try:
            self._bell.release()
        except RuntimeError:
            return  # It rings already.

    def nap(self, seconds: float) -> None:
        """Let more events gather for `seconds`, or until somebody rings."""
        self._bell.acquire(timeout=seconds)

    def await_some(self, seconds: float | None) -> Taken | None:
        """Return what comes next (nothing, for a nudge), or `None` when nothing came within `seconds`."""
        try:
            first = self._queue.get(timeout=seconds)
        except Empty:
            return None
        taken = Taken()
        self._sort(first, taken)
        return taken

    def drain(self, taken: Taken, most: int) -> Taken:
        """Add what is queued to `taken`, up to `most` events and no further than a ticket to stop."""
        while self._durable and self._durable[0].resolved:
            self._durable.popleft()
        while len(taken.items) < most and not (taken.tickets and taken.tickets[-1].stop):
            try:
                entry = self._queue.get_nowait()
            except Empty:
                break
            self._sort(entry, taken)
        return taken

    def release(self, item: Item) -> None:
        """Give back the room of an event that the writer has dealt with."""
        weight = item.weight
        with self._lock:
            self._held -= weight

    @property
    def empty(self) -> bool:
        """Whether nothing is queued."""
        return self._queue.empty()

    @staticmethod
    def _sort(entry: Item | Ticket | None, taken: Taken) -> None:
        if isinstance(entry, Ticket):
            taken.tickets.append(entry)
        elif entry is not None:
            taken.items.append(entry)
