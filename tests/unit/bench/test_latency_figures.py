"""How the latency benchmark splits an attack's time, and what it says of many."""

import pytest

from bench.latency_figures import PARTS, Found, parts, percentile, summary

PASSES = [(1_000, 1_100), (3_000, 3_200), (5_000, 5_300)]


def found(crossing: int, ingested: int, decided: int, received: int) -> Found:
    return Found("d", crossing, ingested, decided, received)


def test_what_was_sent_before_its_pass_began_waited_for_the_schedule() -> None:
    assert parts(found(1_500, 1_550, 4_000, 4_200), PASSES) == {
        "ship": 50,
        "schedule": 1_450,
        "refresh": 200,
        "query": 800,
        "delivery": 200,
    }


def test_what_was_sent_while_its_pass_began_waited_for_the_rest_of_the_refresh_alone() -> None:
    assert parts(found(3_040, 3_050, 4_000, 4_200), PASSES)["schedule"] == 0
    assert parts(found(3_040, 3_050, 4_000, 4_200), PASSES)["refresh"] == 150


@pytest.mark.parametrize("crossing", [900, 1_500, 3_040, 3_150, 4_990])
def test_the_parts_add_up_to_the_whole(crossing: int) -> None:
    one = found(crossing, crossing + 7, 5_900, 6_500)
    split = parts(one, PASSES)
    assert sum(split.values()) == one.total_ms
    assert set(split) == set(PARTS)
    assert min(split.values()) >= 0


def test_an_alert_before_any_pass_is_an_error_and_not_a_figure() -> None:
    with pytest.raises(ValueError, match="older than the first pass"):
        parts(found(0, 10, 1_050, 1_200), PASSES)


def test_percentiles_are_values_that_occurred() -> None:
    values = list(range(1, 101))
    assert [percentile(values, share) for share in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert percentile([7], 99) == 7
    assert percentile([1, 2], 50) == 1


def test_a_summary_is_in_seconds_and_its_shares_make_a_whole() -> None:
    said = summary([found(1_500, 1_550, 4_000, 4_200), found(3_040, 3_050, 4_000, 5_040)], PASSES)
    assert said["total"] == {"p50": 2.0, "p95": 2.7, "p99": 2.7, "max": 2.7}
    assert sum(part["mean_share_percent"] for part in said["parts"].values()) == pytest.approx(100, abs=0.3)
