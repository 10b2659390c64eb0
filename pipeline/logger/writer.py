"""The writers: one per process and home, shared by every `SecurityLogger` of the process.

Invariants: making a writer opens nothing; a fork's child gets a line of its own at its first event and never
touches, closes or writes again what was the parent's; at the interpreter's end everything queued is
committed, and what is logged still later is committed before the call returns.
"""

import atexit
import importlib
import os
import sys
import threading
import weakref
from functools import partial
from pathlib import Path

from pipeline import threads
from pipeline.clock import Clock
from pipeline.logger.committer import Committer, not_durable
from pipeline.logger.echo import Echo
from pipeline.logger.encoding import TwoSteps
from pipeline.logger.gaps import GapLedger
from pipeline.logger.handover import Handover, Item, Ticket
from pipeline.logger.line import Line
from pipeline.logger.local import RotatingFile
from pipeline.logger.notices import LOG, Notices
from pipeline.settings import Settings
from pipeline.shipping.forks import ForkLock
from pipeline.shipping.spool import SpoolFullError

DURABLE_SECONDS = 30.0
"""How long a durable call waits for a disk that neither takes the event nor refuses it."""

_EXIT_SECONDS = 5.0
_LATE_SECONDS = 1.0
_FORK_SECONDS = 5.0
_GIVE_UP_SHARE = 0.8
_SENDING = ("pipeline.app.shipping", "ship_in_process")


class Writer:
    """Brings encoded events into this process's spool in the home that `settings` name."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._steps = TwoSteps(settings)
        self._clock = clock
        self._users: weakref.WeakSet[object] = weakref.WeakSet()
        self._inherited: list[Line] = []
        self._ending = False
        self._sending = False
        self._forking = False
        self._line = self._new_line()

    @property
    def settings(self) -> Settings:
        """The settings that it was made with."""
        return self._settings

    def line(self) -> Line:
        """Return this process's line."""
        line = self._line
        if line.pid != os.getpid():  # A fork that bypassed Python's hooks.
            self.renew()
            line = self._line
        return line

    def write(self, line: Line, item: Item) -> None:
        """Hand `item` over; see to it that it is written or counted as shed.

        Raises `RetryableError` for an item with a ticket that is not durable.
        """
        if self._ending and sys.is_finalizing():
            line.serve_alone(item)
            if item.ticket is not None and item.ticket.error is not None:
                raise item.ticket.error
            return
        if not line.handover.offer(item):
            if item.ticket is not None:
                raise SpoolFullError("the queue is full (SIEMLITE_QUEUE_MAX_BYTES); the event is not kept")
            line.ledger.add(item.service, item.rank, item.received_ms, "queue full")
            line.handover.nudge()
        line.wake()
        if item.ticket is not None:
            line.handover.ring()
            if not item.ticket.wait(DURABLE_SECONDS):
                raise not_durable(TimeoutError(f"the disk did not answer within {DURABLE_SECONDS:.0f} s"))
            if item.ticket.error is not None:
                raise item.ticket.error
        elif self._ending:
            self.flush(_LATE_SECONDS)

    def flush(self, seconds: float) -> bool:
        """Return whether all that was handed over before is durable, or stated as shed, within `seconds`."""
        return self._await(Ticket(), seconds)

    def stop(self, seconds: float) -> bool:
        """Flush and close the spool; the next event opens a new one."""
        line = self.line()
        line.give_up_at = self._clock.monotonic() + seconds * _GIVE_UP_SHARE
        try:
            return self._await(Ticket(stop=True), seconds)
        finally:
            if not self._ending:
                line.give_up_at = None

    def use(self, user: object) -> None:
        """Note that the logger `user` writes here, as long as it exists."""
        self._users.add(user)

    def leave(self, user: object, seconds: float) -> bool:
        """Flush; the last logger to leave closes the spool. Return as `flush` does."""
        self._users.discard(user)
        return self.flush(seconds) if self._users else self.stop(seconds)

    def end(self) -> None:
        """The interpreter ends: commit everything, and from now on each event at once."""
        self._ending = True
        line = self.line()
        line.give_up_at = self._clock.monotonic() + _EXIT_SECONDS * _GIVE_UP_SHARE
        if not self._await(Ticket(stop=True), _EXIT_SECONDS):
            LOG.error("the interpreter ends before all security events are on disk; those still queued are lost")

    def _end_of_celery_child(self, **_: object) -> None:
        self.end()

    def before_fork(self) -> None:
        """Wait until the line writes nothing: SQLite's own locks must be free in the child."""
        self._forking = self._line.quiet.acquire(timeout=_FORK_SECONDS)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._forking:
            self._line.quiet.release()

    def renew(self) -> None:
        """Be the writer of a child: keep the parent's line as it is, for ever, and begin with nothing queued."""
        self._inherited.append(self._line)
        self._sending = False
        self._ending = False
        self._line = self._new_line()

    def _await(self, ticket: Ticket, seconds: float) -> bool:
        line = self.line()
        if line.idle:
            return True
        line.handover.put_ticket(ticket)
        line.handover.ring()
        line.wake()
        return ticket.wait(seconds) and ticket.error is None

    def _new_line(self) -> Line:
        settings, ledger, notices = self._settings, GapLedger(), Notices()
        committer = Committer(
            settings.spool_folder, settings.siemlite_spool_max_bytes, ledger, self._steps, self._clock
        )
        file = None
        if settings.siemlite_security_log is not None:
            file = RotatingFile(
                settings.siemlite_security_log,
                max_bytes=settings.siemlite_security_log_max_bytes,
                backups=settings.siemlite_security_log_backups,
                clock=self._clock,
            )
        echo = Echo(file, notices, self._clock, console=settings.siemlite_console)
        handover = Handover(settings.siemlite_queue_max_bytes)
        return Line(handover, ledger, committer, echo, notices=notices, clock=self._clock, starting=self._starting)

    def _starting(self) -> None:
        """Runs in the thread of the first event, before the line's thread starts: nothing slow here."""
        for name in ("multiprocessing.util", "billiard.util"):  # billiard is Celery's
            util = sys.modules.get(name)
            if util is not None:
                # Its children end without the interpreter's exit functions.
                util.Finalize(None, self.end, exitpriority=0)
        signals = sys.modules.get("celery.signals")
        if signals is not None:
            # A child of Celery's pool ends by os._exit: neither finalizers nor exit functions run in it.
            signals.worker_process_shutdown.connect(self._end_of_celery_child, weak=False)
        if self._settings.siemlite_ship_in_process and not self._sending:
            self._sending = True
            threads.start_as_now(partial(_send_in_process, self._settings))


_SHARED = tuple(
    f"siemlite_{name}"
    for name in (
        "spool_max_bytes",
        "queue_max_bytes",
        "security_log",
        "security_log_max_bytes",
        "security_log_backups",
        "console",
        "ship_in_process",
    )
)
_writers: dict[Path, Writer] = {}


def writer_for(settings: Settings, clock: Clock) -> Writer:
    """Return this process's writer for the home of `settings`; the first logger's settings decide."""
    home = settings.siemlite_home.absolute()
    writer = _writers.get(home)
    if writer is None:
        writer = _writers.setdefault(home, Writer(settings, clock))
    if any(getattr(writer.settings, name) != getattr(settings, name) for name in _SHARED):
        LOG.warning("two security loggers of one home have different settings for its spool; the first one's hold")
    return writer


def _send_in_process(settings: Settings) -> None:
    """Let the application send what it logs. Found by name, because a logger knows no Elasticsearch."""
    module, function = _SENDING
    try:
        with _importing:
            begin = getattr(importlib.import_module(module), function)
        begin(settings)
    except Exception as error:  # noqa: BLE001 - told, whatever it is; the spool keeps the events
        LOG.error("SIEMLITE_SHIP_IN_PROCESS: sending does not start: %s", error)


_importing = ForkLock()
"""Held while modules are imported: what a fork leaves half-imported, a child waits for at its own import."""

_waited = threading.local()


def _before_fork() -> None:
    _waited.importing = _importing.lock.acquire(timeout=_FORK_SECONDS)
    for writer in list(_writers.values()):
        writer.before_fork()


def _after_fork_in_parent() -> None:
    for writer in list(_writers.values()):
        writer.after_fork_in_parent()
    if _waited.importing:
        _importing.lock.release()


def _after_fork_in_child() -> None:
    _importing.renew()
    for writer in list(_writers.values()):
        writer.renew()


def _at_exit() -> None:
    for writer in list(_writers.values()):
        writer.end()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
