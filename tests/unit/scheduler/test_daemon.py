"""What the daemon makes of a job that fails."""

import threading
from typing import Any, cast

from pipeline.clock import SystemClock
from pipeline.errors import PermanentError
from pipeline.events.redaction import Redactor
from pipeline.scheduler.availability import Availability
from pipeline.scheduler.daemon import Chore, Parts, Scheduler
from pipeline.scheduler.health import Vitals
from tests.unit.waiting import until


class Leading:
    """A lease that is always held, beside checkpoints and deliveries that there are none of."""

    held = True
    channels = ()

    def keep(self) -> bool:
        """See `Lease.keep`."""
        return True

    def release(self) -> None:
        """See `Lease.release`."""

    def load(self, _names: object) -> Any:
        """See `Checkpoints.load`."""
        raise KeyError("docs")


def test_a_job_that_fails_in_a_way_that_nobody_foresaw_is_told_of_until_it_works_again() -> None:
    clock, mended = SystemClock(), threading.Event()
    vitals = Vitals(clock, ready_within_s=60)

    def broken(error: Exception) -> None:
        if not mended.is_set():
            raise error

    chores = (
        Chore("digest", lambda: broken(KeyError("timed_out")), 0.05),
        Chore("sent", lambda: broken(TypeError("none")), 0.05, by_leader=False),
        Chore("record of itself", lambda: broken(PermanentError("refused")), 0.05, by_leader=False),
    )
    none = cast("Any", Leading())
    parts = Parts(tuple, none, none, none, none, none, clock, Availability(clock), vitals, chores)
    stop = threading.Event()
    daemon = threading.Thread(target=Scheduler(parts, interval_s=0.05).run, args=(stop,))
    daemon.start()
    try:
        told = {
            "digest": "KeyError: 'timed_out'",
            "passes": "KeyError: 'docs'",
            "record of itself": "refused",
            "sent": "TypeError: none",
        }
        until(lambda: dict(vitals.failing_jobs) == told)
        mended.set()
        until(lambda: dict(vitals.failing_jobs) == {"passes": told["passes"]})
        assert [Redactor().text(f"{name}: {why}") for name, why in told.items()] == [
            f"{n}: {w}" for n, w in told.items()
        ]
    finally:
        stop.set()
        daemon.join(30)
