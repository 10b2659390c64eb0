"""One process's line to its spool: the queue, the thread that empties it, what that thread holds.

Invariants: the thread is started by the first event and by nothing else; it commits what waits in groups of
at most `GROUP_EVENTS` gathered for at most `GROUP_SECONDS`; a group whose commit fails stays at the head and
is tried again; the thread ends only when it is told to, with everything committed or told to be lost.
"""

import os
import random
import secrets
from collections.abc import Callable
from itertools import groupby

from pipeline import threads
from pipeline.clock import Clock
from pipeline.events.identity import WRITER_BYTES, WriterIds
from pipeline.events.values import counted
from pipeline.logger.committer import Committer, not_durable
from pipeline.logger.echo import Echo
from pipeline.logger.gaps import GapLedger
from pipeline.logger.handover import Handover, Item, Ready, Taken
from pipeline.logger.notices import LOG, Notices
from pipeline.shipping.backoff import Backoff
from pipeline.shipping.database import FAILURES

GROUP_SECONDS = 0.010
GROUP_EVENTS = 1_000
_GAP_QUIET_SECONDS = 1.0
_GAP_LONGEST_SECONDS = 60.0
_GAP_LOOK_SECONDS = 0.25
_AFTER_FAULT_SECONDS = 1.0
_ALONE_SECONDS = 1.0
_PAUSE_SECONDS = 0.0001
_FAULTS_MOST = 3
_DISK, _GAP, _THREAD = "disk", "gap", "thread"


class Line:
    """Made for the process that it is used in; a fork's child makes its own and never touches the parent's."""

    def __init__(
        self,
        handover: Handover,
        ledger: GapLedger,
        committer: Committer,
        echo: Echo,
        *,
        notices: Notices,
        clock: Clock,
        starting: Callable[[], None],
    ) -> None:
        self.handover = handover
        self.ledger = ledger
        self.pid = os.getpid()
        self.give_up_at: float | None = None
        self.quiet = threads.Lock()
        """Held while files are written, so that a fork never happens in the middle of it."""
        self._committer = committer
        self._echo = echo
        self._notices = notices
        self._clock = clock
        self._starting = starting
        self._ids = WriterIds(secrets.token_bytes(WRITER_BYTES))
        self._start_tokens = [True]
        self._backoff = Backoff(base=0.1, ceiling=5.0)
        self._gap_changes = 0
        self._gap_changed_at = 0.0
        self._gap_since: float | None = None

    def next_id(self) -> str:
        """Return the id of this line's next event."""
        return self._ids.next()

    def wake(self) -> None:
        """See to it that a thread serves the queue; cheap when one does."""
        if self._start_tokens:
            self._start()

    @property
    def idle(self) -> bool:
        """Whether no thread runs and nothing waits for one."""
        return bool(self._start_tokens) and self.handover.empty and self.ledger.empty

    def _start(self) -> None:
        try:
            token = self._start_tokens.pop()
        except IndexError:
            return  # Another thread was quicker.
        try:
            self._starting()
            threads.start(self._run)
        except RuntimeError as error:
            self._start_tokens.append(token)
            if self.give_up_at is not None:  # The interpreter ends and starts no more threads.
                self.serve_now()
            else:
                self._notices.trouble(_THREAD, f"security events wait in memory, no thread can be started: {error}")
        else:
            self._notices.over(_THREAD, "security events are written again")

    def serve_now(self) -> None:
        """Deal with everything queued in the calling thread, where no other can be had."""
        self._start_tokens.clear()
        try:
            while not self.handover.empty:
                self._serve(0.0)
        finally:
            self._start_tokens.append(True)

    def serve_alone(self, item: Item) -> None:
        """Deal with `item` where no thread runs but the calling one: what is queued might go to one that is gone."""
        if self.quiet.acquire(timeout=_ALONE_SECONDS):
            self.quiet.release()
            self._commit(Taken([item]))
            self._state_gaps(forced=True)
        else:
            LOG.error("a security event is lost: the interpreter ended in the middle of writing")
        if item.ticket is not None:
            item.ticket.resolve(not_durable(TimeoutError("the interpreter ends")))

    def _run(self) -> None:
        try:
            while self._serve(None):
                pass
        except Exception:  # noqa: BLE001 - a fault of ours must not end the writing
            LOG.exception("the writer of security events failed and begins anew")
            self.handover.nap(_AFTER_FAULT_SECONDS)
        self._start_tokens.append(True)
        # Whoever queued something after our last look found no token: look again now that there is one.
        if not self.handover.empty:
            self._start()

    def _serve(self, patience: float | None) -> bool:
        """Deal with the next group; return whether to go on."""
        if patience is None and not self.ledger.empty:
            patience = _GAP_LOOK_SECONDS
        taken = self.handover.await_some(patience)
        if taken is None:
            self._state_gaps(forced=False)
            return True
        if taken.items and taken.items[0].ticket is None:
            self.handover.nap(GROUP_SECONDS)
        self.handover.drain(taken, GROUP_EVENTS)
        self._commit(taken)
        self._state_gaps(forced=bool(taken.tickets))
        for ticket in taken.tickets:
            if not ticket.stop:
                ticket.resolve()
        if not taken.stop:
            return True
        with self.quiet:
            self._committer.close()
            self._echo.close()
        if not self.ledger.empty:
            LOG.error("%d security events are lost, and that could not be recorded", self.ledger.total)
        for ticket in taken.tickets:
            ticket.resolve()
        return False

    def _commit(self, taken: Taken) -> None:
        """Make the group durable, however long it takes, unless we are told to end by a certain time."""
        if not taken.items:
            return
        group = self._second_step([item for item in taken.items if item.ticket is None or not item.ticket.resolved])
        with self.quiet:
            self._echo.write([item.encoded for item in group])
        failures = 0
        while group:
            try:
                with self.quiet:
                    self._committer.commit(group)
            except Exception as error:  # noqa: BLE001 - whatever it is, the events are still here
                failures += 1
                self._notices.trouble(_DISK, f"security events wait in memory: {type(error).__name__}: {error}")
                group = [item for item in group if item.ticket is None]
                self.handover.refuse_durable(not_durable(error))
                if self._given_up(error, failures):
                    self._lose(group)
                    break
                self.handover.nap(self._until_next_try(failures))
            else:
                for item in group:
                    if item.ticket is not None:
                        item.ticket.resolve()
                self._notices.over(_DISK, "security events reach the spool again")
                break
        for taken_item in taken.items:
            self.handover.release(taken_item)

    def _second_step(self, items: list[Item]) -> list[Ready]:
        """Return `items` encoded to the end, each by the logger that it came from."""
        done: list[Ready] = []
        for steps, run in groupby(items, key=lambda item: item.steps):
            events = list(run)
            checked = steps.second([item.event for item in events], self._pause)
            done.extend(
                Ready(encoded, item.rank, item.service, item.received_ms, item.ticket)
                for item, encoded in zip(events, checked, strict=True)
            )
        return done

    def _pause(self) -> None:
        """Let calling threads have the interpreter for a moment."""
        self.handover.nap(_PAUSE_SECONDS)

    def _given_up(self, error: Exception, failures: int) -> bool:
        """Return whether to try no more: told to end, or a fault of ours that trying again cannot cure."""
        if self.give_up_at is not None and self._clock.monotonic() >= self.give_up_at:
            return True
        return not isinstance(error, FAILURES) and failures >= _FAULTS_MOST

    def _until_next_try(self, failures: int) -> float:
        delay = self._backoff.delay(failures, random.random())  # noqa: S311 - jitter
        if self.give_up_at is None:
            return delay
        return min(delay, max(0.0, self.give_up_at - self._clock.monotonic()))

    def _lose(self, group: list[Ready]) -> None:
        for item in group:
            self.ledger.add(item.service, item.rank, item.received_ms, "disk failed")

    def _state_gaps(self, *, forced: bool) -> None:
        now = self._clock.monotonic()
        if self.ledger.empty:
            self._gap_since = None
            return
        if self.ledger.changes != self._gap_changes:
            self._gap_changes = self.ledger.changes
            self._gap_changed_at = now
            self._gap_since = now if self._gap_since is None else self._gap_since
        quiet = now - self._gap_changed_at >= _GAP_QUIET_SECONDS
        long = self._gap_since is not None and now - self._gap_since >= _GAP_LONGEST_SECONDS
        if not (forced or quiet or long):
            return
        self._gap_since = None
        self._gap_changed_at = now
        try:
            with self.quiet:
                self._committer.state_gaps()
        except Exception as error:  # noqa: BLE001 - the gaps are still in the ledger
            shed = counted(self.ledger.total, "security event")
            self._notices.trouble(_GAP, f"{shed} shed; no room to record it: {error}")
        else:
            self._notices.over(_GAP, "what was shed is recorded as LOG_GAP")
