"""How processor time grows with the length of an input, for what must stay linear however hostile the input is.

Other processes and the collection of garbage add time and never take any away: the least of a few runs is what the
work itself takes, so that only a change of the work can change the verdict.
"""

import gc
import time
from collections.abc import Callable

LONGER = 8
"""How many times longer the longer input is: linear work takes 8 times as long, quadratic work 64 times."""

AT_MOST = 24
"""Between the two, as far from the one as from the other."""


def grows_linearly(work: Callable[[int], Callable[[], object]], length: int) -> bool:
    """Whether `work(length)()` takes time in proportion to the length; making it, `work(length)`, is not counted."""
    return _least_seconds(work(LONGER * length)) < AT_MOST * _least_seconds(work(length))


def _least_seconds(work: Callable[[], object]) -> float:
    collected = gc.isenabled()
    gc.disable()
    try:
        return min(_seconds(work) for _ in range(5))
    finally:
        if collected:
            gc.enable()


def _seconds(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began
