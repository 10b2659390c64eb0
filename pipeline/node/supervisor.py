"""The small process between siemlite and the embedded server: it lets the server end with its parent.

Run as a program by its path (`python -I -S supervisor.py`), on the standard library alone: it starts in
milliseconds and stays small. Standard input brings one line of JSON (`Orders`), standard output takes one line
of JSON back.

Invariants:
- It holds the run lock for as long as a server of its own may live; a free lock means there is none.
- The server is asked to stop, and after `GRACE_SECONDS` killed, as soon as standard input ends (the parent
  is gone, however it died), the parent's process id changes, or SIGTERM arrives. A detached one heeds only SIGTERM.
- Killed itself, it takes the server along on Linux: the launcher dies with it by PR_SET_PDEATHSIG, and the
  server ends when the pipe from its launcher breaks.
- The state file is there exactly while the server may be used.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

GRACE_SECONDS = 10.0
_KILL_SECONDS = 5.0
_POLL_SECONDS = 0.5
_LOCK_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Orders:
    """What the supervisor is to run, and for whom.

    `user` and `group` are numbers, or None to stay who we are; `parent` is the process to end with, or None
    for a detached server; `state` is what the state file tells besides process ids; `grace` is how many seconds
    the server has to end by itself.
    """

    command: list[str]
    environment: dict[str, str]
    folder: str
    console: str
    lock: str
    state_file: str
    state: dict[str, str | int]
    user: int | None
    group: int | None
    parent: int | None
    grace: float = GRACE_SECONDS


def main() -> int:
    """Read the orders, start the server, and stay until it or its parent ends."""
    orders = Orders(**json.loads(sys.stdin.readline()))
    if orders.parent is None and os.fork() != 0:
        return 0  # the starter reaps this one; the child that goes on belongs to nobody
    if not _take_lock(orders.lock):
        return _answer({"error": f"{orders.lock} is held: a node of this home runs already"}, 1)
    wake = _catch_signals()
    prctl = _prctl()
    if prctl:
        prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        launcher = _launch(orders, prctl)
    except OSError as error:
        return _answer({"error": f"{orders.command[0]}: {error.strerror or error}"}, 1)
    _write_state(orders, launcher.pid)
    _answer({"supervisor": os.getpid(), "launcher": launcher.pid}, 0)
    _close_standard_streams(keep_input=orders.parent is not None)
    try:
        _watch(orders, launcher, wake)
    finally:
        Path(orders.state_file).unlink(missing_ok=True)
        _end(launcher, orders.grace)
    return 0


def _answer(said: dict[str, str | int], code: int) -> int:
    sys.stdout.write(json.dumps(said) + "\n")
    with contextlib.suppress(BrokenPipeError):  # the starter is gone, which the next look at the parent shows
        sys.stdout.flush()
    return code


def _take_lock(path: str) -> bool:
    """Take the run lock for as long as this process lives; whoever looks at it holds it for an instant."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def _close_standard_streams(*, keep_input: bool) -> None:
    """Let go of the pipes to the starter, or who reads its output to the end would wait for us."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)
    if not keep_input:
        os.dup2(nothing, 0)
    os.close(nothing)


def _catch_signals() -> socket.socket:
    """Let signals wake `_watch` instead of interrupting it: SIGCHLD to look, the others to stop."""
    wake, writer = socket.socketpair()
    wake.setblocking(False)
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return wake


def _prctl() -> "ctypes._NamedFuncPointer | None":
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):  # a libc without it
        return None


def _launch(orders: Orders, prctl: "ctypes._NamedFuncPointer | None") -> "subprocess.Popen[bytes]":
    supervisor = os.getpid()

    def die_with_supervisor() -> None:
        # Runs after the change of user, which would clear the request.
        if prctl:
            prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != supervisor:
            os._exit(1)

    console = os.open(orders.console, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 (a fixed argument list, no shell)
            orders.command,
            env=orders.environment,
            cwd=orders.folder,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            process_group=0,
            user=orders.user,
            group=orders.group,
            extra_groups=None if orders.user is None else [],
            preexec_fn=die_with_supervisor,  # noqa: PLW1509 (this process has one thread)
        )
    finally:
        os.close(console)


def _write_state(orders: Orders, launcher: int) -> None:
    state = Path(orders.state_file)
    fresh = state.with_name(f"{state.name}.new")
    told = {**orders.state, "supervisor": os.getpid(), "launcher": launcher, "detached": orders.parent is None}
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(told, out)
    fresh.replace(state)


def _watch(orders: Orders, launcher: "subprocess.Popen[bytes]", wake: socket.socket) -> None:
    """Return when the server ended, or is to end."""
    lifeline = [] if orders.parent is None else [sys.stdin.fileno()]
    while True:
        ready, _, _ = select.select([wake, *lifeline], [], [], _POLL_SECONDS)
        if launcher.poll() is not None:
            return
        if wake in ready and any(number != signal.SIGCHLD for number in wake.recv(64)):
            return
        if lifeline and lifeline[0] in ready and not os.read(lifeline[0], 64):
            return
        # A fork of the parent may hold the lifeline open for longer than the parent lives.
        if orders.parent is not None and os.getppid() != orders.parent:
            return


def _end(launcher: "subprocess.Popen[bytes]", grace: float) -> None:
    """Stop the launcher's process group: politely, then by force; return when nothing of it is left."""
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, _KILL_SECONDS)):
        deadline = time.monotonic() + seconds
        with contextlib.suppress(ProcessLookupError):
            os.killpg(launcher.pid, number)
        while time.monotonic() < deadline:
            if _group_gone(launcher):
                return
            time.sleep(0.05)


def _group_gone(launcher: "subprocess.Popen[bytes]") -> bool:
    launcher.poll()
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:  # the server itself, orphaned by its launcher
            pass
    except ChildProcessError:
        pass
    try:
        os.killpg(launcher.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # macOS says so of a group that only zombies are left of
        return False
    return False


if __name__ == "__main__":
    sys.exit(main())
