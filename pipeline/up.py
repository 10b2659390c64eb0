"""Everything in one process: node, templates, shipper, scheduler and, when asked, a followed file.

Invariants: the parts start in the order in which they need each other and end in the reverse; a part that
fails to start, or ends before it is told to, ends the others, so that nobody takes the rest for the whole; the
embedded node is started again when it dies; nothing is sent before the templates are there.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from pipeline.app.daemon import scheduler_of
from pipeline.app.watching import App
from pipeline.drill import canary
from pipeline.errors import SiemliteError
from pipeline.events.values import counted
from pipeline.node import StartInterruptedError, node_url, start_node
from pipeline.ship import shipping
from pipeline.sources.record import Source
from pipeline.told import Told

_log = logging.getLogger(__name__)
_WATCH_SECONDS = 2.0


def run_everything(
    app: App,
    stop: threading.Event,
    follow: Callable[[threading.Event], Source] | None = None,
    then: Callable[[], None] | None = None,
) -> None:
    """Run all parts until `stop` is set; `then` is called once they run.

    `follow` makes the source that is followed. Raises `ConfigurationError` where the settings are wrong, and
    `SiemliteError` where a part ended unexpectedly.
    """
    ended = _Ended(stop)
    with ExitStack() as running:
        app.check_channels()
        if app.settings.elasticsearch_url is None:
            try:
                running.enter_context(_embedded_node(app, stop, ended))
            except StartInterruptedError:
                return
        if not app.await_server(stop):
            return
        for installed in app.set_up():
            if installed.change != "unchanged":
                app.notify(f"index template {installed.name}: {installed.change}")
        for failure in app.live_detections.failures:
            app.notify(f"{failure}; the other detections run")
        running.enter_context(shipping(app))
        running.enter_context(_thread("scheduler", scheduler_of(app, canary=lambda: canary(app, stop)).run, ended))
        if follow is not None:
            running.enter_context(_following(app, follow, ended))
        watching = counted(len(app.live_detections.detections), "detection")
        app.notify(f"watching with {watching}; Elasticsearch is at {app.url}")
        if then is not None:
            then()
        stop.wait()
        app.notify("ending")
    if ended.early is not None:
        raise SiemliteError(ended.early)


@contextmanager
def _embedded_node(app: App, stop: threading.Event, ended: "_Ended") -> Iterator[None]:
    """Keep the node running at the address that it has at first, which every part holds on to."""
    node = start_node(app.settings, progress=app.notify, stop=stop, clock=app.clock)
    app.node_url = node.url
    port = urlsplit(node.url).port

    def watch(watching: threading.Event) -> None:
        nonlocal node
        told = Told()

        def say(text: str) -> None:
            if told.fresh(text):
                app.notify(text)

        while not app.clock.wait(watching, _WATCH_SECONDS):
            if stop.is_set() or node_url(app.settings.siemlite_home) is not None:
                continue
            say("the embedded node is gone; starting it again")
            try:
                node.stop()  # what is left of it: one that dies again and again must leave nothing behind
                node = start_node(app.settings, port=port, progress=say, stop=stop, clock=app.clock)
            except StartInterruptedError:
                continue
            except (SiemliteError, OSError) as error:
                say(f"the embedded node does not start: {error}; trying again")
            else:
                told.over()
                app.notify("the embedded node runs again")

    try:
        with _thread("embedded node", watch, ended):
            yield
    finally:
        node.stop()


@contextmanager
def _following(app: App, follow: Callable[[threading.Event], Source], ended: "_Ended") -> Iterator[None]:
    owned = app.spools.for_reader()

    def run(stop: threading.Event) -> None:
        app.intake(owned.spool, live=True).drain(follow(stop).batches(), stop)

    try:
        with _thread("follower", run, ended):
            yield
    finally:
        owned.close()


@dataclass
class _Ended:
    """Which part ended before it was told to, and why, if one did; then everything is told to stop."""

    stop: threading.Event
    early: str | None = None

    def tell(self, name: str, reason: str) -> None:
        """Note that the part `name` ended."""
        self.early = self.early or f"the {name} ended unexpectedly: {reason}"
        self.stop.set()


@contextmanager
def _thread(name: str, run: Callable[[threading.Event], object], ended: _Ended) -> Iterator[None]:
    """Run `run` in a thread that is told to stop at the end of the context."""
    stop = threading.Event()

    def guarded() -> None:
        try:
            run(stop)
        except SiemliteError as error:
            ended.tell(name, str(error))
        except Exception as error:  # noqa: BLE001 - it is told, and ends the others
            _log.exception("the %s ended unexpectedly", name)
            ended.tell(name, f"{type(error).__name__}: {error}")
        else:
            if not stop.is_set():
                ended.tell(name, "it returned")

    thread = threading.Thread(target=guarded, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
