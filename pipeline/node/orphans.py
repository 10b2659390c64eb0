"""Ending a server that outlived its supervisor, before another one opens the same data.

On Linux the kernel ends it within moments; elsewhere, or when it hangs, it is looked for and killed.
Invariant: a process is killed only if it runs the program in this very node's folder.
"""

import fcntl
import os
import signal
import subprocess

from pipeline.clock import Clock
from pipeline.errors import RetryableError
from pipeline.node.layout import Layout
from pipeline.node.patience import pause

PATIENCE_SECONDS = 10.0


def end_orphans(layout: Layout, clock: Clock, patience: float = PATIENCE_SECONDS) -> None:
    """Return when no server uses the data of `layout`; the caller has seen that no supervisor lives.

    Raises `RetryableError` when one cannot be ended.
    """
    for force in (False, True):
        if force:
            for pid in _servers(layout):
                os.kill(pid, signal.SIGKILL)
        deadline = clock.monotonic() + patience
        while data_in_use(layout):
            if clock.monotonic() > deadline:
                break
            pause(clock)
        else:
            return
    raise RetryableError(f"{layout.data} is in use by a server that does not end: stop that process and try again")


def data_in_use(layout: Layout) -> bool:
    """Tell whether a server has locked the data folder, as Elasticsearch does with POSIX locks."""
    try:
        descriptor = os.open(layout.data / "node.lock", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    finally:
        os.close(descriptor)
    return False


def _servers(layout: Layout) -> list[int]:
    """Return the processes that were started with the program in the node's own folder."""
    mark = f"-Des.path.home={layout.programs}{os.sep}"
    listing = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,args="],  # noqa: S607 (ps lies in different places)
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    )
    rows = (line.split(None, 1) for line in listing.stdout.splitlines())
    return [int(row[0]) for row in rows if len(row) == 2 and mark in row[1]]
