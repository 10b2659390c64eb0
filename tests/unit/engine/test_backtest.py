"""Backtests: alerts as episodes, proposals that make sense, charts that hold no foreign markup."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pipeline.detection import (
    Absence,
    Crossing,
    Custom,
    Detection,
    Match,
    Metric,
    Severity,
    Share,
    Threshold,
    Window,
    by_count,
)
from pipeline.detection.kind import Kind
from pipeline.engine.backtest import Alarm, Backtest, Variant, alarms, histogram, retuned
from pipeline.engine.backtest_chart import backtest_document, chart_lines, svg
from pipeline.engine.finding import Finding
from pipeline.engine.history import past
from pipeline.errors import ConfigurationError

HOUR = 3_600_000
EVIL = (("user.id", "<script>alert(1)</script>"),)
FIVE = Threshold(severity=Severity.LOW, at_least=5, within=60_000)


def detection(kind: Kind) -> Detection:
    return Detection("mine", "A <b>bold</b> title", "", Path("mine.py"), kind)


def finding(*times: int, drill: str | None = None) -> Finding:
    return Finding("mine", EVIL, tuple(Crossing(time, time, 5) for time in times), drill)


def example() -> Backtest:
    current = Variant("current", "5 events", (Alarm(EVIL, 0, 10, 3), Alarm((), HOUR, HOUR, 1)))
    proposed = Variant("proposed", "9 events", (Alarm(EVIL, 0, 10, 3),))
    return Backtest(detection(FIVE), 0, 2 * HOUR, (current, proposed))


def test_a_run_of_crossings_is_one_alert_and_drills_are_none() -> None:
    found = alarms([finding(0, 50, 150, 251), finding(7, drill="d")], suppress_for=100)
    assert found == (Alarm(EVIL, 0, 150, 3), Alarm(EVIL, 251, 251, 1))


def test_a_proposal_changes_what_is_named() -> None:
    assert retuned(detection(FIVE), None, None) is None
    assert retuned(detection(FIVE), 7, 1000) == Threshold(severity=Severity.LOW, at_least=7, within=1000)
    levels = Threshold(severity=by_count({5: Severity.LOW, 9: Severity.HIGH}), at_least=5, within=1)
    changed = retuned(detection(levels), 9, None)
    assert changed is not None
    assert changed.severity == by_count({9: Severity.LOW})


def test_a_proposal_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="--at-least: mine is a Match and has no at_least"):
        retuned(detection(Match(severity=Severity.LOW, where={"a": 1})), 5, None)
    with pytest.raises(ConfigurationError, match="at_least is 0"):
        retuned(detection(FIVE), 0, None)


def test_the_chart_counts_alerts_where_they_began() -> None:
    assert list(histogram(example().variants[0], (0, 2 * HOUR), 4)) == [1, 0, 1, 0]
    lines = list(chart_lines(example(), 20))
    assert lines[0] == "current: 5 events: 2 alerts of 2 groups"
    assert lines[1] == "█         █"
    assert lines[4] == "1970-01-01 00:00 to 1970-01-01 02:00; a full column is 1 alert"
    assert lines[-2:] == ["       1         0  all events", f"       1         1  user.id={EVIL[0][1]}"]


def test_columns_are_as_high_as_they_count_on_one_scale() -> None:
    many = tuple(Alarm((("user.id", str(number)),), HOUR, HOUR, 1) for number in range(4))
    current = Variant("current", "a <lambda>", (Alarm((), 0, 0, 1), *many))
    proposed = Variant("proposed", "a & b", many[:2])
    both = Backtest(detection(FIVE), 0, 2 * HOUR, (current, proposed))
    lines = list(chart_lines(both, 20))
    assert (lines[1], lines[3]) == ("▂         █", "          ▄")
    assert lines[4].endswith("a full column is 4 alerts")
    root = ET.fromstring(svg(both))
    columns = [rect for rect in root.iter("{http://www.w3.org/2000/svg}rect") if rect.find("*") is not None]
    heights = [float(rect.get("height") or 0) for rect in columns]
    assert [round(height / heights[1], 2) for height in heights] == [0.25, 1.0, 0.5]
    assert [rect.findtext("{http://www.w3.org/2000/svg}title") for rect in columns] == [
        "1 alert",
        "4 alerts",
        "2 alerts",
    ]


def several(window: Window) -> bool:
    return len(window.rows) > 1


@pytest.mark.parametrize(
    "kind",
    [
        Custom(severity=Severity.LOW, judge=several, within=60_000, at_least=3),
        Metric(severity=Severity.LOW, field="siemlite.number.rows", measure="sum", above=5, within=60_000, at_least=3),
        Share(severity=Severity.LOW, of={"event.outcome": "failure"}, percent=50, of_at_least=5, within=60_000),
        Share(
            severity=by_count({5: Severity.LOW, 9: Severity.HIGH}),
            of={"event.outcome": "failure"},
            percent=50,
            of_at_least=5,
            within=60_000,
        ),
    ],
    ids=["custom", "metric", "share", "share by count"],
)
def test_a_proposal_is_told_from_what_it_changes(kind: Kind) -> None:
    changed = retuned(detection(kind), 7, None)
    assert changed is not None
    assert kind.summary() != changed.summary()


def test_the_picture_is_well_formed_whatever_the_words_are() -> None:
    root = ET.fromstring(svg(example()))
    texts = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "A <b>bold</b> title (mine)" in texts
    assert {element.tag.rpartition("}")[2] for element in root.iter()} == {"svg", "rect", "text", "line", "title"}


def test_the_document_holds_every_alert() -> None:
    document = backtest_document(example())
    assert [len(variant["alerts"]) for variant in document["variants"]] == [2, 1]
    assert document["variants"][0]["alerts"][0]["first_crossing"] == "1970-01-01T00:00:00.000Z"


def test_a_short_span_says_its_seconds() -> None:
    short = Backtest(detection(FIVE), 0, 30_000, (Variant("current", "5 events", ()),))
    assert list(chart_lines(short, 20))[2].startswith("1970-01-01 00:00:00 to 1970-01-01 00:00:30;")


def test_nothing_found_is_said_plainly() -> None:
    empty = Backtest(detection(FIVE), 0, HOUR, (Variant("current", "5 events", ()),))
    assert next(iter(chart_lines(empty, 20))) == "current: 5 events: 0 alerts of 0 groups"
    ET.fromstring(svg(empty))


def test_no_silence_is_over_before_its_time() -> None:
    silent = Absence(severity=Severity.LOW, within=1_000)
    loud = Threshold(severity=Severity.LOW, at_least=5, within=1_000)
    assert past(silent, (0, 10_000), 4_000) == (0, 4_001)
    assert past(silent, (0, 3_000), 4_000) == (0, 3_000)
    assert past(silent, (5_000, 10_000), 4_000) is None
    assert past(loud, (5_000, 10_000), 4_000) == (5_000, 10_000)
