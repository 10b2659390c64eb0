"""Shipping: a source on one side, Elasticsearch on the other, the spool between them.

Invariants: reading never waits for Elasticsearch, only for room in the spool; a command that read files to
their end returns when everything it read is in Elasticsearch, or when it is told to stop; what is in the spool
then stays for the next one.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from pipeline.app.shipping import ShippingApp
from pipeline.errors import ConfigurationError
from pipeline.scheduler.health import Report
from pipeline.shipping.database import UnusableSpoolError
from pipeline.shipping.shipper import Shipper
from pipeline.shipping.spool import Spool
from pipeline.shipping.spools import AdoptedSpool, Spools
from pipeline.sources.record import Source

Progress = Callable[[int, int, int], None]
"""Told bytes read, events stored, events waiting."""

_LOOK_SECONDS = 0.1
_END_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ShipResult:
    """What became of a run's events: those not stored or refused wait in the spool.

    `stored` counts what left the spool whole, whichever process sent it.
    """

    read: int
    stored: int
    refused: int
    waiting: int


def ship_spools(app: ShippingApp, stop: threading.Event) -> None:
    """Send what every spool of the home holds, until `stop`."""
    with shipping(app) as shipper, served(app, shipper):
        stop.wait()


@contextmanager
def shipping(app: ShippingApp) -> Iterator[Shipper]:
    """Send what every spool of the home holds, as long as the context lasts."""
    with ExitStack() as own:

        def open_own() -> Spool:
            owned = app.spools.for_writer()
            own.callback(owned.close)
            return owned.spool

        watch = app.leak_watch(open_own)
        shipper = app.shipper(watch)
        collector = app.collector(shipper)
        watch.start()
        shipper.start()
        collector.start()
        try:
            yield shipper
        finally:
            shipper.stop(_END_SECONDS)
            watch.stop()
            collector.stop()


@dataclass(frozen=True, slots=True)
class ShipVitals:
    """Whether a shipper lives, and whether its events get through."""

    shipper: Shipper

    def live(self) -> Report:
        """Return whether its threads run."""
        alive = self.shipper.alive
        return Report(alive, {"live": alive})

    def ready(self) -> Report:
        """Return whether nothing holds it up."""
        held_up = bool(self.shipper.shipped().held_up)
        return Report(not held_up, {"ready": not held_up, "held_up": held_up})


@contextmanager
def served(app: ShippingApp, shipper: Shipper) -> Iterator[None]:
    """Serve health and numbers at `SIEMLITE_HEALTH`, where it is set and no other process of this machine does."""
    address = app.settings.siemlite_health
    if address is None:
        yield
        return
    try:
        server = app.health_server(address, ShipVitals(shipper))
    except ConfigurationError as error:
        app.notify(f"{error}; the numbers of this process are not served, events are shipped all the same")
        yield
        return
    server.start()
    try:
        yield
    finally:
        server.close()


def ship_sources(
    app: ShippingApp, source: Source, stop: threading.Event, *, live: bool, progress: Progress
) -> ShipResult:
    """Take everything of `source` and send it; raises what reading raises, once the rest was sent.

    Beside a `live` source, what the home's other spools hold is sent as well: nobody else may be there to do it.
    """
    owned = app.spools.for_reader()
    watch = app.leak_watch(lambda: owned.spool)
    shipper = app.shipper(watch)
    sending = _Sending(app.spools, owned.spool, shipper)
    collector = app.collector(shipper) if live else None
    intake = app.intake(owned.spool, live=live)
    failures: list[Exception] = []

    def read() -> None:
        try:
            intake.drain(source.batches(), stop)
        except Exception as error:  # noqa: BLE001 - raised below, in the thread that people see
            failures.append(error)

    reader = threading.Thread(target=read, name="reader", daemon=True)
    with served(app, shipper) if live else nullcontext():
        watch.start()
        shipper.start()
        if collector is not None:
            collector.start()
        reader.start()
        try:
            while True:
                reading = reader.is_alive()
                watched = watch.idle  # Asked for first: an alarm is in the spool before the watch is idle.
                waiting = sending.waiting()
                sending.see_to_it()
                progress(source.bytes_read, sending.done()[0], waiting)
                if not reading and (stop.is_set() or (waiting == 0 and watched)):
                    break
                if not app.clock.wait(stop, _LOOK_SECONDS):
                    continue
                reader.join(_END_SECONDS)  # One that hangs loses nothing: its positions are those of durable events.
                break
        finally:
            shipper.stop(_END_SECONDS)
            watch.stop()
            if collector is not None:
                collector.stop()
            waiting = sending.waiting()
            while waiting == 0 and owned.spool.give_back():
                pass
            stored = sending.done()
            sending.close()
            owned.close()
    if failures:
        raise failures[0]
    return ShipResult(intake.events, *stored, waiting)


class _Sending:
    """Sees to it that `spool` is sent from: by this process, unless another does so already.

    What earlier readers of files left in theirs is sent with it, for nobody may read those files again.
    """

    def __init__(self, spools: Spools, spool: Spool, shipper: Shipper) -> None:
        self._spools = spools
        self._shipper = shipper
        self._own = spool
        self._before = {spool.path: spool.depth()}
        self._adopted: dict[Path, AdoptedSpool] = {}
        self.see_to_it()
        for path in spools.left_by_readers():
            self._adopt(path)

    def see_to_it(self) -> None:
        """Send from the spool if nobody does; asked again and again, for another sender may end."""
        if self._own.path not in self._adopted:
            self._adopt(self._own.path)

    def _adopt(self, path: Path) -> None:
        try:
            adopted = self._spools.adopt(path)
        except UnusableSpoolError:
            return  # It is told of where it is to be used.
        if adopted is not None:
            self._before.setdefault(path, adopted.spool.depth())
            self._adopted[path] = adopted
            self._shipper.add(adopted.spool)

    def waiting(self) -> int:
        """Return how many events wait."""
        return sum(spool.depth().events for spool in self._all())

    def done(self) -> tuple[int, int]:
        """Return how many events left the spools whole since this began, and how many for the dead letters."""
        settled = refused = 0
        for spool in self._all():
            before, now = self._before[spool.path], spool.depth()
            settled += now.settled - before.settled
            refused += now.refused - before.refused
        return max(0, settled - refused), refused

    def _all(self) -> Iterator[Spool]:
        yield self._own
        yield from (adopted.spool for path, adopted in self._adopted.items() if path != self._own.path)

    def close(self) -> None:
        """Send no more."""
        for adopted in self._adopted.values():
            adopted.close()
