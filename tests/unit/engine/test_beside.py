"""Slow detections run beside the passes."""

import threading

import pytest

from pipeline.engine.beside import Beside


def until_done(beside: "Beside[int, str]", name: str, before: int) -> str:
    """Wait until the job has ended."""
    for _ in range(1_000):
        outcome = beside.done(name, before)
        if outcome is not None:
            return outcome
        threading.Event().wait(0.005)
    raise AssertionError(f"{name} does not end")


def test_an_outcome_is_there_once_the_work_has_ended_and_only_once() -> None:
    beside: Beside[int, str] = Beside()
    go_on = threading.Event()
    beside.give("a", 1, lambda: str(go_on.wait(10)))
    assert beside.done("a", 1) is None
    beside.give("a", 1, lambda: "given twice")
    beside.give("b", 1, lambda: "after it")
    go_on.set()
    assert until_done(beside, "a", 1) == "True"
    assert until_done(beside, "b", 1) == "after it"
    assert beside.done("a", 1) is None


def test_an_outcome_for_a_checkpoint_that_has_moved_is_forgotten() -> None:
    beside: Beside[int, str] = Beside()
    beside.give("a", 1, lambda: "old")
    for _ in range(1_000):
        if beside.done("a", 2) is None and "a" not in beside.names:
            break
        threading.Event().wait(0.005)
    beside.give("a", 2, lambda: "new")
    assert until_done(beside, "a", 2) == "new"


def test_what_the_work_raises_is_raised_where_its_outcome_is_asked_for() -> None:
    beside: Beside[int, str] = Beside()

    def fails() -> str:
        raise ValueError("broken")

    beside.give("a", 1, fails)
    with pytest.raises(ValueError, match="broken"):
        until_done(beside, "a", 1)
