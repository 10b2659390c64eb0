"""Checkpoints: nothing is evaluated twice for ever, and nothing is passed over for good."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.checkpoint import Checkpoint, Position, SeqRange, ShardId
from pipeline.engine.indices import DAY_MS, Index, Indices, Missing, day_of
from pipeline.engine.plan import plan
from pipeline.errors import PermanentError

NOON = 1_767_268_800_000
TODAY = NOON - DAY_MS // 2


def index(upto: int, *, day_ms: int | None = TODAY, uuid: str = "u", shards: int = 1) -> Index:
    return Index(f"security-logs-{uuid}", uuid, tuple((shard, upto) for shard in range(shards)), day_ms)


def test_a_checkpoint_survives_being_written_down() -> None:
    shard = ShardId("abc/def", 3)
    checkpoint = Checkpoint({shard: Position(17, (SeqRange(2, 5), SeqRange(9, 11)))}, 5, 6, 7)
    assert Checkpoint.from_json(checkpoint.to_json()) == checkpoint
    assert checkpoint.behind == 5
    of_a_history = Checkpoint({ShardId("abc/def", 3, "hist-ory_1"): Position(17)}, 5, 6, 7)
    assert Checkpoint.from_json(of_a_history.to_json()) == of_a_history
    broken: list[dict[str, Any]] = [{}, {"shards": {"x": 1}, "caught_up_ms": 0, "clock_ms": 0}, {"shards": []}]
    for wrong in broken:
        with pytest.raises(PermanentError):
            Checkpoint.from_json(wrong)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=12))
def test_every_sequence_number_is_evaluated_or_pending(steps: list[tuple[int, int]]) -> None:
    position, done, upto = Position(), set[int](), -1
    for arrived, size in steps:
        upto += arrived
        pending = position.pending(upto)
        take = [SeqRange(max(one.after, one.upto - size), one.upto) for one in pending[-2:]]
        position = position.after(take, upto)
        done |= {number for one in take for number in range(one.after + 1, one.upto + 1)}
        left = {number for gap in position.gaps for number in range(gap.after + 1, gap.upto + 1)}
        assert left == set(range(upto + 1)) - done
        assert list(position.gaps) == sorted(position.gaps)


def test_a_step_takes_the_newest_first_and_as_much_of_what_was_left() -> None:
    first = plan(Checkpoint(), Indices((index(99),)), NOON, DAY_MS, 10)
    assert [portion.range for portion in first.portions] == [SeqRange(89, 99), SeqRange(79, 89)]
    assert first.behind == 80
    then = plan(Checkpoint(first.positions, NOON), Indices((index(104),)), NOON, DAY_MS, 10)
    assert [portion.range for portion in then.portions] == [SeqRange(99, 104), SeqRange(69, 79)]


def test_a_step_is_bounded_over_all_shards_together() -> None:
    many = Indices(tuple(index(99, uuid=f"u{n}", shards=3) for n in range(4)))
    step = plan(Checkpoint(), many, NOON, DAY_MS, 50)
    assert step.arrived == 100
    assert step.behind == 12 * 100 - 100


def test_an_index_of_days_that_are_too_late_is_passed_over_and_counted() -> None:
    old = index(499, day_ms=TODAY - 3 * DAY_MS)
    assert plan(Checkpoint(), Indices((old,)), NOON, DAY_MS, 10).skipped == 0
    step = plan(Checkpoint({}, NOON), Indices((old,)), NOON, DAY_MS, 10)
    assert (step.portions, step.skipped, step.behind) == ((), 500, 0)


def test_a_clock_that_was_ahead_makes_nothing_that_arrives_now_late() -> None:
    ahead = Checkpoint({}, NOON + 3 * DAY_MS)
    step = plan(ahead, Indices((index(499),)), NOON, DAY_MS, 10)
    assert (step.floor_ms, step.skipped, step.arrived) == (NOON - DAY_MS, 0, 20)


def test_an_index_that_is_gone_is_forgotten_unless_indices_are_in_trouble() -> None:
    since = Checkpoint({ShardId("gone", 0): Position(5)}, NOON)
    assert plan(since, Indices((index(1),)), NOON, DAY_MS, 10).positions.keys() == {ShardId("u", 0)}
    troubled = plan(since, Indices((index(1),), (Missing("an index is red", None),)), NOON, DAY_MS, 10)
    assert ShardId("gone", 0) in troubled.positions


def test_a_checkpoint_that_went_back_is_nothing_new() -> None:
    since = Checkpoint({ShardId("u", 0): Position(50)}, NOON)
    step = plan(since, Indices((index(40),)), NOON, DAY_MS, 10)
    assert (step.portions, step.positions) == ((), {ShardId("u", 0): Position(50)})


def test_the_day_of_an_index_is_in_its_name() -> None:
    assert day_of("2026.01.01") == TODAY
    assert day_of("2026.01.01-000002") == TODAY
    assert day_of("2026.13.01") is None
    assert day_of("restored") is None
    assert index(0).overlaps(TODAY - 5, TODAY)
    assert not index(0).overlaps(TODAY - 5, TODAY - 1)
    assert index(0, day_ms=None).overlaps(0, 1)


def test_a_shard_whose_history_begins_anew_is_evaluated_from_its_beginning() -> None:
    def restored(upto: int, history: str) -> Indices:
        return Indices((Index("security-logs-u", "u", ((0, upto),), TODAY, ((0, history),)),))

    since = Checkpoint({ShardId("u", 0, "old"): Position(50)}, NOON)
    for upto in (40, 60):
        step = plan(since, restored(upto, "new"), NOON, DAY_MS, 100)
        assert [portion.range for portion in step.portions] == [SeqRange(-1, upto)]
        assert step.positions == {ShardId("u", 0, "new"): Position(upto)}
    assert [portion.range for portion in plan(since, restored(60, "old"), NOON, DAY_MS, 100).portions] == [
        SeqRange(50, 60)
    ]


def test_a_checkpoint_from_before_histories_were_noted_goes_on_where_it_stood() -> None:
    since = Checkpoint({ShardId("u", 0): Position(50)}, NOON)
    step = plan(since, Indices((Index("security-logs-u", "u", ((0, 60),), TODAY, ((0, "h"),)),)), NOON, DAY_MS, 100)
    assert [portion.range for portion in step.portions] == [SeqRange(50, 60)]
    assert step.positions == {ShardId("u", 0, "h"): Position(60)}


def test_what_is_missing_matters_only_where_it_is_looked_at() -> None:
    old = Missing("an old index is red", NOON - 100 * DAY_MS)
    anywhere = Missing("an index that names no day is red", None)
    assert Indices((), (old,)).trouble(NOON - 99 * DAY_MS, NOON) == ""
    assert Indices((), (old,)).trouble(NOON - 99 * DAY_MS - 1, NOON) == "an old index is red"
    assert Indices((), (old, anywhere)).trouble(NOON, NOON) == "an index that names no day is red"
