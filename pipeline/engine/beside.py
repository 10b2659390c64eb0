"""Slow detections, evaluated beside the passes, so that none of them makes the others wait.

Invariants: at most one evaluation runs here, in a thread that keeps no process alive; an outcome counts only for
the checkpoint that it was made from, and is forgotten where that has moved meanwhile.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
B = TypeVar("B")


@dataclass(slots=True)
class _Job(Generic[B, T]):
    before: B
    work: Callable[[], T] | None
    outcome: T | None = None
    error: Exception | None = None


class Beside(Generic[B, T]):
    """Runs jobs by name, one at a time, in the order in which they were given."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job[B, T]] = {}
        self._queue: deque[str] = deque()
        self._running = False

    @property
    def names(self) -> frozenset[str]:
        """Return the names of the jobs that wait, run, or have ended and not been asked for."""
        with self._lock:
            return frozenset(self._jobs)

    def done(self, name: str, before: B) -> T | None:
        """Return the outcome of the job `name` if it has ended and was made from `before`; raise what it raised.

        A job that has ended is forgotten.
        """
        with self._lock:
            job = self._jobs.get(name)
            if job is None or job.work is not None:
                return None
            del self._jobs[name]
        if job.before != before:
            return None
        if job.error is not None:
            raise job.error
        return job.outcome

    def give(self, name: str, before: B, work: Callable[[], T]) -> None:
        """Run `work` as the job `name`, unless one of that name waits or runs already."""
        with self._lock:
            if name in self._jobs:
                return
            self._jobs[name] = _Job(before, work)
            self._queue.append(name)
            if self._running:
                return
            self._running = True
        threading.Thread(target=self._run, name="slow detections", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._running = False
                    return
                job = self._jobs[self._queue.popleft()]
                work = job.work
            try:
                if work is not None:
                    job.outcome = work()
            except Exception as error:  # noqa: BLE001 - it is raised where the outcome is asked for
                job.error = error
            with self._lock:
                job.work = None
