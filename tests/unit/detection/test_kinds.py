"""The kinds: their boundaries by example, and how a wrong definition is refused."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from pipeline.detection import (
    Absence,
    Change,
    Crossing,
    Custom,
    DistinctCount,
    Drop,
    Match,
    Metric,
    NewValue,
    Row,
    Severity,
    Share,
    Spike,
    Threshold,
    Window,
    above,
    all_of,
    any_of,
    at_least,
    at_most,
    below,
    between,
    burst,
    by_count,
    exists,
    minutes,
    none_of,
    not_,
    prefix,
    stage,
)
from pipeline.detection import Sequence as Stages
from pipeline.detection.kind import Kind, Totals
from pipeline.detection.mutations import mutations
from pipeline.detection.where import Where
from pipeline.errors import ConfigurationError

LOW, HIGH = Severity.LOW, Severity.HIGH


def yields(_: Window) -> Iterator[bool]:
    yield True


def rows(*times: int) -> list[Row]:
    return [Row(time, 1) for time in times]


def times(kind: Kind, timeline: list[Row], now_ms: int | None = None) -> list[int]:
    return [crossing.time_ms for crossing in kind.crossings(timeline, now_ms)]


def test_a_threshold_counts_what_is_closer_than_its_window() -> None:
    kind = Threshold(severity=HIGH, at_least=3, within=10)
    assert times(kind, rows(0, 5, 9)) == [9]
    assert times(kind, rows(0, 5, 10)) == []
    assert times(kind, rows(0, 5, 10, 14, 30)) == [14]


def test_events_at_one_instant_count_each() -> None:
    kind = Threshold(severity=HIGH, at_least=3, within=1)
    assert list(kind.crossings([Row(7, 3)])) == [Crossing(7, 7, 3)]
    assert list(kind.crossings([Row(7, 1, ("a",)), Row(7, 2, ("b",))])) == [Crossing(7, 7, 3)]


def test_a_severity_by_count_is_that_of_the_highest_level_reached() -> None:
    kind = Threshold(severity=by_count({2: LOW, 4: HIGH}), at_least=2, within=10)
    assert list(kind.crossings(rows(0, 1, 2, 3))) == [
        Crossing(1, 0, 2, LOW),
        Crossing(2, 1, 2, LOW),
        Crossing(3, 0, 4, HIGH),
    ]
    assert (kind.base_severity, kind.depth) == (LOW, 3)


def test_a_distinct_count_takes_each_value_at_its_latest() -> None:
    kind = DistinctCount(severity=HIGH, field="u", at_least=2, within=10)
    timeline = [Row(0, 1, ("a",)), Row(9, 1, ("a",)), Row(12, 1, ("b",)), Row(40, 1, ("b",))]
    assert list(kind.crossings(timeline)) == [Crossing(12, 9, 2)]


@pytest.mark.parametrize(
    "wheres",
    [
        ({"c": "f"}, {"c": "s"}, {"c": "f"}),
        ({"c": ["f", "s"]}, {"c": "s"}),
        ({"c": prefix("LOGIN_")}, {"c": ["LOGIN_FAILURE", "LOGIN_SUCCESS"], "u": "root"}),
        ({"c": exists()}, {"c": prefix("x")}),
        ({"c": "f"}, any_of({"c": "f", "u": "a"}, {"c": "f", "u": "b"})),
        (any_of({"c": "f"}, {"u": "a"}), all_of({"u": "a"}, {"v": "b"})),
        ({}, {"c": "s"}),
    ],
)
def test_a_stage_whose_events_all_belong_to_an_earlier_one_is_refused(wheres: tuple[Where, ...]) -> None:
    last = len(wheres) - 1
    with pytest.raises(ConfigurationError, match=rf"stages\[{last}\] can never be reached: .* stages\[0\] takes all"):
        Stages(severity=HIGH, stages=tuple(stage(where) for where in wheres), within=10)


@pytest.mark.parametrize(
    "wheres",
    [
        ({"c": "s", "u": "a"}, {"c": "s"}),
        ({"c": "f", "u": not_("a")}, {"c": "f"}),
        ({"c": not_("s")}, {"c": not_("f")}),
        ({"c": "f"}, {"c": ["f", "s"]}),
        (none_of({"c": "s"}), {"c": "f"}),
    ],
)
def test_a_stage_that_some_events_reach_is_taken(wheres: tuple[Where, ...]) -> None:
    Stages(severity=HIGH, stages=tuple(stage(where) for where in wheres), within=10)


def test_a_severity_by_count_rises_with_it() -> None:
    with pytest.raises(ConfigurationError, match="by_count: 10: low is below 5: high; let it rise"):
        by_count({5: HIGH, 10: LOW})
    pairs: Any = [(5, HIGH)]
    with pytest.raises(ConfigurationError, match=r"by_count\(…\) takes a mapping such as"):
        by_count(pairs)


def test_a_share_at_events_of_which_it_looks_at_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at: an event that fits `of` is not looked at for `at`"):
        Share(severity=HIGH, of={"c": ["f", "s"]}, at={"c": "s"}, percent=50, within=10)


def test_a_sequence_wants_its_stages_in_their_order_and_takes_ties_as_such() -> None:
    kind = Stages(severity=HIGH, stages=(stage({"c": "f"}, 2), stage({"c": "s"})), within=10)
    assert times(kind, [Row(0, 2, (), 0), Row(1, 1, (), 1)]) == [1]
    assert times(kind, [Row(0, 1, (), 1), Row(1, 2, (), 0)]) == []
    assert times(kind, [Row(3, 2, (), 0), Row(3, 1, (), 1)]) == [3]
    assert times(kind, [Row(0, 2, (), 0), Row(10, 1, (), 1)]) == []
    assert list(kind.crossings([Row(0, 2, (), 0), Row(5, 2, (), 0), Row(6, 1, (), 1)])) == [Crossing(6, 0, 3)]


def test_an_absence_is_known_when_its_time_has_passed_and_not_before() -> None:
    kind = Absence(severity=HIGH, within=10, at_least=2, known_for=5)
    assert times(kind, rows(0, 1), now_ms=10) == []
    assert times(kind, rows(0, 1), now_ms=11) == [11]
    assert times(kind, rows(0, 1, 11), now_ms=15) == []
    assert times(kind, rows(0, 6), now_ms=99) == []


def test_a_drop_begins_once() -> None:
    kind = Drop(severity=HIGH, at_least=4, ratio=0.25, within=10)
    assert times(kind, rows(0, 1, 2, 3), now_ms=99) == [13]
    assert times(kind, rows(0, 1, 2, 3), now_ms=12) == []


def test_a_spike_without_a_baseline_is_decided_by_its_floor_or_left_out() -> None:
    assert times(Spike(severity=HIGH, at_least=2, ratio=3, within=10), rows(0, 1)) == [1]
    assert times(Spike(severity=HIGH, at_least=2, ratio=3, within=10, known_only=True), rows(0, 1)) == []
    assert times(Spike(severity=HIGH, at_least=2, ratio=3, within=10), rows(0, 11, 12)) == []
    assert times(Spike(severity=HIGH, at_least=2, ratio=3, within=10), rows(0, 11, 12, 13)) == [13]


def test_a_new_value_is_new_to_a_group_that_is_not() -> None:
    kind = NewValue(severity=HIGH, fields="u", over=10)
    a, b = ("a",), ("b",)
    assert times(kind, [Row(0, 1, a)]) == []
    assert times(kind, [Row(0, 1, a), Row(3, 1, b), Row(4, 1, b)]) == [3]
    assert times(kind, [Row(0, 1, a), Row(5, 1, b), Row(10, 1, a)]) == [5, 10]
    assert times(NewValue(severity=HIGH, fields="u", over=10, first_too=True), [Row(0, 1, a), Row(9, 1, a)]) == [0]


def test_measures_are_exact() -> None:
    tenths = [Row(time, 1, (0.1,)) for time in range(10)]
    assert times(Metric(severity=HIGH, field="n", measure="sum", above=0.9999999999999999, within=99), tenths) == [9]
    percentile = Metric(severity=HIGH, field="n", measure="percentile", percent=90, above=8, within=99)
    assert times(percentile, [Row(1, 1, (float(n),)) for n in range(1, 11)]) == [1]
    assert times(percentile, [Row(1, 1, (float(n),)) for n in range(11)]) == [1]
    of_a_thousand = Metric(severity=HIGH, field="n", measure="percentile", percent=99.9, above=1, within=99)
    assert times(of_a_thousand, [Row(1, 999, (1.0,)), Row(1, 1, (9.0,))]) == []
    assert times(of_a_thousand, [Row(1, 998, (1.0,)), Row(1, 2, (9.0,))]) == [1]


def test_a_share_is_of_the_events_in_the_window() -> None:
    kind = Share(severity=HIGH, of={"c": "f"}, percent=50, at_least=2, within=10)
    assert times(kind, [Row(0, 1, (), 0), Row(1, 1, (), 1), Row(2, 1, (), 1)]) == [1]
    exact = Share(severity=HIGH, of={"c": "f"}, percent=1.1, at_least=3000, within=10)
    assert times(exact, [Row(0, 33, (), 0), Row(0, 2967, (), 1)]) == [0]
    assert times(exact, [Row(0, 33, (), 0), Row(0, 2968, (), 1)]) == []


def test_a_shares_severity_rises_with_how_many_fit() -> None:
    kind = Share(severity=by_count({2: LOW, 4: HIGH}), of={"c": "f"}, percent=50, of_at_least=2, within=10)
    found = kind.crossings([Row(0, 2, (), 0), Row(1, 2, (), 1), Row(2, 2, (), 0), Row(3, 9, (), 1), Row(15, 3, (), 0)])
    assert [(one.time_ms, one.count, one.severity) for one in found] == [
        (0, 2, LOW),
        (1, 2, LOW),
        (2, 4, HIGH),
        (15, 3, LOW),
    ]
    assert ("of_at_least +1", by_count({3: LOW, 4: HIGH})) in [(label, one.severity) for label, one in mutations(kind)]
    with pytest.raises(ConfigurationError, match="let the first level of by_count be of_at_least, 2"):
        replace(kind, severity=by_count({1: LOW}))


def test_a_change_is_between_an_event_and_the_one_before() -> None:
    kind = Change(severity=HIGH, field="ua", within=10)
    assert times(kind, [Row(0, 1, ("a",)), Row(9, 1, ("b",)), Row(9, 1, ("c",)), Row(19, 1, ("d",))]) == [9]


def test_a_change_of_what_is_ignored_is_none() -> None:
    kind = Change(severity=HIGH, field="ua", within=10, ignoring="[0-9.]")
    assert times(kind, [Row(0, 1, ("a/1.9",)), Row(1, 1, ("a/2",)), Row(2, 1, ("b/2",)), Row(3, 1, ("b/",))]) == [2]


def test_a_group_that_has_too_little_is_no_suspect() -> None:
    assert not Threshold(severity=HIGH, at_least=3, within=1).may_fire(Totals(2))
    assert Threshold(severity=HIGH, at_least=3, within=1).may_fire(Totals(3))
    spike = Spike(severity=HIGH, at_least=2, ratio=3, within=10)
    assert spike.may_fire(Totals(50, (), (6, 2)))
    assert not spike.may_fire(Totals(50, (), (5, 2)))


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        (Threshold, {"at_least": 0, "within": 1}, "at_least is 0; give a whole number of at least 1"),
        (Threshold, {"at_least": True, "within": 1}, "at_least is True"),
        (Threshold, {"at_least": 1, "within": 1.5}, "within is 1.5; give a duration such as minutes(15)"),
        (Threshold, {"at_least": 1, "within": minutes(1) * 10**9}, "at most 366 days"),
        (Threshold, {"at_least": 5, "within": 1, "severity": by_count({6: LOW})}, "let the first level of by_count be"),
        (Threshold, {"at_least": 5, "within": 1, "severity": "high"}, "use Severity.HIGH"),
        (Change, {"field": "ua", "ignoring": "["}, "ignoring is '['; give a regular expression"),
        (Change, {"field": "ua", "ignoring": None}, "ignoring is None; give a regular expression"),
        (Change, {"field": "ua", "ignoring": b"[0-9]"}, "ignoring is b'[0-9]'; give a regular expression as text"),
        (Threshold, {"at_least": 5, "within": 1, "attack": "T1110"}, "give a tuple such as ('T1110',)"),
        (Threshold, {"at_least": 5, "within": 1, "attack": ("1110",)}, "give ATT&CK technique ids"),
        (Threshold, {"at_least": 5, "within": 1, "group_by": ""}, "group_by is ''; give a field name"),
        (Threshold, {"at_least": 5, "within": 1, "group_by": ("a", "a")}, "name each field once"),
        (Threshold, {"at_least": 5, "within": 1, "suppress_for": -1}, "suppress_for is -1"),
        (Threshold, {"at_least": 5, "within": 1, "fires": burst(5)}, "give a list of examples such as [burst(5)]"),
        (Threshold, {"at_least": 5, "within": 1, "quiet": [burst(5), 5]}, "quiet[1] is 5; make it with event({…})"),
        (Custom, {"judge": yields}, "let it return what it says"),
        (Threshold, {"at_least": 5, "within": 1, "where": {"a": None}}, "where['a']: None selects nothing"),
        (DistinctCount, {"at_least": 1, "within": 1, "field": "u"}, "at_least is 1; give a whole number of at least 2"),
        (DistinctCount, {"at_least": 2, "within": 1, "field": "u", "group_by": "u"}, "count a field that is not in"),
        (Threshold, {"at_least": 5, "within": 1, "group_by": {"a", "b"}}, "give a field's name, or a tuple of them"),
        (Threshold, {"at_least": 5, "within": 1, "group_by": None}, "group_by is None; give a field's name"),
        (Threshold, {"at_least": 5, "within": 1, "attack": None}, "attack is None; give a tuple, () for none"),
        (Threshold, {"at_least": 5, "within": 1, "tags": None}, "tags is None; give a tuple, () for none"),
        (Threshold, {"at_least": 5, "within": 1, "where": {"a": float("nan")}}, "is no number that a field could have"),
        (NewValue, {"fields": {"a", "b"}, "over": 1}, "name one or several fields"),
        (NewValue, {"fields": "a", "over": 1, "first_too": "no"}, "first_too is 'no'; give True or False"),
        (Spike, {"at_least": 1, "ratio": 2, "within": 1, "known_only": "no"}, "known_only is 'no'; give True or False"),
        (Custom, {"judge": len, "within": 1, "time_of_day": "no"}, "time_of_day is 'no'; give True or False"),
        (Match, {}, "name the events to match"),
        (Stages, {"stages": (), "within": 1}, "give two or more"),
        (Stages, {"stages": ({"a": 1}, {"a": 2}), "within": 1}, "stages[0] is {'a': 1}; make it with stage"),
        (Share, {"of": 3, "percent": 5, "at_least": 1, "within": 1}, "of: where is a int"),
        (Share, {"of": {}, "percent": 0, "at_least": 1, "within": 1}, "percent is 0; give a number above 0"),
        (Metric, {"field": "n", "measure": "mean", "above": 1, "within": 1}, "measure is 'mean'; use one of sum"),
        (Metric, {"field": "n", "measure": "sum", "within": 1}, "give either above or below"),
        (NewValue, {"fields": ()}, "name one or several fields"),
        (Spike, {"at_least": 1, "ratio": 1, "within": 1}, "ratio is 1; give a number above 1"),
        (Drop, {"at_least": 1, "ratio": 1, "within": 1}, "give a number from 0 to below 1"),
        (Custom, {"judge": 3, "within": 1}, "give a function that takes a Window"),
        (Custom, {"judge": len, "within": 1, "fields": "a"}, "give a tuple such as ('a',)"),
    ],
)
def test_a_wrong_definition_names_the_field_and_the_repair(
    kind: type[Kind], arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        kind(**{"severity": HIGH, **arguments})
    assert words in str(error.value)


def test_a_function_is_asked_only_about_the_instants_that_are_judged() -> None:
    asked: list[int] = []

    def judge(window: Window) -> bool:
        asked.append(window.time_ms)
        return window.count > 1

    kind = Custom(severity=HIGH, judge=judge, within=10)
    found = list(kind.crossings_in(rows(*range(0, 100, 5)), [(20, 24), (50, 55)]))
    assert asked == [20, 50, 55]
    assert [crossing.time_ms for crossing in found] == [20, 50, 55]
    everything = list(kind.crossings(rows(*range(0, 100, 5))))
    assert [crossing for crossing in everything if crossing.time_ms in (20, 50, 55)] == found


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), -float("inf")])
def test_a_limit_that_nothing_can_pass_is_refused(limit: float) -> None:
    for make in (above, below, at_most, at_least):
        with pytest.raises(ConfigurationError, match="is no number"):
            make(limit)
    with pytest.raises(ConfigurationError, match="above is"):
        Metric(severity=LOW, field="siemlite.number.rows", measure="sum", above=limit, within=1)
    with pytest.raises(ConfigurationError, match="ratio is"):
        Spike(severity=LOW, ratio=limit, at_least=1, within=minutes(1))


def test_limits_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="give the smaller one first"):
        between(500, 400)
    assert between(400, 400).accepts([400])


def test_after_a_closing_only_what_came_after_it_counts() -> None:
    kind = Threshold(severity=Severity.LOW, at_least=3, within=minutes(5))
    before, after = Crossing(1000, 500, 3), Crossing(1500, 1001, 3)
    assert kind.after_closing([before, after], 1000) == [after]
    assert kind.after_closing([before, Crossing(1500, 1000, 3)], 1000) is None


def test_a_silence_that_is_complete_after_a_closing_is_news_though_its_last_event_lies_before() -> None:
    kinds = (
        Absence(severity=Severity.LOW, within=500),
        Drop(severity=Severity.LOW, at_least=3, ratio=0.5, within=500),
        Change(severity=Severity.LOW, field="source.ip", within=500),
    )
    for kind in kinds:
        found = [Crossing(1000, 500, 1), Crossing(1400, 900, 1)]
        assert kind.after_closing(found, 1000) == found[1:]


def test_a_spike_after_a_closing_is_one_beside_all_that_there_was_before() -> None:
    kind = Spike(severity=Severity.LOW, at_least=5, ratio=10, within=60_000, compared_with=minutes(30), known_only=True)
    anew = [Crossing(1000, 900, 6, value=0.0), Crossing(2000, 900, 400, value=0.0)]
    whole = [Crossing(1000, 100, 456, value=33.0), Crossing(2000, 100, 850, value=33.0)]
    assert kind.renewed(anew, whole) == [Crossing(2000, 900, 400, value=33.0)]
    narrowed = kind.narrowed({"event.code": "X"})
    assert isinstance(narrowed, Spike)
    assert (narrowed.known_only, narrowed.where) == (False, {"event.code": "X"})


async def _later(window: Window) -> bool:
    return False


@pytest.mark.parametrize(("judge", "words"), [(_later, "plain function"), (lambda: True, "one argument")])
def test_a_judge_that_could_never_judge_is_refused(judge: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Custom(severity=LOW, judge=judge)
