"""One start of one server: from its configuration to its first healthy answer.

Invariants: the server is handed nothing of our own environment, which may hold secrets; a start that fails
leaves no process behind and says why in one line.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, RetryableError, SiemliteError
from pipeline.node import bootlog, distribution, health, supervisor
from pipeline.node.configuration import LOOPBACK, ServerOptions, configure
from pipeline.node.download import Progress
from pipeline.node.layout import Account, Layout, write_configuration
from pipeline.node.patience import pause
from pipeline.node.ports import Ports
from pipeline.node.runstate import STOP_SECONDS, held, read_state

_RECOVERY_SECONDS = 20.0


class PortTakenError(SiemliteError):
    """Between our look at a port and the server's, somebody else took it."""


@dataclass(frozen=True, slots=True)
class Started:
    """A healthy server's process id, and the supervisor to let go of when it is to end; None if detached."""

    pid: int
    keeper: "subprocess.Popen[bytes] | None"


@dataclass(frozen=True, slots=True)
class Boot:
    """One start of one server."""

    layout: Layout
    account: Account | None
    server: Path
    java_home: Path
    options: ServerOptions
    detach: bool
    seconds: float
    progress: Progress
    clock: Clock

    def run(self, chosen: Ports) -> Started:
        """Start the server on the chosen ports and return when it is healthy."""
        began = self.clock.monotonic()
        self.progress(f"starting {distribution.WHAT} on {url(chosen.http)}")
        self._configure(chosen)
        log_start = _size(self.layout.log)
        keeper = self._start_keeper(chosen)
        try:
            pid = self._await_health(chosen, log_start)
        except BaseException:
            let_go(keeper)
            if self.detach:
                self._stop_detached()
            raise
        if self.detach:
            let_go(keeper)
        self.progress(f"{distribution.WHAT} is ready at {url(chosen.http)} ({self.clock.monotonic() - began:.1f} s)")
        return Started(pid, None if self.detach else keeper)

    def _configure(self, chosen: Ports) -> None:
        write_configuration(
            self.layout,
            self.account,
            configure(
                data=self.layout.data,
                logs=self.layout.logs,
                http_port=chosen.http,
                transport_port=chosen.transport,
                jvm_options=(self.server / "config" / "jvm.options").read_text(encoding="utf-8"),
                options=self.options,
            ),
        )

    def _start_keeper(self, chosen: Ports) -> "subprocess.Popen[bytes]":
        """Start the supervisor, give it its orders and return when it has started the server's launcher."""
        path = os.environ.get("PATH", os.defpath)
        orders = supervisor.Orders(
            command=[str(self.server / "bin" / "elasticsearch")],
            # Nothing of our own environment: it may hold secrets, and the server runs as another user.
            environment={
                "PATH": path,
                "HOME": str(self.layout.tmp),
                "LANG": "C.UTF-8",
                "ES_JAVA_HOME": str(self.java_home),
                "ES_PATH_CONF": str(self.layout.config),
                "ES_TMPDIR": str(self.layout.tmp),
                # For the launcher only: the first saves a second of its start; without the other it leaves a folder
                # in the machine's at each start. It runs in the server's folder; the path from there has no blanks.
                "CLI_JAVA_OPTS": "-XX:TieredStopAtLevel=1 -Djava.io.tmpdir="
                + os.path.relpath(self.layout.tmp, self.server),
            },
            folder=str(self.layout.tmp),
            console=str(self.layout.console),
            lock=str(self.layout.run_lock),
            state_file=str(self.layout.state),
            state={"url": url(chosen.http)},
            user=self.account.user if self.account else None,
            group=self.account.group if self.account else None,
            parent=None if self.detach else os.getpid(),
        )
        self.layout.supervisor_log.unlink(missing_ok=True)
        with self.layout.supervisor_log.open("xb") as complaints:
            keeper = subprocess.Popen(  # noqa: S603 (a fixed argument list, no shell)
                [sys.executable, "-I", "-S", supervisor.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                cwd="/",
                env={"PATH": path},
                start_new_session=True,
            )
        try:
            answer = _handshake(keeper, orders)
        except BaseException:
            let_go(keeper)
            raise
        if "error" in answer:
            let_go(keeper)
            raise ConfigurationError(f"the embedded Elasticsearch cannot be started: {answer['error']}")
        return keeper

    def _await_health(self, chosen: Ports, log_start: int) -> int:
        """Return the server's process id once it is healthy."""
        deadline = self.clock.monotonic() + self.seconds
        answered: float | None = None
        while self.clock.monotonic() < deadline:
            if (pid := self._healthy_pid(chosen, "yellow")) is not None:
                return pid
            if (pid := self._healthy_pid(chosen, "red")) is not None:
                answered = answered or self.clock.monotonic()
                if self.clock.monotonic() - answered > _RECOVERY_SECONDS:
                    self.progress("some of the stored indices cannot be opened yet")
                    return pid
            if not held(self.layout):
                self._explain(log_start)
            pause(self.clock)
        raise RetryableError(
            f"the embedded Elasticsearch was not healthy within {self.seconds:g} s "
            f"({self._reason(log_start)}): try again, and see {self.layout.log}"
        )

    def _healthy_pid(self, chosen: Ports, status: str) -> int | None:
        state = read_state(self.layout)
        if state is None:
            return None
        return health.healthy_pid(url(chosen.http), int(state["launcher"]), status)

    def _explain(self, log_start: int) -> None:
        why = self._reason(log_start)
        if "Failed to bind" in why or "Address already in use" in why:
            raise PortTakenError(why)
        raise ConfigurationError(f"the embedded Elasticsearch did not start: {why} (its log: {self.layout.log})")

    def _reason(self, log_start: int) -> str:
        return bootlog.reason(
            _tail(self.layout.log, log_start), _tail(self.layout.console) + _tail(self.layout.supervisor_log)
        )

    def _stop_detached(self) -> None:
        state = read_state(self.layout)
        if state is not None and held(self.layout):
            os.kill(int(state["supervisor"]), signal.SIGTERM)
        deadline = self.clock.monotonic() + STOP_SECONDS
        while held(self.layout) and self.clock.monotonic() < deadline:
            pause(self.clock)


def url(port: int) -> str:
    """Return the address of a server on this machine."""
    return f"http://{LOOPBACK}:{port}"


def _handshake(keeper: "subprocess.Popen[bytes]", orders: supervisor.Orders) -> dict[str, str | int]:
    assert keeper.stdin is not None  # noqa: S101 (for the type checker: both are pipes)
    assert keeper.stdout is not None  # noqa: S101
    try:
        keeper.stdin.write(json.dumps(asdict(orders)).encode() + b"\n")
        keeper.stdin.flush()
        line = keeper.stdout.readline()
    except BrokenPipeError:
        line = b""
    if not line:
        return {"error": f"its supervisor ended (see {Path(orders.state_file).with_name('supervisor.log')})"}
    answer: dict[str, str | int] = json.loads(line)
    return answer


def let_go(keeper: "subprocess.Popen[bytes]") -> None:
    """Close the lifeline and wait for the supervisor, which has ended its server by then."""
    for pipe in (keeper.stdin, keeper.stdout):
        if pipe is not None:
            pipe.close()
    try:
        keeper.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()


def _size(path: Path) -> int:
    try:
        return path.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0


def _tail(path: Path, start: int = 0) -> str:
    """Return at most the last 64 KiB of what follows `start`; never through a link, which is not ours."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start if start <= size else 0, size - 65_536))
        return file.read().decode("utf-8", errors="replace")
