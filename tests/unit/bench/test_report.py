"""What the benchmark makes of its runs."""

import pytest

from bench.contenders import CEILING, SIEMLITE_FILE
from bench.measure import Measurement
from bench.report import Run, document, doubtful, ratio, ratios, summary


def run(contender: str, number: int, seconds: float, *, events: int = 1_000, others: float | None = 0.0) -> Run:
    return Run(contender, number, Measurement(events, seconds, 1.0, 2.0, 1024 * 1024, others))


def test_a_ratio_compares_within_rounds_so_that_a_slowing_machine_favours_nobody() -> None:
    ours = [run(SIEMLITE_FILE, number, seconds) for number, seconds in ((1, 2.0), (2, 20.0), (3, 200.0))]
    theirs = [run(CEILING, number, seconds) for number, seconds in ((1, 1.0), (2, 10.0), (3, 100.0))]
    assert ratio(ours, theirs) == pytest.approx(0.5)


def test_a_round_that_one_of_the_two_failed_is_not_compared() -> None:
    assert ratio([run(SIEMLITE_FILE, 1, 2.0)], [run(CEILING, 2, 1.0)]) is None
    assert ratios([run(SIEMLITE_FILE, 1, 2.0), run(CEILING, 2, 1.0)]) == {}


def test_the_rate_after_start_leaves_out_what_one_event_takes() -> None:
    found = summary([run(SIEMLITE_FILE, 1, 3.0, events=1_001)], [run(SIEMLITE_FILE, 1, 1.0, events=1)], [])
    assert found.rate == pytest.approx(1_001 / 3)
    assert found.rate_after_start == pytest.approx(500.0)
    assert found.of_ceiling is None


def test_a_run_is_doubtful_when_others_used_more_than_a_twentieth_of_the_machine() -> None:
    assert run(CEILING, 1, 10.0, others=1.1).disturbed(cores=2)
    assert not run(CEILING, 1, 10.0, others=0.9).disturbed(cores=2)
    assert not run(CEILING, 1, 10.0, others=None).disturbed(cores=2)


def test_figures_are_doubtful_as_a_whole_when_more_than_a_fifth_of_the_runs_are() -> None:
    quiet = [run(CEILING, number, 1.0) for number in range(8)]
    busy = [run(CEILING, number, 1.0, others=1.0) for number in range(8, 11)]
    assert not doubtful(document({"cores": 2}, "", "", quiet + busy[:2], []))
    assert doubtful(document({"cores": 2}, "", "", quiet + busy, []))
