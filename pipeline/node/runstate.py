"""What runs in a home: the two locks and the state file.

Invariants: the start lock serialises who starts and stops a node; the run lock is held exactly while a
supervisor lives; the state file counts only while the run lock is held.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError
from pipeline.node.download import Progress
from pipeline.node.layout import Layout, find
from pipeline.node.patience import lock
from pipeline.node.supervisor import GRACE_SECONDS

STOP_SECONDS = GRACE_SECONDS + 10.0


@contextmanager
def start_lock(home: Path, progress: Progress, clock: Clock) -> Iterator[None]:
    """Keep all others from starting or stopping the node of `home`; wait for whoever does."""
    with _readable(home):
        descriptor = os.open(find(home).start_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for another process that starts or stops the node of {home}")
            lock(descriptor, clock)
        yield
    finally:
        os.close(descriptor)


def held(layout: Layout) -> bool:
    """Tell whether a supervisor of this node lives. Raises `ConfigurationError` when the home is not ours to read."""
    with _readable(layout.home):
        try:
            descriptor = os.open(layout.run_lock, os.O_RDWR | os.O_CLOEXEC)
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
    """Return what the supervisor wrote of its server, or None. It may be stale unless the lock is held."""
    with _readable(layout.home):
        try:
            state: dict[str, str | int] = json.loads(layout.state.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
    return state


def clear_state(layout: Layout) -> None:
    """Remove what a supervisor that was killed left behind."""
    with _readable(layout.home):
        layout.state.unlink(missing_ok=True)


@contextmanager
def _readable(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"the node of {home} cannot be looked at ({error.strerror or error}): "
            "run as the user who started it, or set SIEMLITE_HOME to a folder of your own"
        ) from error
