"""Running a contender and measuring it, the same way for all.

Invariants: the clock runs from before the first process starts until every event is searchable; processor time is
the kernel's own account of each process and of those it waited for; what others took of the machine meanwhile is
measured too, because a figure taken on a busy machine is none; no process outlives its run.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

_POLL_SECONDS = 0.1
_NEAR_POLL_SECONDS = 0.02
_NEAR = 0.9
_END_SECONDS = 60.0
_KIB = 1024
_SETTINGS = ("SIEMLITE_", "ELASTICSEARCH_", "ES_", "SLACK_", "PAGERDUTY_")
Progress = Callable[[int], None]


class RunFailedError(Exception):
    """A contender did not do its job; the text says what it said."""


class Target(Protocol):
    """Where events arrive."""

    def indexed(self) -> int: ...
    def searchable(self) -> int: ...
    def cpu_seconds(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Command:
    """A process of a contender; a `daemon` is asked to end once everything is searchable, others end by themselves."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    daemon: bool = False
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run: times in seconds, memory in bytes.

    `peak_bytes` is the sum of the peaks of the contender's processes; `others_cpu` what neither the contender nor
    the server nor this measurement used. `None`: cannot be measured here.
    """

    events: int
    seconds: float
    client_cpu: float
    server_cpu: float | None
    peak_bytes: int
    others_cpu: float | None


class Child:
    """A started process and what the kernel says of it."""

    def __init__(self, command: Command, log: Path) -> None:
        self.command = command
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                list(command.argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_inherited() | dict(command.environment),
                cwd=command.folder,
                start_new_session=True,
            )
        self.cpu = 0.0
        self.peak_bytes = 0
        self.ended = False

    def look(self) -> None:
        """Note the peak of memory so far, and whether the process has ended."""
        if self.ended:
            return
        self.peak_bytes = max(self.peak_bytes, peak_of(self.process.pid))
        self._reap(os.WNOHANG)

    def forget_peak(self) -> None:
        """Let the peak of memory begin anew at what the process holds now; needs Linux."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")
        self.peak_bytes = 0

    def end(self, number: int = signal.SIGTERM) -> None:
        """Ask the process to end, and wait until it has."""
        if self.ended:
            return
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        self.wait(_END_SECONDS)

    def wait(self, seconds: float) -> None:
        """Wait until the process has ended."""
        deadline = time.monotonic() + seconds
        while not self.ended:
            self.look()
            if time.monotonic() > deadline:
                raise RunFailedError(f"{self.command.argv[0]} does not end{self.said()}")
            time.sleep(_NEAR_POLL_SECONDS)

    def kill(self) -> None:
        """End the process, and all that it started, whatever state they are in."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        if not self.ended:
            self._reap(0)

    def check(self) -> None:
        """Raise `RunFailedError` where the process ended and did not succeed."""
        if self.ended and (self.process.returncode != 0 or self.command.daemon):
            raise RunFailedError(f"{self.command.argv[0]} ended with {self.process.returncode}{self.said()}")

    def said(self) -> str:
        """Return the end of the process's output, for a message."""
        text = self._log.read_text(encoding="utf-8", errors="replace").strip()
        return f": {text[-600:]}" if text else ""

    def _reap(self, options: int) -> None:
        pid, status, usage = os.wait4(self.process.pid, options)
        if pid == 0:
            return
        self.ended = True
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu = usage.ru_utime + usage.ru_stime
        # A child's figure begins at its parent's size when it was started; above that it is its own.
        if usage.ru_maxrss > _own_peak_units():
            self.peak_bytes = max(self.peak_bytes, usage.ru_maxrss * _rusage_unit())


def run(
    commands: Sequence[Command], target: Target, events: int, *, logs: Path, seconds: float, progress: Progress
) -> Measurement:
    """Run a contender until `events` events are searchable, and to its end; `logs` takes what it says.

    Raises `RunFailedError` where it fails, or is not done after `seconds`.
    """
    children: list[Child] = []
    busy, own = machine_cpu_seconds(), own_cpu_seconds()
    server = target.cpu_seconds()
    began = time.monotonic()
    try:
        for number, command in enumerate(commands):
            children.append(Child(command, logs / f"{number}.log"))
        took = _await(children, target, events, began=began, seconds=seconds, progress=progress)
        server_cpu = _difference(target.cpu_seconds(), server)
        for child in children:
            if child.command.daemon:
                child.end()
            else:
                child.wait(_END_SECONDS)
                child.check()
        client_cpu = sum(child.cpu for child in children)
        others = _difference(machine_cpu_seconds(), busy)
        if others is not None:
            whole_server = _difference(target.cpu_seconds(), server) or 0.0
            others = max(0.0, others - whole_server - client_cpu - (own_cpu_seconds() - own))
        return Measurement(events, took, client_cpu, server_cpu, sum(child.peak_bytes for child in children), others)
    finally:
        for child in children:
            child.kill()


def _await(
    children: Sequence[Child], target: Target, events: int, *, began: float, seconds: float, progress: Progress
) -> float:
    """Return how long it took until all events were searchable."""
    while True:
        done = target.indexed()
        if done >= events:
            found = target.searchable()
            if found == events:
                return time.monotonic() - began
            if found > events:
                raise RunFailedError(f"{found} events are stored, {found - events} too many")
        progress(done)
        for child in children:
            child.look()
            child.check()
        if all(child.ended for child in children) and target.searchable() != events:
            said = "".join(child.said() for child in children)
            raise RunFailedError(f"it ended and {events - target.searchable()} events are missing{said}")
        if time.monotonic() - began > seconds:
            raise RunFailedError(f"{events - done} events are missing after {seconds:.0f} s{children[0].said()}")
        time.sleep(_NEAR_POLL_SECONDS if done >= events * _NEAR else _POLL_SECONDS)


def _inherited() -> dict[str, str]:
    """Return our environment without what the user set for siemlite."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}


def peak_of(pid: int) -> int:
    """Return the most memory that process `pid` ever held, in bytes; 0 where that cannot be read."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    return next((int(line.split()[1]) * _KIB for line in text.splitlines() if line.startswith("VmHWM:")), 0)


def machine_cpu_seconds() -> float | None:
    """Return the processor time that the whole machine has used; `None` where that cannot be read."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, *_ = (int(value) for value in fields[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def own_cpu_seconds() -> float:
    """Return the processor time of this process, without its children."""
    used = os.times()
    return used.user + used.system


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _own_peak_units() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _rusage_unit() -> int:
    return 1 if os.uname().sysname == "Darwin" else _KIB
