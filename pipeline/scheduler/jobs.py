"""Running functions at intervals, by APScheduler, which is imported here only.

Invariant: a run that is late or was skipped loses nothing, because what is done depends on checkpoints and
outboxes and never on how often, or when, a job ran. Hence, on purpose:

- `misfire_grace_time=None`: a late run still runs; APScheduler would otherwise drop one that is over a second
  late, which is when it is needed most;
- `coalesce=True`: many missed runs are one, which does the work of all;
- `max_instances=1`: a job never overlaps itself; two passes at once would ask the same twice.
"""

import logging
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.base import BaseExecutor, run_job
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from pipeline.clock import Clock
from pipeline.errors import SiemliteError
from pipeline.told import Told

_log = logging.getLogger(__name__)


class _DaemonThreads(BaseExecutor):  # type: ignore[misc]  # APScheduler has no types
    """Runs each job in a daemon thread, so that one that hangs in a request cannot keep the process alive."""

    def _do_submit_job(self, job: Any, run_times: Sequence[datetime]) -> None:
        def work() -> None:
            try:
                events = run_job(job, job._jobstore_alias, run_times, self._logger.name)
            except BaseException:  # noqa: BLE001 - whatever it was, the job must count as ended
                self._run_job_error(job.id, *sys.exc_info()[1:])
            else:
                self._run_job_success(job.id, events)

        threading.Thread(target=work, name=job.id, daemon=True).start()


class Jobs:
    """Named functions that run at intervals until they are ended."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ending = threading.Event()
        self._idle = threading.Condition()
        self._running: set[str] = set()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": _DaemonThreads()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def add(self, name: str, run: Callable[[], None], every_s: float) -> None:
        """Run `run` now and then every `every_s` seconds. What it raises is logged, and it runs again.

        The same failure over and over is one line when it begins and one when it ends.
        """
        told = Told()

        def guarded() -> None:
            if self._ending.is_set():
                return
            with self._idle:
                self._running.add(name)
            try:
                run()
            except SiemliteError as error:
                if told.fresh(str(error)):
                    _log.error("%s: %s; trying again", name, error)
            except Exception as error:  # noqa: BLE001 - a defect in one job is shown and must not end the daemon
                if told.fresh(repr(error)):
                    _log.exception("%s failed; it goes on", name)
            else:
                if told.over():
                    _log.warning("%s works again", name)
            finally:
                with self._idle:
                    self._running.discard(name)
                    self._idle.notify_all()

        trigger = IntervalTrigger(seconds=every_s, timezone=UTC)
        self._scheduler.add_job(guarded, trigger, id=name, next_run_time=self._now())

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def soon(self, name: str, after_s: float = 0.0) -> None:
        """Run a job after `after_s` seconds, or as soon as it is free then; its interval counts from there."""
        if self._ending.is_set():
            return
        try:
            self._scheduler.modify_job(name, next_run_time=self._now() + timedelta(seconds=after_s))
        except JobLookupError:
            _log.debug("there is no job %s", name)

    def all_soon(self) -> None:
        """Run every job as soon as it is free: after the wall clock was set, whose old time they wait for."""
        for job in self._scheduler.get_jobs():
            self.soon(job.id)

    def _now(self) -> datetime:
        """Return the time by the clock's next millisecond, so that nothing runs before it is asked to."""
        return datetime.fromtimestamp((self._clock.now_ms() + 1) / 1000, UTC)

    def end(self, patience_s: float) -> bool:
        """Start nothing more and wait up to `patience_s` for what runs; return whether all of it has ended."""
        self._ending.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        deadline = self._clock.monotonic() + patience_s
        with self._idle:
            while self._running:
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    return False
                self._idle.wait(left)
        return True
