"""Jobs go on, whatever happens in them."""

import threading
from collections.abc import Callable, Iterator

import pytest

from pipeline.clock import SystemClock
from pipeline.errors import RetryableError
from pipeline.scheduler.jobs import Jobs
from tests.unit.waiting import until


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs(SystemClock())
    jobs.start()
    yield jobs
    jobs.end(1)


class Counting:
    """Counts its runs, and does what it is told."""

    def __init__(self, does: Callable[[int], object] = lambda _number: None) -> None:
        self.runs = 0
        self._does = does

    def __call__(self) -> None:
        self.runs += 1
        self._does(self.runs)


def test_a_job_runs_at_once_and_again_and_again(jobs: Jobs) -> None:
    job = Counting()
    jobs.add("job", job, 0.05)
    until(lambda: job.runs >= 3)


def test_a_job_that_is_wanted_soon_does_not_wait_for_its_interval(jobs: Jobs) -> None:
    job = Counting()
    jobs.add("job", job, 3600)
    until(lambda: job.runs == 1)
    jobs.soon("job")
    until(lambda: job.runs == 2)
    jobs.all_soon()
    until(lambda: job.runs == 3)
    jobs.soon("there is none of that name")


def test_a_job_that_hangs_holds_up_no_other_and_never_overlaps_itself(jobs: Jobs) -> None:
    release = threading.Event()
    hanging, other = Counting(lambda _: release.wait(120)), Counting()
    jobs.add("hanging", hanging, 0.05)
    jobs.add("other", other, 0.05)
    until(lambda: hanging.runs == 1)
    seen = other.runs
    until(lambda: other.runs >= seen + 5)
    assert hanging.runs == 1
    release.set()
    until(lambda: hanging.runs >= 2)


def test_a_failure_is_said_once_and_so_is_its_end(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    def fail(number: int) -> None:
        if number <= 5:
            raise RetryableError("the disk is full")

    def break_(number: int) -> None:
        if number <= 5:
            raise ZeroDivisionError

    failing, broken = Counting(fail), Counting(break_)
    jobs.add("failing", failing, 0.02)
    jobs.add("broken", broken, 0.02)
    until(lambda: failing.runs >= 8 and broken.runs >= 8)
    said = [record.message for record in caplog.records if record.name == "pipeline.scheduler.jobs"]
    assert sorted(said) == [
        "broken failed; it goes on",
        "broken works again",
        "failing works again",
        "failing: the disk is full; trying again",
    ]


def test_the_end_waits_for_what_runs_as_long_as_it_has_patience(jobs: Jobs) -> None:
    release = threading.Event()
    job = Counting(lambda _: release.wait(120))
    jobs.add("job", job, 0.02)
    until(lambda: job.runs == 1)
    assert not jobs.end(0.1)
    release.set()


def test_after_the_end_nothing_starts() -> None:
    jobs = Jobs(SystemClock())
    job = Counting()
    jobs.add("job", job, 0.02)
    jobs.start()
    until(lambda: job.runs >= 1)
    assert jobs.end(60)
    runs = job.runs
    jobs.soon("job")
    threading.Event().wait(0.2)
    assert job.runs == runs


def test_a_job_that_is_wanted_after_a_while_is_not_run_before(jobs: Jobs) -> None:
    clock = SystemClock()
    ran: list[float] = []
    jobs.add("job", lambda: ran.append(clock.monotonic()), 3600)
    until(lambda: len(ran) == 1)
    asked = clock.monotonic()
    jobs.soon("job", 0.3)
    until(lambda: len(ran) == 2)
    assert ran[1] - asked >= 0.3


def test_a_run_that_is_late_still_happens(jobs: Jobs) -> None:
    job = Counting()
    jobs.add("job", job, 3600)
    until(lambda: job.runs == 1)
    jobs.soon("job", -30)
    until(lambda: job.runs == 2)
