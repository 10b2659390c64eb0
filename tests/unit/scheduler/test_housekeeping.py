"""Only what was evaluated successfully lets an alert close."""

from collections.abc import Iterable
from typing import Any

import pytest

from pipeline.alerts.closing import EvaluatedUpTo
from pipeline.scheduler.housekeeping import Housekeeping
from pipeline.scheduler.passes import DetectionOutcome, PassOutcome
from tests.unit.alerts.memory_engine import detection

HOUR = 3_600_000


class Closing:
    """Notes what it is told to close by."""

    def __init__(self) -> None:
        self.told: list[EvaluatedUpTo] = []

    def close_expired(self, evaluated: Iterable[EvaluatedUpTo]) -> int:
        """See `pipeline.alerts.closing.Closing.close_expired`."""
        self.told = list(evaluated)
        return len(self.told)


def housekeeping(closing: Any) -> Housekeeping:
    nothing: Any = None
    return Housekeeping(closing, nothing, nothing, lambda: [detection("d", suppress_for=HOUR)])


def test_nothing_closes_before_there_was_a_pass() -> None:
    closing = Closing()
    housekeeping(closing).close()
    assert closing.told == []


def test_a_successful_evaluation_closes_up_to_where_it_came() -> None:
    closing = Closing()
    keeper = housekeeping(closing)
    keeper.passed(PassOutcome((DetectionOutcome("d", evaluated_until_ms=7_000),)), 0.1)
    keeper.close()
    assert [(one.detection.id, one.until_ms) for one in closing.told] == [("d", 7_000)]


@pytest.mark.parametrize(
    "later",
    [
        DetectionOutcome("d", error="not evaluated completely", evaluated_until_ms=9_000),
        DetectionOutcome("d", more=True, evaluated_until_ms=9_000),
        DetectionOutcome("d"),
        DetectionOutcome("another", evaluated_until_ms=9_000),
    ],
)
def test_a_failure_or_a_rest_that_waits_closes_nothing_further(later: DetectionOutcome) -> None:
    closing = Closing()
    keeper = housekeeping(closing)
    keeper.passed(PassOutcome((DetectionOutcome("d", evaluated_until_ms=7_000),)), 0.1)
    keeper.passed(PassOutcome((later,)), 0.1)
    keeper.close()
    assert [(one.detection.id, one.until_ms) for one in closing.told] == [("d", 7_000)]
