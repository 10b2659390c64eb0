"""What runs in a home: the two locks and the state file.

Invariants: the start lock serialises who starts and stops a node; the run lock is held exactly while a
supervisor lives; the state file counts only while the run lock is held.
"""

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.clock import Clock
from pipeline.node.download import Progress
from pipeline.node.layout import Layout, find
from pipeline.node.supervisor import GRACE_SECONDS

STOP_SECONDS = GRACE_SECONDS + 10.0
_LOOK_SECONDS = 0.1


@contextmanager
def start_lock(home: Path, progress: Progress) -> Iterator[None]:
    lock = os.open(find(home).start_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for another process that starts or stops the node of {home}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def held(lock: Path) -> bool:
    """Tell whether a living process holds `lock`."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def read_state(layout: Layout) -> dict[str, str | int] | None:
    try:
        state: dict[str, str | int] = json.loads(layout.state.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return state


def pause(clock: Clock) -> None:
    clock.wait(threading.Event(), _LOOK_SECONDS)
