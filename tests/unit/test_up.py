"""The embedded node of `siemlite up`: what becomes of the rest when it dies."""

import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from pipeline import up
from pipeline.app.watching import App
from pipeline.clock import SystemClock
from pipeline.errors import RetryableError
from pipeline.node import Node
from tests.unit.logger.support import settings_for

URL = "http://127.0.0.1:9299"


class Nodes:
    """What `start_node` does when it is called, one thing after another; the node is gone again and again."""

    def __init__(self, home: Path, *then: Exception | None) -> None:
        self._home = home
        self._then = list(then)
        self.ports: list[int | None] = []
        self.clocks: list[object] = []
        self.done = threading.Event()
        self.keepers: list[subprocess.Popen[bytes]] = []
        self.left = 0

    def start(self, _settings: object, *, port: int | None = None, clock: object = None, **_options: Any) -> Node:
        self.ports.append(port)
        self.clocks.append(clock)
        happens = self._then.pop(0) if self._then else None
        if not self._then:
            self.done.set()
        if happens is not None:
            raise happens
        self.left = max(self.left, sum(keeper.returncode is None for keeper in self.keepers))
        keeper = subprocess.Popen(["true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.keepers.append(keeper)
        return Node(URL, 1, owned=True, home=self._home, keeper=keeper)

    def url(self, _home: Path) -> str | None:
        return URL if self.done.is_set() else None


def kept_running(nodes: Nodes, home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[App, list[str], str | None]:
    """Keep a node running until all has happened; return the application, what it said, and why it ended early."""
    monkeypatch.setattr(up, "_WATCH_SECONDS", 0.001)
    monkeypatch.setattr(up, "start_node", nodes.start)
    monkeypatch.setattr(up, "node_url", nodes.url)
    said: list[str] = []
    app = App(settings_for(home), said.append, SystemClock())
    stop = threading.Event()
    ended = up._Ended(stop)
    with up._embedded_node(app, stop, ended):
        assert nodes.done.wait(20)
    return app, said, ended.early


def test_a_node_that_dies_comes_back_where_everybody_looks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(28, "No space left on device")
    nodes = Nodes(tmp_path, None, RetryableError("no answer"), RetryableError("no answer"), full, full, None)
    app, said, early = kept_running(nodes, tmp_path, monkeypatch)
    assert nodes.ports == [None, *[9299] * 5]
    assert nodes.clocks == [app.clock] * 6
    assert app.node_url == URL
    assert said == [
        "the embedded node is gone; starting it again",
        "the embedded node does not start: no answer; trying again",
        "the embedded node does not start: [Errno 28] No space left on device; trying again",
        "the embedded node runs again",
    ]
    assert early is None


def test_a_node_that_dies_again_and_again_leaves_no_process_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = Nodes(tmp_path, *[None] * 5)
    kept_running(nodes, tmp_path, monkeypatch)
    assert nodes.left == 0
    assert [keeper.returncode for keeper in nodes.keepers] == [0] * 5


def test_a_watch_over_the_node_that_fails_ends_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = Nodes(tmp_path, None, ValueError("a fault of ours"))
    _, _, early = kept_running(nodes, tmp_path, monkeypatch)
    assert early == "the embedded node ended unexpectedly: ValueError: a fault of ours"
