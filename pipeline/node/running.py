"""Starting, finding and stopping the embedded Elasticsearch of a home.

Invariants: a home has at most one node (the start lock serialises who starts and stops, the run lock says
that one lives); a node is handed out only when it answered as healthy and its process is the one started
for this home; a start that fails leaves no process behind and says why in one line. An attached node ends with
the process that started it, a detached one when it is stopped.
"""

import os
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.clock import Clock, SystemClock
from pipeline.errors import ConfigurationError, RetryableError
from pipeline.node import distribution, health, ports
from pipeline.node.boot import Boot, PortTakenError, let_go, url
from pipeline.node.configuration import ServerOptions
from pipeline.node.download import Progress
from pipeline.node.java import find_java
from pipeline.node.layout import Layout, account_for, find, make_home, prepare, reachable
from pipeline.node.orphans import end_orphans
from pipeline.node.patience import ImpatientClock, pause
from pipeline.node.runstate import STOP_SECONDS, clear_state, held, read_state, start_lock
from pipeline.settings import Settings

BOOT_SECONDS = 120.0
_ANSWER_SECONDS = 60.0
_PORT_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Node:
    """A running node: its address, the process id of the server itself, and whether this call started it."""

    url: str
    pid: int
    owned: bool
    home: Path
    keeper: "subprocess.Popen[bytes] | None" = field(default=None, repr=False, compare=False)

    def stop(self) -> None:
        """Stop the node if this call's start owns it, and return when it has ended; else leave it to its owner."""
        if not self.owned:
            return
        if self.keeper is None:
            stop_node(self.home)
        else:
            let_go(self.keeper)


def start_node(
    settings: Settings,
    *,
    port: int | None = None,
    detach: bool = False,
    progress: Progress,
    transport_port: int | None = None,
    options: ServerOptions | None = None,
    boot_seconds: float = BOOT_SECONDS,
    stop: threading.Event | None = None,
    clock: Clock | None = None,
) -> Node:
    """Return the healthy node of the settings' home, started if none runs.

    On the first start it downloads and unpacks the server. Without `port`, the home's last one is kept if it is free.
    Raises `ConfigurationError` (no Java, no room, a port in use, a server that refuses to boot), `RetryableError` (no
    network, no answer in time) or, soon after `stop` is set, `StartInterruptedError`.
    """
    patient = clock or SystemClock()
    clock = patient if stop is None else ImpatientClock(patient, stop)
    home = settings.siemlite_home.absolute()
    _refuse_colon(home)
    make_home(home)
    with start_lock(home, progress, clock):
        running = _settled(home, clock)
        if running is not None:
            if port is not None and running.url != url(port):
                raise ConfigurationError(
                    f"a node of {home} runs already at {running.url}: stop it with `siemlite node stop`, "
                    f"or leave out --port {port}"
                )
            progress(f"using the node that runs already at {running.url}")
            return running
        account = account_for(home)
        java = find_java(usable=lambda path: reachable(path / "bin", account))
        layout = prepare(home, account)
        end_orphans(layout, clock)
        server = distribution.installed(layout.programs)
        if server is None:
            archive = distribution.ensure_archive(settings.siemlite_cache, progress, clock)
            server = distribution.install(archive, layout.programs, progress)
        boot = Boot(
            layout, account, server, java.home, options or ServerOptions(), detach, boot_seconds, progress, clock
        )
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            chosen = ports.choose(home, layout.ports, port, transport_port)
            try:
                started = boot.run(chosen)
            except PortTakenError as error:
                if attempt == _PORT_ATTEMPTS or port is not None:
                    raise ConfigurationError(f"the embedded Elasticsearch found its port taken ({error})") from error
                progress(f"{error}: trying other ports")
            else:
                ports.remember(chosen, layout.ports)
                return Node(url(chosen.http), started.pid, owned=True, home=home, keeper=started.keeper)
    raise AssertionError("unreachable: the last attempt returns or raises")


def stop_node(home: Path, clock: Clock | None = None) -> bool:
    """Stop the node of `home`, whoever started it; return whether one ran.

    Raises `ConfigurationError` when it belongs to another user, `RetryableError` when it does not end in time.
    """
    clock = clock or SystemClock()
    home = home.absolute()
    if not home.is_dir():
        return False
    with start_lock(home, lambda _: None, clock):
        layout = find(home)
        if not held(layout):
            clear_state(layout)
            end_orphans(layout, clock)
            return False
        state = read_state(layout)
        if state is not None:
            try:
                os.kill(int(state["supervisor"]), signal.SIGTERM)
            except ProcessLookupError:
                pass  # it has just ended
            except PermissionError as error:
                raise ConfigurationError(f"the node of {home} belongs to another user: stop it as that user") from error
        deadline = clock.monotonic() + STOP_SECONDS
        while held(layout):
            if clock.monotonic() > deadline:
                raise RetryableError(f"the node of {home} did not end within {STOP_SECONDS:g} s: try again")
            pause(clock)
        end_orphans(layout, clock)
    return True


def node_status(home: Path) -> Node | None:
    """Return the node of `home` if it runs and is healthy, without changing anything."""
    home = home.absolute()
    return _running(home, find(home))


def node_url(home: Path) -> str | None:
    """Return the address of the node of `home` if it runs, be it healthy, still starting, or out of breath."""
    layout = find(home.absolute())
    state = read_state(layout) if held(layout) else None
    return None if state is None else str(state["url"])


def _settled(home: Path, clock: Clock) -> Node | None:
    """Return the node that runs, or None when nothing does; wait for one that is about to end."""
    layout = find(home)
    deadline = clock.monotonic() + _ANSWER_SECONDS
    while held(layout):
        node = _running(home, layout)
        if node is not None:
            return node
        if clock.monotonic() > deadline:
            raise RetryableError(
                f"the node of {home} runs but does not answer: stop it with `siemlite node stop` and start again"
            )
        pause(clock)
    clear_state(layout)
    return None


def _running(home: Path, layout: Layout) -> Node | None:
    state = read_state(layout) if held(layout) else None
    if state is None:
        return None
    address = str(state["url"])
    pid = health.healthy_pid(address, int(state["launcher"]), "red")
    return None if pid is None else Node(address, pid, owned=False, home=home)


def _refuse_colon(home: Path) -> None:
    if ":" in str(home.resolve()):
        raise ConfigurationError(f"SIEMLITE_HOME must not contain a colon, which Java splits paths at: {home}")
