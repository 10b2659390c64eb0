"""The daemon: passes, deliveries and the lease, each a job of its own, until it is told to stop.

Wiring: the composition root makes the parts and calls `Scheduler(parts, interval_s=…).run(stop)`, where `stop`
is set by SIGTERM. Invariants: only the holder of the lease evaluates and delivers; the checkpoint, and not the
schedule, decides what a pass evaluates, and when something remains the next pass follows at once; an alert is
delivered while the pass that found it goes on; Elasticsearch being away is waited out; nothing that a pass raises
ends the daemon; after `stop` is set it returns within 5 s, leaving behind whatever does not end by then, which is
safe at every point.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pipeline.clock import Clock
from pipeline.detection.detection import Detection
from pipeline.engine.protocol import Evaluator
from pipeline.errors import ConfigurationError, RetryableError, SiemliteError
from pipeline.scheduler.availability import Availability
from pipeline.scheduler.checkpoints import Checkpoints
from pipeline.scheduler.health import Health, Vitals
from pipeline.scheduler.jobs import Jobs
from pipeline.scheduler.lease import RENEW_S, Lease
from pipeline.scheduler.passes import Alerts, PassOutcome, run_pass
from pipeline.scheduler.report import Report
from pipeline.scheduler.systemd import Systemd

DISPATCH_S = 1.0
TICK_S = 1.0
REST_SHARE = 0.25
"""A pass that took longer than the interval is followed by the next after this part of its own time."""

END_S = 2.5
"""Seconds that a running step is given to end; giving back the lease and leaving take what is left of the 5 s."""

RELEASE_S = 0.5
_CLOCK_STEP_MS = 2_000

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Deliveries(Protocol):
    """What brings alerts to people; `pipeline.delivery.dispatcher.Dispatcher` is one."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the names of the channels."""
        ...

    def dispatch_due(self, channel: str | None = None, stop: threading.Event | None = None) -> int:
        """See `Dispatcher.dispatch_due`."""
        ...


@dataclass(frozen=True, slots=True)
class Chore:
    """Something else that is done at intervals: by the leader, or, where it needs no Elasticsearch, by everybody."""

    name: str
    run: Callable[[], object]
    every_s: float
    by_leader: bool = True


@dataclass(frozen=True, slots=True)
class Parts:
    """What the daemon works with.

    `detections` is asked anew for each pass; `on_pass` is told of each pass and the seconds it took, `on_failure`
    of each that failed as a whole.
    """

    detections: Callable[[], Sequence[Detection]]
    engine: Evaluator
    alerts: Alerts
    deliveries: Deliveries
    checkpoints: Checkpoints
    lease: Lease
    clock: Clock
    availability: Availability
    vitals: Vitals
    chores: tuple[Chore, ...] = ()
    on_pass: tuple[Callable[[PassOutcome, float], None], ...] = ()
    on_failure: tuple[Callable[[], None], ...] = ()
    systemd: Systemd | None = None
    health: Health | None = None


class Scheduler:
    """Runs the daemon."""

    def __init__(self, parts: Parts, *, interval_s: float) -> None:
        self._parts = parts
        self._interval_s = interval_s
        self._clock = parts.clock
        self._stop = threading.Event()
        self._jobs = Jobs(parts.clock)
        self._availability = parts.availability
        self._report = Report(parts.clock)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set. Raises nothing that happens in a job."""
        self._stop = stop
        parts = self._parts
        self._jobs.add("lease", self._keep_lease, RENEW_S)
        self._jobs.add("passes", self._as_leader("passes", self._passes), self._interval_s)
        for name in parts.deliveries.channels:
            self._jobs.add(_dispatch(name), self._as_leader(_dispatch(name), self._dispatch(name)), DISPATCH_S)
        for chore in parts.chores:
            work = self._as_leader(chore.name, chore.run) if chore.by_leader else self._alone(chore)
            self._jobs.add(chore.name, work, chore.every_s)
        systemd = parts.systemd or Systemd({})
        self._jobs.start()
        systemd.ready()
        offset = self._clock.now_ms() - 1000 * self._clock.monotonic()
        while not self._clock.wait(stop, TICK_S):
            now_offset = self._clock.now_ms() - 1000 * self._clock.monotonic()
            if abs(now_offset - offset) > _CLOCK_STEP_MS:
                offset = now_offset
                self._jobs.all_soon()
            parts.vitals.beat()
            if parts.vitals.live().well:
                systemd.alive()
        systemd.stopping()
        if not self._jobs.end(END_S):
            _log.warning("a step did not end in time and is left behind; the next start repeats it")
        self._release()
        if parts.health is not None:
            parts.health.close()

    def _keep_lease(self) -> None:
        before = self._parts.lease.held
        held = self._reaching("lease", self._parts.lease.keep)
        if held is not None:
            self._parts.vitals.lease_seen(held)
        if held is False:
            self._availability.found("lease", alone=True)  # a standby does nothing else that could
        if held and not before:
            self._jobs.all_soon()

    def _as_leader(self, name: str, work: Callable[[], object]) -> Callable[[], None]:
        def job() -> None:
            if self._parts.lease.held and not self._stop.is_set():
                self._reaching(name, work)

        return job

    def _passes(self) -> None:
        parts = self._parts
        more = True
        while more and not self._stop.is_set() and parts.lease.held:
            began = self._clock.monotonic()
            parts.vitals.pass_began()
            outcome = None
            try:
                outcome = self._pass()
            finally:
                parts.vitals.pass_ended(outcome)
                if outcome is None:
                    for told_of_failure in parts.on_failure:
                        told_of_failure()
            self._availability.found("passes")
            self._report.passed(outcome)
            took = self._clock.monotonic() - began
            for told in parts.on_pass:
                told(outcome, took)
            if took > self._interval_s:
                self._jobs.soon("passes", REST_SHARE * took)
            more = outcome.more

    def _pass(self) -> PassOutcome:
        parts = self._parts
        return run_pass(
            parts.detections(),
            parts.engine,
            parts.alerts,
            parts.checkpoints,
            parts.clock,
            stop=self._stop,
            may_go_on=lambda: parts.lease.held,
            on_alerts=self._deliver,
        )

    def _deliver(self) -> None:
        """Have every channel told what it is owed, without waiting for it."""
        for name in self._parts.deliveries.channels:
            self._jobs.soon(_dispatch(name))

    def _dispatch(self, channel: str) -> Callable[[], object]:
        return lambda: self._parts.deliveries.dispatch_due(channel, self._stop)

    def _reaching(self, name: str, work: Callable[[], _T]) -> _T | None:
        """Do `work`, which needs Elasticsearch, and note whether it was there."""
        try:
            result = work()
        except (RetryableError, ConfigurationError) as error:
            self._availability.lost(name, error)
            return None
        except Exception as error:
            self._failed(name, error)
            raise
        self._availability.found(name)
        self._parts.vitals.job_done(name)
        return result

    def _alone(self, chore: Chore) -> Callable[[], None]:
        def job() -> None:
            try:
                chore.run()
            except (RetryableError, ConfigurationError):
                raise  # of what it reaches for: what waits is done later
            except Exception as error:
                self._failed(chore.name, error)
                raise
            self._parts.vitals.job_done(chore.name)

        return job

    def _failed(self, name: str, error: Exception) -> None:
        """Note a failure that trying again may not mend, for people to be told of: of one unforeseen, its kind too."""
        why = str(error) if isinstance(error, SiemliteError) else f"{type(error).__name__}: {error}"
        self._parts.vitals.job_failed(name, why)

    def _release(self) -> None:
        def release() -> None:
            try:
                self._parts.lease.release()
            except (RetryableError, ConfigurationError) as error:
                _log.warning("the lease could not be given back: %s", error)

        thread = threading.Thread(target=release, name="release", daemon=True)
        thread.start()
        thread.join(RELEASE_S)


def _dispatch(channel: str) -> str:
    return f"dispatch {channel}"
