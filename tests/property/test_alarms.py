"""What a backtest calls an alert is what the alerts make of the same crossings."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts.episodes import Open, plan
from pipeline.detection import Crossing, Severity
from pipeline.engine.backtest import alarms
from pipeline.engine.finding import Finding

INSTANTS = st.sets(st.integers(0, 200), min_size=1)


@given(groups=st.lists(INSTANTS, min_size=1, max_size=3), suppress_for=st.integers(0, 60), reach=st.integers(0, 30))
def test_a_backtest_counts_the_alerts_that_the_same_crossings_open(
    groups: list[set[int]], suppress_for: int, reach: int
) -> None:
    findings = [
        Finding("d", (("user.id", f"u{number}"),), tuple(Crossing(t, t - reach, 1) for t in sorted(instants)))
        for number, instants in enumerate(groups)
    ]
    opened = []
    for finding in findings:
        for decision in plan((), finding.crossings, suppress_for, Severity.LOW):
            assert isinstance(decision, Open)
            opened.append((finding.group, decision.episode.crossing_ms, decision.episode.last_ms))
    found = alarms(findings, suppress_for)
    assert sorted((alarm.group, alarm.first_ms, alarm.last_ms) for alarm in found) == sorted(opened)
    assert sum(alarm.crossings for alarm in found) == sum(map(len, groups))
