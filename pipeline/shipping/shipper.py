"""The shipper: takes chunks from spools and gives them to Elasticsearch until they are settled.

Invariants:
- A chunk is in the hands of one worker at a time, and leaves its spool only when each of its events was
  stored, or is kept in the dead letters with a skeleton behind it.
- Nothing is sent before the index template is there (see `gate`).
- A claim that was not settled, for whatever reason, goes back in line.
- A failed request says nothing of its events: they are sent again, after a delay with full jitter, by one
  worker at a time until one succeeds. An event that must wait does not hold up the others.
- A spool that cannot be read is left alone for a while, and keeps no other from being sent.
- What was sent is shown to `on_sent` before it leaves its spool.
- File space that a backlog took is given back while sending goes on, and wholly once there is nothing to send.
- Whatever holds the shipper up is said once when it starts, each kind of it, and once when it ends.
"""

import logging
import random
import sqlite3
import threading
from collections.abc import Callable, Sequence

from elasticsearch import Elasticsearch

from pipeline.clock import Clock
from pipeline.elastic.client import TooLargeError
from pipeline.errors import ConfigurationError, RetryableError
from pipeline.events.encoded import stamped
from pipeline.shipping.backoff import Backoff
from pipeline.shipping.bulk import Item, Verdict, lines_of, send
from pipeline.shipping.database import UnusableSpoolError
from pipeline.shipping.gate import Gate
from pipeline.shipping.letters import DeadLetters, Letter, buried
from pipeline.shipping.pace import Pace, Shipped
from pipeline.shipping.queue import Claim, Queues
from pipeline.shipping.spool import Chunk, Spool

_log = logging.getLogger(__name__)

REQUEST_BYTES = 2 * 1024 * 1024
_SMALLEST_REQUEST = 1024
_REQUEST_SECONDS = 60.0
_IDLE_SECONDS = 0.05
_SMALL_BYTES = 256 * 1024
_GATHER_SECONDS, _GATHER_AT_MOST_SECONDS = 0.1, 2.0
"""After a small request more events are let gather in its spool, the longer the more spools do so: many small requests
cost Elasticsearch most of its time. The other spools, of which many may hold one event each, do not wait."""

_GIVE_BACK_EVERY = 256
_QUIET_SECONDS = 1.0
_BROKEN_SECONDS = 5.0
"""How long a spool is left alone that cannot be read."""


class Shipper:
    """Sends what its spools hold, with up to `workers` requests at once.

    `notify` is told, in one line, what holds the shipper up and when it goes on; `on_sent` is given the lines of
    each request that was answered. The caller holds each spool's sender's lock.
    """

    def __init__(
        self,
        client: Elasticsearch,
        letters: DeadLetters,
        clock: Clock,
        *,
        notify: Callable[[str], None],
        on_sent: Callable[[bytes], None] | None = None,
        workers: int = 2,
        backoff: Backoff | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._bulk = client.options(request_timeout=_REQUEST_SECONDS)
        self._gate = Gate(client, clock, notify)
        self._letters = letters
        self._clock = clock
        self._notify = notify
        self._on_sent = on_sent
        self._workers = workers
        self._pace = Pace(workers, backoff or Backoff(ceiling=5.0), rng or random.Random())  # noqa: S311 - jitter
        self._mutex = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._queues = Queues()
        self._request_bytes = REQUEST_BYTES

    def add(self, spool: Spool) -> None:
        """Send from `spool` too."""
        with self._mutex:
            self._queues.add(spool)

    def remove(self, spool: Spool) -> bool:
        """Send no more from `spool`; return whether it was possible (nothing of it is in flight)."""
        with self._mutex:
            return self._queues.remove(spool)

    def start(self) -> None:
        """Start the workers."""
        for number in range(self._workers):
            thread = threading.Thread(target=self._work, name=f"shipper-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, seconds: float = _REQUEST_SECONDS) -> None:
        """Let the workers end what they do now, and wait for them up to `seconds`."""
        self._stop.set()
        deadline = self._clock.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._clock.monotonic()))

    @property
    def alive(self) -> bool:
        """Return whether every worker runs."""
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def drained(self) -> bool:
        """Return whether the spools held nothing when this was asked."""
        with self._mutex:
            if self._queues.in_flight:
                return False
            spools = self._queues.spools
        return all(spool.depth().events == 0 for spool in spools)

    def shipped(self) -> Shipped:
        """Return the figures so far."""
        with self._mutex:
            return self._pace.shipped

    def _work(self) -> None:
        settled = 0
        while not self._stop.is_set():
            claim = None
            done = False
            try:
                claim = self._claim()
                if claim is None:
                    self._tidy()
                    self._clock.wait(self._stop, _IDLE_SECONDS)
                    continue
                self._deliver(claim)
                done = True
                settled += 1
                if settled % _GIVE_BACK_EVERY == 0:
                    claim.spool.give_back()
            except UnusableSpoolError as error:
                if claim is not None:
                    self._rest(claim.spool, error)
            except (RetryableError, ConfigurationError) as error:
                self._held_up(str(error))
            except Exception as error:  # noqa: BLE001 - a worker that died would hold up everything unseen
                if claim is not None and isinstance(error, sqlite3.Error):
                    self._rest(claim.spool, error)
                else:
                    _log.exception("the shipper stumbled and goes on")
                    self._held_up(f"{type(error).__name__} in the shipper; see the log")
            finally:
                if claim is not None:
                    self._release(claim, done=done)

    def _claim(self) -> Claim | None:
        broken: list[tuple[Spool, Exception]] = []
        with self._mutex:
            now = self._clock.monotonic()
            claim = self._queues.claim(now, self._request_bytes, broken) if self._pace.may_start(now) else None
            if claim is not None:
                self._pace.active += 1
        for spool, error in broken:
            self._rest(spool, error)
        return claim

    def _rest(self, spool: Spool, error: Exception) -> None:
        """Leave a spool alone for a while that cannot be read or settled."""
        text = f"spool {spool.path} cannot be sent from: {error}; the others are sent, and it is tried again"
        with self._mutex:
            fresh = self._queues.rest(spool, text, self._clock.monotonic() + _BROKEN_SECONDS)
        if fresh:
            self._notify(text)

    def _release(self, claim: Claim, *, done: bool) -> None:
        """Let go of the claim; one that is not `done` goes back in line, and the shipper's pause delays it."""
        small = claim.size < min(_SMALL_BYTES, self._request_bytes // 2)
        now = self._clock.monotonic()
        with self._mutex:
            self._pace.active -= 1
            others = self._queues.gathering(now)
            gather = min(_GATHER_AT_MOST_SECONDS, _GATHER_SECONDS * (1 + others)) if done and small else 0.0
            self._queues.let_go(claim, done=done, tidy_at=now + _QUIET_SECONDS, gathers_until=now + gather)

    def _tidy(self) -> None:
        """Give back the file space of a spool from which nothing was sent for a while, a step at a time."""
        now = self._clock.monotonic()
        with self._mutex:
            queue = self._queues.quiet(now)
        if queue is None:
            return
        try:
            more = queue.spool.give_back()
        except (OSError, sqlite3.Error, UnusableSpoolError) as error:
            _log.warning("the file space of %s cannot be given back now: %s", queue.spool.path.name, error)
            return
        if more:
            queue.tidy_at = now

    def _deliver(self, claim: Claim) -> None:
        self._gate.pass_through()
        body = claim.body
        try:
            items = send(self._bulk, stamped(body, self._clock.now_ms()), claim.events)
        except TooLargeError as error:
            self._split(claim, body, str(error))
            return
        if self._on_sent is not None:
            self._on_sent(body)
        if items is None:
            claim.spool.settle(claim.chunks)
            self._succeeded(stored=claim.events)
        else:
            self._sort_out(claim, lines_of(body), items)

    def _sort_out(self, claim: Claim, lines: Sequence[bytes], items: Sequence[Item]) -> None:
        later: list[bytes] = []
        skeletons: list[bytes] = []
        letters: list[Letter] = []
        refused = 0
        waits = ""
        for event, item in zip(lines, items, strict=True):
            if item.verdict in (Verdict.LATER, Verdict.BLOCKED):
                later.append(event)
                waits = waits or item.reason
            elif item.verdict is Verdict.REFUSED:
                letter, remains = buried(event, item.reason, self._clock.now_ms())
                letters.append(letter)
                if remains:
                    refused += 1  # a skeleton that is refused as well is no further event
                    skeletons.append(remains)
        if letters:
            self._letters.keep(letters)
        remainder = [_chunk(part) for part in (later, skeletons) if part]
        ids = claim.spool.settle(claim.chunks, remainder, refused=refused)
        stored = claim.events - len(later) - len(letters)
        if later:
            self._delay(claim.spool, ids[0])
            self._held_up(waits, stored=stored, refused=refused, whole=False)
        else:
            self._succeeded(stored=stored, refused=refused)

    def _split(self, claim: Claim, body: bytes, reason: str) -> None:
        lines = lines_of(body)
        if len(lines) == 1:
            self._sort_out(claim, lines, [Item(Verdict.REFUSED, reason)])
            return
        with self._mutex:
            self._request_bytes = max(_SMALLEST_REQUEST, min(self._request_bytes, len(body) // 2))
        half = len(lines) // 2
        claim.spool.settle(claim.chunks, [_chunk(lines[:half]), _chunk(lines[half:])])

    def _delay(self, spool: Spool, chunk_id: int) -> None:
        with self._mutex:
            delay = self._pace.delay(self._queues.failed(spool))
            self._queues.delay(spool, chunk_id, self._clock.monotonic() + delay)

    def _held_up(self, reason: str, *, stored: int = 0, refused: int = 0, whole: bool = True) -> None:
        self._gate.doubt()
        with self._mutex:
            now = self._clock.monotonic()
            fresh = self._pace.held_up(reason, now, stored=stored, refused=refused, whole=whole)
        if fresh:
            self._notify(f"waiting: {reason}; nothing is lost, trying again")

    def _succeeded(self, *, stored: int, refused: int = 0) -> None:
        with self._mutex:
            self._queues.succeeded()
            was_held_up = self._pace.succeeded(stored=stored, refused=refused)
        if was_held_up:
            self._notify("going on: Elasticsearch takes events again")


def _chunk(lines: Sequence[bytes]) -> Chunk:
    return Chunk(b"".join(lines), len(lines))
