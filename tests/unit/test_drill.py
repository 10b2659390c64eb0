"""Which example a drill plays, and when."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline import drill
from pipeline.detection import Detection, hours
from pipeline.detection.realise import realised
from pipeline.drill import DrillResult, _draft, example_to_play
from pipeline.engine.loader import load_detections
from pipeline.errors import RetryableError
from pipeline.events.encoder import Draft
from pipeline.events.redaction import MARKER, Redactor
from tests.unit.clocks import ManualClock

MIDNIGHT = 1_795_478_400_000
"""2026-11-24T00:00:00Z, a Tuesday."""

LOADED = load_detections((Path(__file__).parents[2] / "detections",))


@pytest.mark.parametrize(("now", "played"), [(3, 3), (4, 3), (12, 3), (19, 3), (20, 20), (22, 20), (24, 20), (26, 20)])
def test_an_example_that_goes_by_the_time_of_day_is_played_at_its_own(now: int, played: int) -> None:
    example, last_ms = example_to_play(LOADED["bulk_export_out_of_hours"], MIDNIGHT + hours(now))
    assert example.end_ms == hours(played)
    assert last_ms == MIDNIGHT + hours(played)


def test_a_detection_of_whose_example_no_events_can_be_made_keeps_no_other_from_its_drill(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cannot(*_: object) -> list[Draft]:
        raise TypeError("no event")

    monkeypatch.setattr(drill, "drafts_of", cannot)
    monkeypatch.setattr(drill, "leader", lambda _: None)
    app = SimpleNamespace(client=None, clock=ManualClock(MIDNIGHT))
    chosen = LOADED.detections[:2]
    found = list(drill.run_drills(app, chosen, threading.Event(), wait_seconds=0))  # type: ignore[arg-type]
    assert [(one.detection_id, one.passed, one.reason) for one in found] == [
        (one.id, False, "no events can be made of its example: TypeError: no event") for one in chosen
    ]


@pytest.mark.parametrize(("ended", "until"), [(True, "before the drill was ended"), (False, "within 7 s")])
def test_a_drill_that_does_not_pass_says_how_long_was_waited_and_what_was_in_the_way(
    ended: bool, until: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    clock = ManualClock(MIDNIGHT)

    def looks(*_: object) -> DrillResult:
        clock.advance(8)
        if ended:
            stop.set()
        raise RetryableError("Elasticsearch does not answer")

    monkeypatch.setattr(drill, "leader", lambda _: None)
    monkeypatch.setattr(drill, "drafts_of", lambda *_: [])
    monkeypatch.setattr(drill, "_play", lambda *_: None)
    monkeypatch.setattr(drill, "_look", looks)
    app = SimpleNamespace(client=None, clock=clock)
    (found,) = drill.run_drills(app, [LOADED["brute_force_by_address"]], stop, wait_seconds=7)  # type: ignore[arg-type]
    assert found.reason == f"no alert was raised {until}; Elasticsearch does not answer"


def test_any_other_example_ends_now() -> None:
    detection = LOADED["brute_force_by_address"]
    assert example_to_play(detection, MIDNIGHT) == (detection.kind.fires[0], MIDNIGHT)


@pytest.mark.parametrize("detection", LOADED.detections, ids=lambda detection: detection.id)
def test_no_group_of_a_drill_is_redacted(detection: Detection) -> None:
    example, last_ms = example_to_play(detection, MIDNIGHT)
    for event in realised(detection, example, last_ms - example.end_ms, "drill"):
        assert MARKER not in str(Redactor().keys(_draft(detection, event, "an-id", "drill").event))
