"""What the shipping side of a process says to Prometheus: this home's spools, and what this process sent.

Invariants: everything is read when it is asked for; counters never fall while the process lives, although spools
come and go; what Elasticsearch must be asked for is asked at most every `ASK_SECONDS` and left out while it does
not answer.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from pipeline.clock import Clock
from pipeline.errors import SiemliteError
from pipeline.shipping.account import Account
from pipeline.shipping.leak_watch import LeakWatch
from pipeline.shipping.letters import local_letters
from pipeline.shipping.shipper import Shipper
from pipeline.shipping.spools import Spools
from pipeline.shipping.survey import SpoolStatus, changes, survey

ASK_SECONDS = 30.0
_log = logging.getLogger(__name__)


class ShippingMetrics(Collector):
    """The numbers of `spools` and of each shipper that is added; `ask` asks Elasticsearch and may raise."""

    def __init__(
        self, spools: Callable[[], Spools], letters_folder: Path, clock: Clock, ask: Callable[[], Account]
    ) -> None:
        self._spools = spools
        self._letters_folder = letters_folder
        self._clock = clock
        self._ask = ask
        self._asked_at: float | None = None
        self._said = False
        self._account: Account | None = None
        self._mutex = threading.Lock()
        self._shippers: list[tuple[Shipper, LeakWatch]] = []
        self._before: tuple[SpoolStatus, ...] | None = None
        self._spooled = self._settled = 0

    def add(self, shipper: Shipper, watch: LeakWatch) -> None:
        """Count what `shipper` sends and `watch` sees, too."""
        with self._mutex:
            self._shippers.append((shipper, watch))

    def describe(self) -> Iterator[Metric]:
        """Names are fixed: registering asks for no numbers."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """See `Collector.collect`."""
        with self._mutex:
            yield from self._of_spools()
            yield from self._of_shippers()
            yield from self._of_elasticsearch()

    def _of_spools(self) -> Iterator[Metric]:
        spools = self._spools()
        now = survey(spools)
        if self._before is not None:
            spooled, settled = changes(self._before, now)
            self._spooled += max(0, spooled)
            self._settled += max(0, settled)
        self._before = now
        oldest = min((spool.oldest_ms for spool in now if spool.oldest_ms is not None), default=None)
        age = 0.0 if oldest is None else max(0.0, (self._clock.now_ms() - oldest) / 1000)
        yield _gauge("siemlite_spools", "Spools of this home", len(now))
        yield _gauge("siemlite_spool_events", "Events that wait in them", sum(spool.events for spool in now))
        yield _gauge("siemlite_spool_waiting_bytes", "Bytes of these events", sum(spool.bytes for spool in now))
        yield _gauge("siemlite_spool_bytes", "Size of the spools' files", folder_bytes(spools.folder))
        yield _gauge("siemlite_spool_oldest_seconds", "Age of the event that waits longest", age)
        yield _counter("siemlite_events_spooled", "Events spooled since this process began to count", self._spooled)
        yield _counter("siemlite_events_settled", "Events that left the spools since then", self._settled)
        letters = sum(1 for _ in local_letters(self._letters_folder))
        yield _gauge("siemlite_dead_letters_local", "Dead letters in this home's file", letters)

    def _of_shippers(self) -> Iterator[Metric]:
        if not self._shippers:
            return
        done = [shipper.shipped() for shipper, _ in self._shippers]
        seen = [watch.watched() for _, watch in self._shippers]
        held_up = any(each.held_up for each in done)
        yield _counter("siemlite_events_stored", "Events that Elasticsearch took", sum(each.stored for each in done))
        yield _counter("siemlite_events_refused", "Events that it refused", sum(each.refused for each in done))
        yield _counter("siemlite_bulk_requests", "Requests to _bulk", sum(each.requests for each in done))
        yield _counter("siemlite_bulk_retries", "Requests that must be repeated", sum(each.retries for each in done))
        yield _gauge("siemlite_shipper_held_up", "Whether sending waits for something", float(held_up))
        yield _counter("siemlite_leak_samples", "Events looked at for leaks", sum(each.sampled for each in seen))
        yield _counter("siemlite_leaks_found", "Leaks found in them", sum(each.found for each in seen))

    def _of_elasticsearch(self) -> Iterator[Metric]:
        now = self._clock.monotonic()
        if self._asked_at is None or now - self._asked_at >= ASK_SECONDS:
            self._asked_at = now
            try:
                self._account = self._ask()
                self._said = False
            except SiemliteError as error:
                self._account = None
                if not self._said:
                    self._said = True
                    _log.warning("the numbers that Elasticsearch is asked for are left out: %s", error)
        if self._account is None:
            return
        yield _gauge("siemlite_dead_letters", "Dead letters in Elasticsearch, not replayed", self._account.letters)
        yield _gauge("siemlite_log_gaps", "LOG_GAP events of the last 24 hours", self._account.gaps)
        shed = GaugeMetricFamily("siemlite_events_shed", "Events shed in the last 24 hours", labels=["level"])
        for level, count in self._account.by_level.items():
            shed.add_metric([level], count)
        shed.add_metric(["unknown"], max(0, self._account.shed - sum(self._account.by_level.values())))
        yield shed


def folder_bytes(folder: Path) -> float:
    """Return the size of the files in `folder`, which may come and go."""
    total = 0
    for path in folder.glob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return float(total)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)
