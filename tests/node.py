"""Real Elasticsearch nodes for tests: one for the run, one to crash and start again, or a cluster of several.

Every node has a home of its own in a temporary folder, works as root and as a user, shares the download cache
with all others, and is gone afterwards with all that it stored.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from pipeline.node import Node, ServerOptions, node_status, start_node, stop_node
from pipeline.node.configuration import LOOPBACK
from pipeline.node.layout import find
from pipeline.node.ports import is_free
from pipeline.node.runstate import read_state
from pipeline.settings import load_settings

# The quick compiler only: a node then boots with half the CPU, and no test is long enough to miss the other one.
QUICK = ServerOptions(jvm=("-XX:TieredStopAtLevel=1",))


class TestNode:
    """A node that can be killed and started again at the same address, with the same data."""

    __test__ = False

    def __init__(
        self, home: Path, *, port: int | None = None, transport_port: int | None = None, options: ServerOptions = QUICK
    ) -> None:
        """Name a node that is not started yet; `home` need not exist."""
        self.home = home
        self.said: list[str] = []
        self._port = port
        self._transport_port = transport_port
        self._options = options
        self._node: Node | None = None

    @property
    def url(self) -> str:
        """The address, the same after each start."""
        return self._started.url

    @property
    def pid(self) -> int:
        """The process id of the server that runs now."""
        return self._started.pid

    @property
    def _started(self) -> Node:
        if self._node is None:
            raise AssertionError("this node was not started")
        return self._node

    def start(self) -> None:
        """Start the server and return when it is healthy."""
        self._node = start_node(
            load_settings(None, siemlite_home=self.home),
            port=self._port,
            transport_port=self._transport_port,
            options=self._options,
            progress=self.said.append,
        )
        self._port = int(self._node.url.rsplit(":", 1)[1])

    def kill(self) -> None:
        """End the server by SIGKILL, as a crash does, and return when its address is free again."""
        os.kill(self.pid, signal.SIGKILL)
        self._started.stop()

    def pause(self) -> None:
        """Stop the server's process without ending it: connections are accepted, and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End the server in order."""
        self._started.stop()

    def remove(self) -> None:
        """End the server, whatever state it is in, and remove all that it stored."""
        if self._node is not None:
            self._node.stop()
        stop_node(self.home)
        shutil.rmtree(find(self.home).root, ignore_errors=True)  # not always inside the home, when we are root
        shutil.rmtree(self.home, ignore_errors=True)


@contextmanager
def temporary_node(port: int | None = None, options: ServerOptions = QUICK) -> Iterator[TestNode]:
    """Start a node with nothing in it; end and remove it afterwards."""
    node = TestNode(Path(tempfile.mkdtemp(prefix="siemlite-test-")), port=port, options=options)
    try:
        node.start()
        yield node
    finally:
        node.remove()


@contextmanager
def temporary_cluster(size: int = 3, heap_mb: int = 256) -> Iterator[list[TestNode]]:
    """Start nodes that form one cluster; it goes on while more than half of them live."""
    ports = free_ports(2 * size)
    http, transport = ports[:size], ports[size:]
    names = [f"node-{number}" for number in range(size)]
    with ExitStack() as stack:
        nodes = []
        for name, http_port, transport_port in zip(names, http, transport, strict=True):
            options = replace(
                QUICK,
                heap_mb=heap_mb,
                name=name,
                settings={
                    "discovery.type": None,
                    "discovery.seed_hosts": [f"{LOOPBACK}:{other}" for other in transport],
                    "cluster.initial_master_nodes": list(names),
                },
            )
            home = Path(tempfile.mkdtemp(prefix=f"siemlite-test-{name}-"))
            node = TestNode(home, port=http_port, transport_port=transport_port, options=options)
            stack.callback(node.remove)
            nodes.append(node)
        # Together: none is healthy before most of them are there.
        with ThreadPoolExecutor(size) as pool:
            list(pool.map(TestNode.start, nodes))
        whole = {"wait_for_nodes": str(size), "timeout": "60s"}
        httpx.get(nodes[0].url + "/_cluster/health", params=whole, timeout=70).raise_for_status()
        yield nodes


def is_running(node: TestNode) -> bool:
    """Tell whether the node answers."""
    return node_status(node.home) is not None


def processes_of(home: Path) -> set[int]:
    """Return every process of the node: supervisor, launcher and server."""
    state = read_state(find(home))
    node = node_status(home)
    assert state
    assert node
    return {int(state["supervisor"]), int(state["launcher"]), node.pid}


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody listens on now, and nobody is about to.

    They lie above those of nodes and below those that Linux hands out to connections, and far from those of other
    test processes, whose ids are near this one's.
    """
    found: list[int] = []
    port = 32_100 + os.getpid() % 30 * 20
    while len(found) < count:
        if is_free(port):
            found.append(port)
        port += 1
    return found
