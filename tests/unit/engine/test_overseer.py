"""A function that does not end is ended, and nothing else is."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from pipeline.engine.overseer import Overseer
from pipeline.errors import PermanentError


def endless() -> None:
    while True:
        pass


def stubborn() -> None:
    """Goes on twice, whatever it is told."""
    for _ in range(2):
        with suppress(BaseException):
            endless()
    endless()


@pytest.mark.parametrize("judge", [endless, stubborn])
def test_what_does_not_end_is_ended_with_one_clear_line(judge: Callable[[], None]) -> None:
    overseer = Overseer(0.1)
    with pytest.raises(PermanentError, match=r"did not answer within 0\.1 s"):
        overseer.limited(judge)
    assert sum(range(100_000)) == 4_999_950_000  # It would arrive here.
    assert overseer.limited(lambda: 7) == 7


def test_what_ends_in_time_never_meets_the_exception_whenever_it_ends() -> None:
    overseer = Overseer(0.002)
    interrupted = 0
    for number in range(300):
        end = time.monotonic() + 0.001 + number * 0.000_005

        def busy(end: float = end) -> None:
            while time.monotonic() < end:
                pass

        try:
            overseer.limited(busy)
        except PermanentError:
            interrupted += 1
        for _ in range(200):  # It would arrive here.
            pass
    assert interrupted < 300


def test_each_thread_has_a_limit_of_its_own() -> None:
    overseer = Overseer(1.0)
    outcome: dict[str, str] = {}

    def run(name: str, judge: Callable[[], None]) -> None:
        try:
            overseer.limited(judge)
            outcome[name] = "done"
        except PermanentError:
            outcome[name] = "ended"

    threads = [
        threading.Thread(target=run, args=args)
        for args in (("quick", lambda: time.sleep(0.01)), ("endless", endless), ("also", endless))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert outcome == {"quick": "done", "endless": "ended", "also": "ended"}


def test_one_that_comes_while_nobody_is_watched_is_watched() -> None:
    overseer = Overseer(0.05)
    for _ in range(3):
        with suppress(PermanentError):  # where the machine is slower than the limit
            overseer.limited(lambda: None)
        time.sleep(0.15)
        with pytest.raises(PermanentError):
            overseer.limited(endless)


def test_whoever_comes_at_the_moment_that_the_watch_falls_idle_is_watched() -> None:
    overseer = Overseer(0.02)
    for number in range(100):
        with suppress(PermanentError):
            overseer.limited(lambda: None)
        time.sleep(number * 0.000_1)
        with pytest.raises(PermanentError):
            overseer.limited(endless)
