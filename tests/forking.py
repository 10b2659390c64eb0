"""Commands forked off a process that has loaded siemlite already: each begins within hundredths of a second.

Each is a process of its own, with the environment, arguments, folder and streams that it is given. It ends as the
interpreter does, which a child of the standard library's fork server does not. What the interpreter itself reads from
the environment when it starts cannot be given to it: `can_run` says where that differs.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_READ_AT_THE_START = ("PYTHON", "LANG", "LC_", "MALLOC_", "OTEL_", "TYPER_", "_TYPER_")
_LONGEST_ORDER = 1 << 17


@dataclass(frozen=True)
class _Parent:
    """The process that has loaded everything, as who asks it sees it; it ends with the last of `orders`."""

    process: "subprocess.Popen[bytes]"
    orders: socket.socket
    env: Mapping[str, str]

    def end(self) -> None:
        self.orders.close()
        self.process.wait()


@cache
def _parent() -> _Parent:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        env = dict(os.environ)
        command = [sys.executable, "-m", "tests.forking", str(theirs.fileno())]
        parent = _Parent(subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=_ROOT, env=env), ours, env)
    atexit.register(parent.end)
    return parent


def can_run(env: Mapping[str, str]) -> bool:
    """Return whether a command with this environment can be forked off."""
    return sys.platform == "linux" and _read_at_the_start(env) == _read_at_the_start(_parent().env)


def _read_at_the_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_READ_AT_THE_START) and name != "PYTHONPATH"}


def run(
    env: Mapping[str, str], arguments: Sequence[str], stdin: bytes, folder: str, seconds: float
) -> "subprocess.CompletedProcess[bytes]":
    """Run `siemlite` with `arguments` to its end. Raises `subprocess.TimeoutExpired`, having killed it."""
    answer, theirs = socket.socketpair()
    with answer, tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        with theirs:
            order = json.dumps([dict(env), list(arguments), folder]).encode()
            streams = [given.fileno(), out.fileno(), err.fileno()]
            socket.send_fds(_parent().orders, [order], [*streams, theirs.fileno()])
        answer.settimeout(seconds)
        with answer.makefile() as told:
            process = int(told.readline())
            try:
                status = int(told.readline())
            except TimeoutError:
                os.kill(process, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["siemlite", *arguments], seconds) from None
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(["siemlite", *arguments], status, out.read(), err.read())


def _load() -> None:
    package = importlib.import_module("pipeline")
    for module in pkgutil.walk_packages(package.__path__, "pipeline."):
        importlib.import_module(module.name)
    for name in ("rich.progress", "rich.table"):
        importlib.import_module(name)
    gc.freeze()


def _become_a_command(orders: socket.socket) -> bool:
    """Fork for each order; return whether this process is to be the command, else nobody asks any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, _LONGEST_ORDER, 4)
        if not order:
            return False
        if os.fork() == 0:
            break
        for descriptor in descriptors:
            os.close(descriptor)
    orders.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, answer = descriptors
    if process := os.fork():
        os.write(answer, b"%d\n" % process)
        _, status = os.waitpid(process, 0)
        with suppress(BrokenPipeError):  # nobody waits any more
            os.write(answer, b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    env, sys.argv[1:], folder = json.loads(order)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    time.tzset()
    return True


if __name__ == "__main__":
    from pipeline.cli.entry import run as run_command

    _load()
    if _become_a_command(socket.socket(fileno=int(sys.argv[1]))):
        run_command()
