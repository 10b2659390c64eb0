"""What the log says of passes."""

import pytest

from pipeline.scheduler.passes import DetectionOutcome, PassOutcome
from pipeline.scheduler.report import AGAIN_S, PASSED_OVER_S, Report
from tests.unit.clocks import ManualClock

FULL = "searching: 429 [request] Data too large, data for [{what}] would be [{size}/28kb]"


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    texts = [record.message for record in caplog.records]
    caplog.clear()
    return texts


def test_a_detection_that_fails_in_other_words_each_pass_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    report = Report(clock)
    for size in range(28_000, 28_100):
        failed = DetectionOutcome("guessing", error=FULL.format(what="<reused_arrays>", size=size))
        report.passed(PassOutcome((failed, DetectionOutcome("other"))))
        clock.advance(2)
    assert said(caplog) == ["guessing is not evaluated: " + FULL.format(what="<reused_arrays>", size=28_000)]
    report.passed(PassOutcome((DetectionOutcome("guessing"),)))
    clock.advance(AGAIN_S)
    report.passed(PassOutcome((DetectionOutcome("guessing"),)))
    report.passed(PassOutcome((DetectionOutcome("guessing"),)))
    assert said(caplog) == ["guessing is evaluated again"]


def test_one_that_fails_now_and_then_is_said_to_fail_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    report = Report(clock)
    for number in range(100):
        report.passed(PassOutcome((DetectionOutcome("guessing", error="timed out" if number % 2 else None),)))
        clock.advance(2)
    assert said(caplog) == ["guessing is not evaluated: timed out"]


def test_what_befalls_many_at_once_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    report = Report(clock)
    names = [f"rule{number}" for number in range(46)]
    report.passed(
        PassOutcome(
            tuple(
                DetectionOutcome(name, error=FULL.format(what="page", size=28_000 + at))
                for at, name in enumerate(names)
            )
        )
    )
    clock.advance(AGAIN_S)
    report.passed(PassOutcome(tuple(DetectionOutcome(name) for name in names)))
    assert said(caplog) == [
        "46 detections are not evaluated: " + FULL.format(what="page", size=28_000),
        "46 detections are evaluated again",
    ]


def test_groups_that_are_passed_over_in_each_pass_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    report = Report(clock)
    for _ in range(100):
        report.passed(PassOutcome((DetectionOutcome("own", passed_over="its judge raised KeyError"),)))
        report.passed(PassOutcome((DetectionOutcome("own"),)))
        clock.advance(2)
    assert said(caplog) == ["own passes over what it cannot judge: its judge raised KeyError"]
    clock.advance(PASSED_OVER_S)
    report.passed(PassOutcome((DetectionOutcome("own"),)))
    report.passed(PassOutcome((DetectionOutcome("own", passed_over="its judge raised KeyError"),)))
    assert said(caplog) == ["own passes over what it cannot judge: its judge raised KeyError"]
