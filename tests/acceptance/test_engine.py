"""The engine on a real Elasticsearch: what it promises to the alerts."""

from pathlib import Path

import pytest

from pipeline.app.watching import App
from pipeline.detection import (
    Absence,
    Detection,
    DistinctCount,
    Metric,
    NewValue,
    Severity,
    Threshold,
    days,
    minutes,
)
from pipeline.elastic.search import Search, Searcher
from pipeline.engine import marks
from pipeline.engine.checkpoint import Checkpoint
from pipeline.engine.engine import Limits
from pipeline.engine.indices import PREFIX, look
from pipeline.engine.result import Wanted
from pipeline.engine.scope import Marks
from pipeline.engine.steps import Step, T, run
from pipeline.errors import SiemliteError
from pipeline.settings import load_settings
from tests.acceptance.engine_world import (
    DAY,
    FIVE,
    HOUR,
    MARKER,
    MINUTE,
    NOON,
    SPRAY,
    World,
    detection,
    failure,
    index_of,
    instants,
)


@pytest.fixture
def world(es_ready: str) -> World:
    return World(es_ready)


def test_the_fifth_failure_within_the_window_is_a_crossing_and_the_fourth_is_not(world: World) -> None:
    world.write(failure(NOON + n * 1000) for n in range(4))
    assert world.findings([FIVE], NOON + MINUTE) == []
    world.write([failure(NOON + 4000)])
    (finding,) = world.findings([FIVE], NOON + MINUTE)
    assert finding.group == (("source.address", "203.0.113.7"),)
    (crossing,) = finding.crossings
    assert (crossing.time_ms, crossing.first_ms, crossing.count) == (NOON + 4000, NOON, 5)


def test_a_window_is_shorter_than_its_length_to_the_millisecond(world: World) -> None:
    world.write(failure(NOON + t, "exact") for t in (0, 1, 2, 3, minutes(15)))
    world.write(failure(NOON + t, "within") for t in (0, 1, 2, 3, minutes(15) - 1))
    assert instants(world.findings([FIVE], NOON + HOUR)) == {("within",): [NOON + minutes(15) - 1]}


def test_a_burst_across_midnight_lies_in_two_indices_and_is_found(world: World) -> None:
    midnight = NOON + DAY // 2
    world.write(failure(midnight + t) for t in (-3000, -2000, -1000, 0, 1000))
    assert instants(world.findings([FIVE], midnight + MINUTE)) == {("203.0.113.7",): [midnight + 1000]}


def test_what_was_evaluated_is_not_found_again(world: World) -> None:
    world.write(failure(NOON + n) for n in range(6))
    assert instants(world.findings([FIVE], NOON + MINUTE)) == {("203.0.113.7",): [NOON + 4, NOON + 5]}
    assert world.findings([FIVE], NOON + 2 * MINUTE) == []
    world.write([failure(NOON + MINUTE, "another")])
    assert world.findings([FIVE], NOON + 2 * MINUTE) == []


def test_a_late_event_makes_later_events_into_crossings(world: World) -> None:
    world.write(failure(NOON + n * MINUTE) for n in (0, 2, 3, 10))
    world.write([failure(NOON + 20 * MINUTE)])
    assert world.findings([FIVE], NOON + 21 * MINUTE) == []
    world.write([failure(NOON + MINUTE)])
    assert instants(world.findings([FIVE], NOON + 22 * MINUTE)) == {("203.0.113.7",): [NOON + 10 * MINUTE]}


def test_an_event_later_than_the_horizon_is_counted_as_not_evaluated(world: World) -> None:
    assert world.findings([FIVE], NOON) == []
    world.write(failure(NOON - 2 * DAY + n) for n in range(7))
    (result,) = world.step([FIVE], NOON + 1000)
    assert (result.findings, result.coverage.too_late, result.complete) == ((), 7, True)


def test_the_late_horizon_is_what_the_setting_says(world: World, tmp_path: Path) -> None:
    world.write(failure(NOON - 2 * HOUR + n) for n in range(5))
    for horizon, found in (("1h", 0), ("3h", 1)):
        settings = load_settings(
            None, elasticsearch_url=world.url, siemlite_home=tmp_path, siemlite_late_horizon=horizon
        )
        world.engine = App(settings, print).engine
        world.since = {FIVE.id: Checkpoint(caught_up_ms=NOON, clock_ms=NOON)}
        (result,) = world.step([FIVE], NOON + MINUTE)
        assert (len(result.findings), result.coverage.too_late) == (found, 0 if found else 5)


def test_lateness_is_reckoned_from_the_last_complete_pass_so_an_outage_costs_nothing(world: World) -> None:
    assert world.findings([FIVE], NOON) == []
    world.write(failure(NOON + HOUR + n) for n in range(5))
    three_days_on = NOON + 3 * DAY
    assert instants(world.findings([FIVE], three_days_on)) == {("203.0.113.7",): [NOON + HOUR + 4]}


def test_a_first_start_looks_back_as_far_as_the_late_horizon(world: World) -> None:
    world.write(failure(NOON - 3 * DAY + n, "old") for n in range(5))
    world.write(failure(NOON - HOUR + n, "recent") for n in range(5))
    assert instants(world.findings([FIVE], NOON)) == {("recent",): [NOON - HOUR + 4]}


def test_distinct_values_count_once_and_only_within_the_window(world: World) -> None:
    users = ["a", "b", "a", "c", "c", "d", "d"]
    world.write(failure(NOON + n, "sprayer", user) for n, user in enumerate(users))
    world.write(failure(NOON + n, "stubborn", "a") for n in range(50))
    world.write(failure(NOON + n * 20 * MINUTE, "slow", f"u{n}") for n in range(8))
    world.write(failure(NOON + n, "nobody", None) for n in range(9))
    found = instants(world.findings([SPRAY], NOON + 4 * HOUR))
    assert found == {("sprayer",): [NOON + 5, NOON + 6]}


def test_detections_share_a_pass_and_each_has_its_result(world: World) -> None:
    world.write(failure(NOON + n, user=f"u{n}") for n in range(5))
    results = {result.detection.id: result for result in world.step([FIVE, SPRAY], NOON + 1)}
    assert instants(results["five"].findings) == {("203.0.113.7",): [NOON + 4]}
    assert instants(results["spray"].findings) == {("203.0.113.7",): [NOON + 3, NOON + 4]}


def test_groups_of_several_fields_and_of_none(world: World) -> None:
    pairs = detection(
        Threshold(severity=Severity.LOW, group_by=("source.address", "user.id"), at_least=3, within=minutes(5)), "pairs"
    )
    everything = detection(Threshold(severity=Severity.LOW, at_least=6, within=minutes(5)), "everything")
    for n in range(3):
        world.write([failure(NOON + n, "a", "x"), failure(NOON + n, "b", "y")])
    world.write([failure(NOON + 9, "a", "y"), failure(NOON + 9, "b", "x")])
    results = {result.detection.id: result for result in world.step([pairs, everything], NOON + MINUTE)}
    assert instants(results["pairs"].findings) == {("a", "x"): [NOON + 2], ("b", "y"): [NOON + 2]}
    assert instants(results["everything"].findings) == {(): [NOON + 2, NOON + 9]}


def test_more_groups_than_a_page_and_more_shards_than_one(es_ready: str) -> None:
    world = World(es_ready)
    world.client.indices.create(index="security-logs-2026.01.01", settings={"number_of_shards": 3})
    world.write(failure(NOON + n, f"10.0.{n // 250}.{n % 250}") for n in range(12_345))
    world.write(failure(NOON + n, f"10.0.{g // 250}.{g % 250}") for g in range(0, 12_345, 1000) for n in range(4))
    found = instants(world.findings([FIVE], NOON + MINUTE))
    assert set(found) == {(f"10.0.{g // 250}.{g % 250}",) for g in range(0, 12_345, 1000)}


def test_after_an_outage_the_present_is_evaluated_first_and_all_the_rest_in_bounded_steps(es_ready: str) -> None:
    world = World(es_ready, limits=Limits(step=100))
    assert world.findings([FIVE], NOON) == []
    for minute in range(50):
        world.write(failure(NOON + minute * MINUTE + n, f"a{minute:02d}") for n in range(20))
    first, *_ = world.step([FIVE], NOON + HOUR)
    assert set(instants(first.findings)) >= {("a49",), ("a46",)}
    assert first.coverage.arrived <= 200
    assert first.more
    world.write(failure(NOON + HOUR + n, "now") for n in range(5))
    second, *_ = world.step([FIVE], NOON + HOUR + 1000)
    assert ("now",) in instants(second.findings)
    rest = world.findings([FIVE], NOON + HOUR + 2000)
    found = instants([*first.findings, *second.findings, *rest])
    expected = {(f"a{m:02d}",): [NOON + m * MINUTE + n for n in range(4, 20)] for m in range(50)}
    assert found == {**expected, ("now",): [NOON + HOUR + 4]}
    assert world.since["five"].behind == 0


def test_what_arrived_and_waits_for_its_step_is_evidence_already(es_ready: str) -> None:
    world = World(es_ready, limits=Limits(step=5))
    total = detection(
        Metric(severity=Severity.LOW, field="siemlite.number.n", measure="sum", above=11, within=minutes(15)), "total"
    )
    midnight = NOON + DAY // 2
    assert world.findings([total], midnight - MINUTE) == []
    world.write({"@timestamp": midnight - 20 + n, "siemlite.number.n": 1.0} for n in range(11))
    world.write({"@timestamp": midnight + n, "siemlite.number.n": 1.0} for n in range(10))
    (first,) = world.step([total], midnight + MINUTE)
    assert (first.coverage.arrived, first.more) == (10, True)
    assert instants(first.findings) == {(): [midnight + n for n in range(10)]}


def test_an_index_made_again_under_its_old_name_is_evaluated_from_its_beginning(world: World) -> None:
    world.write(failure(NOON + n) for n in range(9))
    assert world.findings([FIVE], NOON + MINUTE)
    world.client.indices.delete(index="security-logs-2026.01.01")
    world.write(failure(NOON + n, "again") for n in range(5))
    assert instants(world.findings([FIVE], NOON + 2 * MINUTE)) == {("again",): [NOON + 4]}
    assert len(world.since["five"].positions) == 1


def test_history_is_evaluated_with_evidence_from_before_its_beginning(world: World) -> None:
    world.write(failure(NOON + n * MINUTE) for n in range(8))
    result = world.engine.over(FIVE, NOON + 5 * MINUTE, NOON + 7 * MINUTE)
    assert instants(result.findings) == {("203.0.113.7",): [NOON + 5 * MINUTE, NOON + 6 * MINUTE]}
    assert world.engine.over(FIVE, NOON - 9 * DAY, NOON).findings == ()
    everything = world.engine.over(FIVE, NOON - 9 * DAY, NOON + 9 * DAY)
    assert instants(everything.findings) == {("203.0.113.7",): [NOON + n * MINUTE for n in (4, 5, 6, 7)]}


def test_history_across_days_is_one_finding_for_each_group(world: World) -> None:
    midnight = NOON + DAY // 2
    world.write(failure(midnight + t * MINUTE) for t in range(-6, 6))
    result = world.engine.over(FIVE, NOON, NOON + days(1))
    (finding,) = result.findings
    assert [crossing.time_ms for crossing in finding.crossings] == [midnight + t * MINUTE for t in range(-2, 6)]


def test_a_signed_drill_is_found_in_its_own_world_and_in_no_other(world: World) -> None:
    everything = detection(Threshold(severity=Severity.LOW, at_least=5, within=minutes(15)), "everything")
    world.write((failure(NOON + n, "198.51.100.1") for n in range(5)), drill="d1")
    world.write([failure(NOON + 6, "198.51.100.1")])
    found = world.findings([FIVE, everything], NOON + MINUTE)
    assert sorted((finding.detection_id, finding.drill or "real") for finding in found) == [
        ("everything", "d1"),
        ("five", "d1"),
    ]
    assert world.engine.over(FIVE, NOON, NOON + HOUR).findings[0].drill == "d1"


def test_a_forged_drill_counts_as_real(world: World) -> None:
    world.write((failure(NOON + n) for n in range(3)), drill="d2", sign=False)
    world.write(failure(NOON + 3 + n) for n in range(2))
    (finding,) = world.findings([FIVE], NOON + MINUTE)
    assert (finding.drill, finding.crossings[0].time_ms) == (None, NOON + 4)


def test_marks_beyond_those_examined_count_as_real_and_the_others_are_not_listed_one_by_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "EXAMINED_MAX", 6)
    world.write([failure(NOON - 13 * HOUR + n, "192.0.2.3") for n in range(5)], drill="drill-of-yesterday")
    world.write([failure(NOON + n * 1000, "192.0.2.1") for n in range(5)], drill="drill-old")
    world.write([failure(NOON + MINUTE + n, "192.0.2.2") for n in (0, 0, 1, 2, 3, 4)], drill="drill-new")
    world.client.indices.refresh(index=PREFIX + "*")
    known = marks.KnownMarks(MARKER.verify)
    ((_, found),) = run(Searcher(world.client), [(None, known.of(look(world.client).all, ()))])
    assert not isinstance(found, SiemliteError)
    assert [own.index for own in found] == [index_of(NOON)]
    assert str(Marks(tuple(found)).real()).count("e0000") == 2  # those of the last instant that was examined
    by_world = {(finding.drill, finding.group) for finding in world.findings([FIVE], NOON + 2 * MINUTE)}
    real = {group for drill, group in by_world if drill is None}
    assert real == {(("source.address", "192.0.2.1"),), (("source.address", "192.0.2.3"),)}
    assert ("drill-new", (("source.address", "192.0.2.2"),)) in by_world


def counted(step: Step[T], asked: list[Search]) -> Step[T]:
    """Do as `step` does, and note its searches in `asked`."""
    try:
        searches = next(step)
        while True:
            asked += searches
            searches = step.send((yield searches))
    except StopIteration as end:
        value: T = end.value
        return value


def test_the_marks_of_an_index_are_read_again_only_once_it_changed(world: World) -> None:
    world.write([failure(NOON - DAY + n, "192.0.2.1") for n in range(5)], drill="d1")
    world.write([failure(NOON + n, "192.0.2.2") for n in range(5)], drill="d2")
    known = marks.KnownMarks(MARKER.verify)

    def read() -> tuple[int, list[int]]:
        """Return how many searches it takes to know the marks, and how many each index has."""
        world.client.indices.refresh(index=PREFIX + "*")
        indices = look(world.client).all
        asked: list[Search] = []
        step = counted(known.of(indices, [index.name for index in indices]), asked)
        ((_, found),) = run(Searcher(world.client), [(None, step)])
        assert not isinstance(found, SiemliteError)
        return len(asked), [len(own.signed) for own in found]

    assert read() == (3, [5, 5])
    assert read() == (0, [5, 5])
    world.write([failure(NOON + 9, "192.0.2.2")], drill="d2")
    assert read() == (2, [6, 5])
    assert known.unknown(look(world.client).all) == []


def test_a_mark_copied_onto_another_event_is_forged(world: World) -> None:
    world.write([failure(NOON)], drill="d3")
    hit = world.client.get(index="security-logs-2026.01.01", id="e00000001")["_source"]
    copied = {name: hit[name] for name in ("siemlite.drill.id", "siemlite.drill.signature")}
    world.write(failure(NOON + 1 + n, **copied) for n in range(5))
    (finding,) = world.findings([FIVE], NOON + MINUTE)
    assert (finding.drill, [crossing.time_ms for crossing in finding.crossings]) == (None, [NOON + 5])


def test_the_evidence_of_an_alert_is_counted_exactly_in_its_own_world(world: World) -> None:
    world.write(failure(NOON + n) for n in range(30))
    world.write((failure(NOON + n) for n in range(7)), drill="d4")
    group = (("source.address", "203.0.113.7"),)
    assert world.findings([FIVE], NOON + MINUTE)
    spans = ((NOON + 2, NOON + 28, None), (NOON, NOON + HOUR, "d4"), (NOON, NOON + 20, None))
    wanted = [Wanted(group, first_ms, last_ms, drill) for first_ms, last_ms, drill in spans]
    found = world.engine.evidence(FIVE, wanted, size=3)
    assert [one.count for one in found] == [27, 7, 21]
    samples = found[2].samples
    assert [sample.time_ms for sample in samples] == [NOON + 20, NOON + 19, NOON + 18]
    assert samples[0].source["event.code"] == "LOGIN_FAILURE"
    assert "siemlite.drill.id" not in samples[0].source


def test_evidence_that_is_asked_for_without_any_pass_is_of_the_indices_that_there_are_now(world: World) -> None:
    wanted = [Wanted((("source.address", "203.0.113.7"),), NOON, NOON + 2 * DAY)]

    def count() -> int:
        world.client.indices.refresh(index="security-logs-*")
        (found,) = world.engine.evidence(FIVE, wanted)
        return found.count

    assert count() == 0
    world.write([failure(NOON)])
    assert count() == 1
    world.write([failure(NOON + DAY)])
    assert count() == 2
    world.client.indices.delete(index=index_of(NOON))
    assert count() == 1


def test_without_any_index_there_is_nothing_to_find(world: World) -> None:
    assert world.findings([FIVE, SPRAY], NOON) == []
    assert world.engine.over(FIVE, NOON, NOON + 1).findings == ()
    (found,) = world.engine.evidence(FIVE, [Wanted((("source.address", "x"),), NOON, NOON + 1)])
    assert found.count == 0


def test_a_large_group_is_read_no_further_than_its_memory_and_exactly(world: World) -> None:
    start = NOON + 14 * MINUTE
    world.write(failure(NOON + n * 40, "flood", f"u{n % 3}") for n in range(21_000))
    world.findings([FIVE, SPRAY], NOON + 14 * MINUTE)
    world.write([failure(start + n, "flood", "u4") for n in range(3)])
    world.write([failure(NOON + 7 * MINUTE + 1, "flood", "u5")])
    results = {result.detection.id: result for result in world.step([FIVE, SPRAY], start + 1000)}
    late = NOON + 7 * MINUTE + 1
    after = [NOON + n * 40 for n in range(21_000) if NOON + n * 40 > late]
    five = set(instants(results["five"].findings)[("flood",)])
    assert five >= {late, *after[:4], start, start + 1, start + 2}
    assert five <= {late, *(NOON + n * 40 for n in range(4, 21_000)), start, start + 1, start + 2}
    assert len(five) < 500
    spray = set(instants(results["spray"].findings)[("flood",)])
    assert {late, start, start + 1, start + 2} <= spray
    assert spray <= {late, *after, start, start + 1, start + 2}


def test_looking_back_is_widened_until_what_decides_is_found(es_ready: str) -> None:
    world = World(es_ready, limits=Limits(rows_together=3))
    world.write(failure(NOON - 14 * MINUTE + n, "wide", f"u{n}") for n in range(4))
    world.write(failure(NOON + 5 * MINUTE + n, "wide", "u1") for n in range(200))
    world.findings([FIVE, SPRAY], NOON + 6 * MINUTE)
    world.write([failure(NOON, "wide", "u9")])
    results = {result.detection.id: result for result in world.step([FIVE, SPRAY], NOON + 6 * MINUTE)}
    (five,) = (one for one in results["five"].findings[0].crossings if one.time_ms == NOON)
    assert five.first_ms == NOON - 14 * MINUTE
    (spray,) = (one for one in results["spray"].findings[0].crossings if one.time_ms == NOON)
    assert spray.first_ms == NOON - 14 * MINUTE + 1


def test_what_a_group_has_had_is_remembered_and_read_from_the_events_where_it_is_not(world: World) -> None:
    country = detection(
        NewValue(severity=Severity.LOW, group_by="user.id", fields="source.address", over=days(10)), "country"
    )
    world.write([failure(NOON - HOUR, "home")])
    assert world.findings([country], NOON) == []
    world.client.indices.refresh(index="security-seen-*")
    assert world.client.count(index="security-seen-v1")["count"] == 1
    world.write([failure(NOON + 1, "home"), failure(NOON + 2, "away")])
    (result,) = world.step([country], NOON + 3)
    assert instants(result.findings) == {("u1",): [NOON + 2]}
    world.client.indices.refresh(index="security-seen-*")
    world.write([failure(NOON + 5, "away"), failure(NOON + 6, "home")])
    (result,) = world.step([country], NOON + 7)
    assert (result.findings, result.coverage.suspects) == ((), 0)
    world.client.indices.delete(index="security-seen-v1")
    world.engine = world.new_engine()
    world.write([failure(NOON + 8, "away"), failure(NOON + 9, "elsewhere")])
    assert instants(world.findings([country], NOON + 10)) == {("u1",): [NOON + 2, NOON + 9]}


def test_a_late_event_of_a_known_value_makes_a_new_value_of_what_came_earlier(world: World) -> None:
    country = detection(
        NewValue(severity=Severity.LOW, group_by="user.id", fields="source.address", over=days(10)), "country"
    )
    world.write([failure(NOON, "home")])
    assert world.findings([country], NOON + 1) == []
    world.client.indices.refresh(index="security-seen-*")
    away = NOON + 10 * DAY + HOUR
    world.write([failure(away, "away")])
    assert world.findings([country], away + 1) == []  # The first event of ten days.
    world.write([failure(away - 2 * HOUR, "home")])
    assert instants(world.findings([country], away + 2)) == {("u1",): [away]}


def test_silence_is_found_when_its_time_has_come_and_no_event_arrives(world: World) -> None:
    silent = detection(Absence(severity=Severity.LOW, group_by="user.id", within=minutes(5), at_least=3), "silent")
    world.write(failure(NOON + n * 1000, user=user) for n in range(5) for user in ("stops", "goes on"))
    for minute in range(1, 5):
        world.write([failure(NOON + minute * MINUTE, user="goes on")])
        assert world.findings([silent], NOON + minute * MINUTE) == []
    world.write([failure(NOON + 5 * MINUTE, user="goes on")])
    assert world.findings([silent], NOON + 5 * MINUTE + 3_999) == []
    (finding,) = world.findings([silent], NOON + 5 * MINUTE + 4_000)
    assert finding.group == (("user.id", "stops"),)
    assert finding.crossings[0].time_ms == NOON + 5 * MINUTE + 4_000
    assert world.findings([silent], NOON + 6 * MINUTE) == []


def test_a_silence_that_is_shorter_than_it_was_is_found_where_it_is_over_already(world: World) -> None:
    def silent(within: int) -> Detection:
        return detection(Absence(severity=Severity.LOW, group_by="user.id", within=within), "silent")

    world.write([failure(NOON, user="stops")])
    assert world.findings([silent(minutes(10))], NOON + MINUTE) == []
    assert world.findings([silent(minutes(10))], NOON + 3 * MINUTE) == []
    (finding,) = world.findings([silent(minutes(2))], NOON + 3 * MINUTE + 1)
    assert instants([finding]) == {("stops",): [NOON + 2 * MINUTE]}
    assert world.findings([silent(minutes(2))], NOON + 4 * MINUTE) == []
    assert world.findings([silent(minutes(5))], NOON + 4 * MINUTE + 1) == []
    (finding,) = world.findings([silent(minutes(5))], NOON + 5 * MINUTE)
    assert instants([finding]) == {("stops",): [NOON + 5 * MINUTE]}


@pytest.mark.parametrize("field", ["siemlite.data.files", "user.roles"])
def test_each_of_several_values_of_an_event_counts(world: World, field: str) -> None:
    def files(at_least: int) -> Detection:
        kind = DistinctCount(
            severity=Severity.HIGH, group_by="user.id", field=field, at_least=at_least, within=minutes(5)
        )
        return detection(kind, f"files_{at_least}")

    world.write({**failure(NOON + n, user="eve"), field: [f"{n}-{number}" for number in range(5)]} for n in range(5))
    world.write(failure(NOON + n, user=f"u{n}") | {field: "one"} for n in range(100))
    rules = [files(number) for number in (5, 6, 20, 25, 26)]
    live = {result.detection.id: result for result in world.step(rules, NOON + MINUTE)}
    for rule, first in zip(rules, (NOON, NOON + 1, NOON + 3, NOON + 4, None), strict=True):
        history = world.engine.over(rule, NOON, NOON + MINUTE)
        for found in (live[rule.id].findings, history.findings):
            assert [(one.group[0][1], one.crossings[0].time_ms) for one in found] == (
                [] if first is None else [("eve", first)]
            )


def test_a_shard_is_known_by_the_history_that_the_server_tells(world: World) -> None:
    world.write(failure(NOON + n) for n in range(5))
    (result,) = world.step([FIVE], NOON + MINUTE)
    assert result.checkpoint.positions
    assert all(shard.history for shard in result.checkpoint.positions)


def test_silence_is_not_judged_while_events_of_an_outage_still_arrive(world: World) -> None:
    silent = detection(Absence(severity=Severity.LOW, group_by="user.id", within=minutes(30)), "silent")
    world.write([failure(NOON, user=user) for user in ("goes on", "stops")])
    assert world.findings([silent], NOON + 1000) == []
    back = NOON + HOUR
    assert world.findings([silent], back) == []
    world.write(failure(NOON + n * 10 * MINUTE, user="goes on") for n in range(1, 7))
    assert world.findings([silent], back + 14 * MINUTE) == []
    assert instants(world.findings([silent], back + 15 * MINUTE)) == {("stops",): [NOON + 30 * MINUTE]}


def test_an_index_that_stands_behind_its_old_name_after_shrinking_holds_the_day_of_that_name(world: World) -> None:
    world.write([failure(NOON)])
    name = "shrink-ab1c-" + index_of(NOON - 2 * DAY)
    world.client.indices.create(index=name, aliases={index_of(NOON - 2 * DAY): {}})
    try:
        found = look(world.client)
        assert {index.name: index.day_ms for index in found.all}[name] == NOON - NOON % DAY - 2 * DAY
        assert found.overlapping(NOON, NOON) == (index_of(NOON),)
    finally:
        world.client.indices.delete(index=name)
