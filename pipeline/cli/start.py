"""How a command begins: settings, log, application, signals."""

import gc
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING

from pipeline.app.shipping import ShippingApp
from pipeline.cli.output import say, set_up_logging
from pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from pipeline.app.watching import App

_OBJECTS_BETWEEN_LOOKS = 50_000
"""A batch of events is some ten thousand objects without a cycle among them."""


def application() -> "App":
    """Return the application for the environment's settings, with its log on stderr."""
    from pipeline.app.watching import App

    return App(_settings(), say)


def shipping_application() -> ShippingApp:
    """Return the same without what watches, which is loaded in two thirds of the time."""
    return ShippingApp(_settings(), say)


def _settings() -> Settings:
    settings = load_settings()
    set_up_logging(settings)
    return settings


def seldom_collect() -> None:
    """Let this process look for cycles of garbage only when far more objects than a batch has are there to stay.

    Each look goes through the events of the batch at hand; by default that is a tenth of what reading them takes.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS, *gc.get_threshold()[1:])


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set; a second signal ends the process at once.

    A thread sets it: the handler may have come while the main thread held the event's own lock, to wait for it, and
    would wait for that lock for ever.
    """
    stop = threading.Event()
    signals: SimpleQueue[int] = SimpleQueue()  # its `put` may be called at any moment
    came = False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal came
        if came or stop.is_set():
            raise SystemExit(128 + number)
        came = True
        signals.put(number)

    def pass_on() -> None:
        signals.get()
        stop.set()

    threading.Thread(target=pass_on, name="signals", daemon=True).start()
    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop


def on_hangup(act: Callable[[], None]) -> None:
    """Have SIGHUP call `act`, which must be safe within a signal's handler."""
    signal.signal(signal.SIGHUP, lambda _number, _frame: act())
