"""Which example a drill plays, and when."""

from pathlib import Path

import pytest

from pipeline.detection import hours
from pipeline.drill import example_to_play
from pipeline.engine.loader import load_detections

MIDNIGHT = 1_795_478_400_000
"""2026-11-24T00:00:00Z, a Tuesday."""

LOADED = load_detections((Path(__file__).parents[2] / "detections",))


@pytest.mark.parametrize(("now", "played"), [(3, 3), (4, 3), (12, 3), (19, 3), (20, 20), (22, 20), (24, 20), (26, 20)])
def test_an_example_that_goes_by_the_time_of_day_is_played_at_its_own(now: int, played: int) -> None:
    example, last_ms = example_to_play(LOADED["bulk_export_out_of_hours"], MIDNIGHT + hours(now))
    assert example.end_ms == hours(played)
    assert last_ms == MIDNIGHT + hours(played)


def test_any_other_example_ends_now() -> None:
    detection = LOADED["brute_force_by_address"]
    assert example_to_play(detection, MIDNIGHT) == (detection.kind.fires[0], MIDNIGHT)
