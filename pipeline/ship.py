"""Shipping: a source on one side, Elasticsearch on the other, the spool between them.

Invariants: reading never waits for Elasticsearch, only for room in the spool; a command that read files to
their end returns when everything it read is in Elasticsearch, or when it is told to stop; what is in the spool
then stays for the next one.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.app import App
from pipeline.shipping.shipper import Shipper
from pipeline.sources.record import Source

Progress = Callable[[int, int, int], None]
"""Told bytes read, events stored, events waiting."""

_LOOK_SECONDS = 0.1
_END_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ShipResult:
    """What became of a run's events: those not stored or refused wait in the spool."""

    read: int
    stored: int
    refused: int
    waiting: int


def ship_spools(app: App, stop: threading.Event) -> None:
    """Send what every spool of the home holds, until `stop`."""
    with shipping(app):
        stop.wait()


@contextmanager
def shipping(app: App) -> Iterator[Shipper]:
    """Send what every spool of the home holds, as long as the context lasts."""
    shipper = app.shipper()
    collector = app.collector(shipper)
    shipper.start()
    collector.start()
    try:
        yield shipper
    finally:
        shipper.stop(_END_SECONDS)
        collector.stop()


def ship_sources(app: App, source: Source, stop: threading.Event, *, live: bool, progress: Progress) -> ShipResult:
    """Take everything of `source` and send it; raises what reading raises, once the rest was sent."""
    owned = app.spools.for_reader()
    shipper = app.shipper()
    adopted = app.spools.adopt(owned.spool.path)
    if adopted is not None:
        shipper.add(adopted.spool)
    intake = app.intake(owned.spool, live=live)
    failures: list[Exception] = []

    def read() -> None:
        try:
            intake.drain(source.batches(), stop)
        except Exception as error:  # noqa: BLE001 - raised below, in the thread that people see
            failures.append(error)

    reader = threading.Thread(target=read, name="reader", daemon=True)
    shipper.start()
    reader.start()
    try:
        while True:
            reading = reader.is_alive()
            waiting = owned.spool.depth().events
            progress(source.bytes_read, shipper.shipped().stored, waiting)
            if not reading and (stop.is_set() or waiting == 0):
                break
            app.clock.wait(stop, _LOOK_SECONDS) if not stop.is_set() else reader.join(_LOOK_SECONDS)
    finally:
        shipper.stop(_END_SECONDS)
        waiting = owned.spool.depth().events
        if adopted is not None:
            adopted.close()
        owned.close()
    if failures:
        raise failures[0]
    done = shipper.shipped()
    return ShipResult(intake.events, done.stored, done.refused, waiting)
