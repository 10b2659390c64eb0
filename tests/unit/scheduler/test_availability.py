"""One line when Elasticsearch goes, one when it is back."""

import pytest

from pipeline.errors import RetryableError
from pipeline.scheduler.availability import Availability
from tests.unit.clocks import ManualClock


def test_however_many_jobs_fail_it_is_said_once_and_so_is_its_return(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    availability = Availability(clock)
    for _ in range(50):
        for job in ("pass", "lease", "dispatch slack"):
            availability.lost(job, RetryableError("Elasticsearch does not answer"))
        clock.advance(1)
    assert availability.away_for_s == 50
    availability.found("lease")
    availability.found("never lost")
    assert availability.away_for_s == 50
    availability.found("pass")
    availability.found("dispatch slack")
    assert availability.away_for_s is None
    assert [record.message for record in caplog.records] == [
        "waiting for Elasticsearch: Elasticsearch does not answer",
        "Elasticsearch is back after 50 s",
    ]


def test_one_that_stands_by_waits_for_no_job_that_only_a_leader_does(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    availability = Availability(clock)
    for job in ("pass", "lease", "dispatch slack"):
        availability.lost(job, RetryableError("Elasticsearch does not answer"))
    clock.advance(9)
    availability.found("lease", alone=True)
    availability.found("lease", alone=True)
    assert availability.away_for_s is None
    assert [record.message for record in caplog.records][1:] == ["Elasticsearch is back after 9 s"]
