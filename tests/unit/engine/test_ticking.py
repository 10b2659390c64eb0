"""The clock's conditions: evaluated without a gap, and put off while events of an outage still arrive."""

from pipeline.engine.checkpoint import Checkpoint
from pipeline.engine.ticking import HOLD_MAX_MS, OUTAGE_MS, Tick, tick

T = 10_000_000


def test_the_clock_starts_at_the_first_pass_and_goes_on_from_there() -> None:
    assert tick(Checkpoint(), T) == Tick(T, T)
    assert tick(Checkpoint({}, T, T), T + 5_000) == Tick(T, T + 5_000)
    assert tick(Checkpoint({}, T, T), T - 5_000) == Tick(T - 5_000, T - 5_000)


def test_after_an_outage_it_stands_as_long_as_the_outage_was_and_then_makes_up_for_it() -> None:
    gap = OUTAGE_MS + 60_000
    first = tick(Checkpoint({}, T, T), T + gap)
    assert first == Tick(T, T, T + 2 * gap)
    held = Checkpoint({}, T, first.upto_ms, first.hold_ms)
    assert tick(held, T + 2 * gap - 1) == Tick(T, T, T + 2 * gap)
    assert tick(held, T + 2 * gap) == Tick(T, T + 2 * gap)


def test_it_does_not_stand_for_ever() -> None:
    assert tick(Checkpoint({}, T, T), T + 10 * HOLD_MAX_MS).hold_ms == T + 11 * HOLD_MAX_MS


def test_a_clock_that_was_ahead_for_a_pass_puts_nothing_off_once_it_is_right() -> None:
    year = 365 * 86_400_000
    ahead = tick(Checkpoint({}, T, T), T + year)
    assert ahead.hold_ms is not None
    held = Checkpoint({}, T, ahead.upto_ms, ahead.hold_ms)
    assert tick(held, T + 5_000) == Tick(T, T + 5_000)
