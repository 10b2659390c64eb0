"""Crossings become episodes in one way, whatever came first and however often."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alerts.episodes import Amend, Episode, Open, plan
from pipeline.detection.timeline import Crossing, Severity

HOUR = 3_600_000
HIGH = Severity.HIGH


def crossing(time_ms: int, first_ms: int | None = None, severity: Severity | None = None, count: int = 5) -> Crossing:
    return Crossing(time_ms, time_ms - 10 if first_ms is None else first_ms, count, severity)


def episode(number: int, crossing_ms: int, last_ms: int | None = None, ended_ms: int | None = None) -> Episode:
    last = crossing_ms if last_ms is None else last_ms
    return Episode(number, crossing_ms - 10, crossing_ms, last, HIGH, 5, ended_ms)


def applied(existing: list[Episode], crossings: list[Crossing], suppress_for: int = HOUR) -> list[Episode]:
    """Return the episodes after the plan for `crossings` was carried out."""
    after = {e.number: e for e in existing}
    for decision in plan(existing, crossings, suppress_for, HIGH):
        new = decision.episode if isinstance(decision, Open) else decision.after
        after[new.number] = new
    return list(after.values())


@pytest.mark.parametrize(
    ("gap", "episodes"), [(HOUR - 1, 1), (HOUR, 1), (HOUR + 1, 2)], ids=["below", "exactly suppress_for", "above"]
)
def test_a_gap_of_at_most_suppress_for_continues_an_episode(gap: int, episodes: int) -> None:
    assert len(applied([], [crossing(0), crossing(gap)])) == episodes
    assert len(applied([episode(1, 0)], [crossing(gap)])) == episodes
    assert len(applied([episode(1, gap)], [crossing(0)])) == episodes


def test_a_new_episode_has_the_number_above_the_highest() -> None:
    existing = [episode(4, 0), episode(9, 100 * HOUR)]
    [decision] = plan(existing, [crossing(50 * HOUR)], HOUR, HIGH)
    assert isinstance(decision, Open)
    assert decision.episode.number == 10


def test_an_episode_spans_its_first_event_first_crossing_and_last_crossing() -> None:
    [decision] = plan([], [crossing(2000, 1000), crossing(1500, 400), crossing(9000, 1200)], HOUR, HIGH)
    assert isinstance(decision, Open)
    assert (decision.episode.first_ms, decision.episode.crossing_ms, decision.episode.last_ms) == (400, 1500, 9000)


def test_severity_and_measure_only_ever_rise() -> None:
    [amend] = plan([episode(1, 0)], [crossing(10, severity=Severity.LOW, count=2)], HOUR, HIGH)
    assert isinstance(amend, Amend)
    assert (amend.after.severity, amend.after.measure) == (HIGH, 5)
    [amend] = plan([episode(1, 0)], [crossing(10, severity=Severity.CRITICAL, count=100)], HOUR, HIGH)
    assert isinstance(amend, Amend)
    assert (amend.after.severity, amend.after.measure) == (Severity.CRITICAL, 100)


def test_a_run_near_several_episodes_belongs_to_the_lowest_number() -> None:
    existing = [episode(2, 0), episode(1, 90 * 60_000)]
    [decision] = plan(existing, [crossing(45 * 60_000)], HOUR, HIGH)
    assert isinstance(decision, Amend)
    assert decision.after.number == 1
    assert decision.after.crossing_ms == 45 * 60_000


def test_nothing_amends_what_a_person_closed_and_nothing_before_the_closing_counts() -> None:
    closed = episode(1, 0, ended_ms=1000)
    assert plan([closed], [crossing(900), crossing(1000)], HOUR, HIGH) == ()
    [decision] = plan([closed], [crossing(1500, first_ms=1001)], HOUR, HIGH)
    assert decision == Open(Episode(2, 1001, 1500, 1500, HIGH, 5))


def test_a_closing_counts_for_all_episodes_of_the_group() -> None:
    existing = [episode(1, 0), episode(2, 100 * HOUR, ended_ms=101 * HOUR)]
    assert plan(existing, [crossing(10)], HOUR, HIGH) == ()


instants = st.integers(0, 12 * HOUR)
crossing_lists = st.lists(
    st.builds(lambda t, back, count: Crossing(t, t - back, count), instants, st.integers(0, 1000), st.integers(1, 9)),
    max_size=12,
    unique_by=lambda c: c.time_ms,
)
cuts = st.none() | instants


@settings(deadline=None)
@given(crossing_lists, crossing_lists, cuts)
def test_the_same_crossings_again_change_nothing(
    earlier: list[Crossing], later: list[Crossing], ended_ms: int | None
) -> None:
    existing = applied([], earlier)
    if existing and ended_ms is not None:
        existing[0] = replace(existing[0], ended_ms=ended_ms)
    once = applied(existing, later)
    for decision in plan(once, later, HOUR, HIGH):
        assert isinstance(decision, Amend)
        assert decision.before == decision.after


@settings(deadline=None)
@given(crossing_lists, crossing_lists)
def test_every_crossing_lies_in_an_episode_and_every_episode_rests_on_one(
    earlier: list[Crossing], later: list[Crossing]
) -> None:
    episodes = applied(applied([], earlier), later)
    times = {c.time_ms for c in (*earlier, *later)}
    assert all(any(e.crossing_ms <= t <= e.last_ms for e in episodes) for t in times)
    assert {e.crossing_ms for e in episodes} | {e.last_ms for e in episodes} <= times
    assert sorted(e.number for e in episodes) == list(range(1, len(episodes) + 1))


@settings(deadline=None)
@given(crossing_lists, st.randoms(use_true_random=False))
def test_in_one_go_the_order_of_crossings_does_not_matter_and_gaps_divide(
    crossings: list[Crossing], random: object
) -> None:
    shuffled = sorted(crossings, key=lambda _: random.random())  # type: ignore[attr-defined]
    episodes = applied([], crossings)
    assert applied([], shuffled) == episodes
    for before, after in pairwise(episodes):
        assert after.crossing_ms - before.last_ms > HOUR
