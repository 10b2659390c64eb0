"""What brings events to Elasticsearch, and what every command needs: settings, keys, the connection.

Kept apart from `watching`, so that a command that only ships loads neither the engine nor the daemon.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elasticsearch import Elasticsearch
from prometheus_client import CollectorRegistry

from pipeline.clock import Clock, SystemClock
from pipeline.elastic.client import ForbiddenError, connect, translated, without_credentials
from pipeline.errors import ConfigurationError, PermanentError, RetryableError
from pipeline.events.document import Shaper
from pipeline.events.encoder import Encoder
from pipeline.events.mark import DrillMarker
from pipeline.events.redaction import Redactor
from pipeline.logger.encoding import locator, pseudonyms_of
from pipeline.scheduler.health import HealthServer, Vital
from pipeline.settings import Settings
from pipeline.shipping.account import account
from pipeline.shipping.collector import Collector
from pipeline.shipping.home import Keys, load_keys
from pipeline.shipping.intake import Intake
from pipeline.shipping.leak_watch import LeakWatch
from pipeline.shipping.letters import DeadLetters
from pipeline.shipping.metrics import ShippingMetrics
from pipeline.shipping.own_events import OwnEvents
from pipeline.shipping.shipper import Shipper
from pipeline.shipping.spool import Spool
from pipeline.shipping.spools import Spools
from pipeline.sources.files import FileSource
from pipeline.sources.follow import FollowSource
from pipeline.sources.formats.format import FormatFactory, FormatOptions
from pipeline.sources.record import Source
from pipeline.sources.stdin import stdin_source

if TYPE_CHECKING:
    from pipeline.sources.syslog import Listen, SyslogSource

Notify = Callable[[str], None]

_AHEAD_SECONDS = 60.0
_RETRY_SECONDS = 0.5


def encoder_of(settings: Settings, keys: Keys) -> Encoder:
    """Return the encoder that `settings` and this installation's `keys` call for; raises `ConfigurationError`."""
    shaper = Shaper(
        settings.siemlite_retention,
        frozenset(settings.siemlite_measure),
        pseudonyms_of(settings, lambda: keys),
        locator(settings),
    )
    return Encoder(Redactor(settings.siemlite_redact_keys), shaper, DrillMarker(keys.drill))


@dataclass
class ShippingApp:
    """Everything that a command that ships may need, built when it is first asked for.

    `notify` is told, in one line each, what people should know; `node_url` is the address of the embedded
    node where the caller started one.
    """

    settings: Settings
    notify: Notify
    clock: Clock = field(default_factory=SystemClock)
    node_url: str | None = None

    @cached_property
    def url(self) -> str:
        """The address of Elasticsearch: the setting's, or that of this home's embedded node."""
        if self.settings.elasticsearch_url is not None:
            return self.settings.elasticsearch_url
        if self.node_url is not None:
            return self.node_url
        from pipeline.node import node_url

        address = node_url(self.settings.siemlite_home)
        if address is None:
            raise ConfigurationError(
                "ELASTICSEARCH_URL is unset and no embedded node runs; set it, or run `siemlite node start`"
            )
        return address

    @cached_property
    def client(self) -> Elasticsearch:
        """The connection with Elasticsearch."""
        return connect(self.settings, self.url)

    @cached_property
    def keys(self) -> Keys:
        """This installation's keys."""
        return load_keys(self.settings.keys_folder)

    @cached_property
    def encoder(self) -> Encoder:
        """What makes events ready for the spool."""
        return encoder_of(self.settings, self.keys)

    @cached_property
    def spools(self) -> Spools:
        """This home's spools."""
        return Spools(self.settings.spool_folder, self.settings.siemlite_spool_max_bytes)

    @cached_property
    def letters(self) -> DeadLetters:
        """Where refused events go."""
        return DeadLetters(self.client, self.settings.siemlite_home)

    def await_server(self, stop: threading.Event) -> bool:
        """Wait until Elasticsearch answers, saying so once; return whether it does (else `stop` was set).

        Raises `ConfigurationError` where it refuses the credentials or the certificate.
        """
        waiting = False
        while not stop.is_set():
            try:
                with translated(f"Elasticsearch at {without_credentials(self.url)}"):
                    self.client.cluster.health(timeout="5s")
            except RetryableError as error:
                if not waiting:
                    self.notify(f"waiting: {error}; trying again")
                waiting = True
                self.clock.wait(stop, _RETRY_SECONDS)
                continue
            except PermanentError as error:
                raise ConfigurationError(f"ELASTICSEARCH_URL does not lead to an Elasticsearch: {error}") from None
            if waiting:
                self.notify("going on: Elasticsearch answers")
            return True
        return False

    def refuse_wrong_credentials(self) -> None:
        """Raise `ConfigurationError` if Elasticsearch answers and refuses these credentials or this certificate."""
        try:
            with translated(f"Elasticsearch at {without_credentials(self.url)}"):
                self.client.options(request_timeout=5).cluster.health(timeout="1s")
        except (ForbiddenError, RetryableError):
            return
        except PermanentError as error:
            raise ConfigurationError(f"ELASTICSEARCH_URL does not lead to an Elasticsearch: {error}") from None

    def refuse_wrong_clock(self) -> None:
        """Raise `ConfigurationError` if this machine's clock is ahead of Elasticsearch's: what it dates is wrong."""
        try:
            with translated("asking Elasticsearch for the time"):
                rows: Any = self.client.cat.health(h="epoch", format="json").body
        except ForbiddenError:
            return
        ahead_s = self.clock.now_ms() / 1000 - int(rows[0]["epoch"])
        if ahead_s > _AHEAD_SECONDS:
            raise ConfigurationError(
                f"this machine's clock is {ahead_s:.0f} s ahead of Elasticsearch's, and what happens until then would "
                "count as closed; set the clock, or close from another machine"
            )

    def intake(self, spool: Spool, *, live: bool) -> Intake:
        """Return what brings raw events into `spool`."""
        return Intake(spool, self.encoder, self.clock, live=live)

    def source(self, files: Sequence[str], lines: FormatFactory, stop: threading.Event, *, follow: bool) -> Source:
        """Return what reads `files` (`-` is standard input) once, or follows them until `stop`."""
        positions = self.spools.positions()
        if list(files) == ["-"]:
            return stdin_source(lines, stop, self.clock)
        if follow:
            return FollowSource(
                files, lines, self.keys.identity, positions, clock=self.clock, stop=stop, notify=self.notify
            )
        return FileSource([Path(name) for name in files], lines, self.keys.identity, positions, stop)

    def listener(self, addresses: "Sequence[Listen]", options: FormatOptions, stop: threading.Event) -> "SyslogSource":
        """Return what receives syslog at `addresses` until `stop`."""
        from pipeline.sources.syslog import SyslogSource

        return SyslogSource(addresses, options, clock=self.clock, stop=stop, notify=self.notify)

    def leak_watch(self, open_spool: Callable[[], Spool]) -> LeakWatch:
        """Return what looks for leaks in what is sent; its alarms go into the spool that `open_spool` returns."""
        own = OwnEvents(open_spool, lambda: self.encoder, self.clock)
        return LeakWatch(own.log, self.clock)

    def shipper(self, watch: LeakWatch) -> Shipper:
        """Return a new shipper without spools, that shows `watch` what it sent."""
        shipper = Shipper(self.client, self.letters, self.clock, notify=self.notify, on_sent=watch.offer)
        self.shipping_metrics.add(shipper, watch)
        return shipper

    @cached_property
    def shipping_metrics(self) -> ShippingMetrics:
        """The numbers of this home's spools and of this process's shippers."""
        return ShippingMetrics(
            lambda: self.spools,
            self.settings.siemlite_home,
            self.clock,
            lambda: account(self.client, self.clock.now_ms(), DrillMarker(self.keys.drill)),
        )

    def health_server(self, address: str, vitals: Vital) -> HealthServer:
        """Return what serves the health and the numbers of a process that ships.

        Raises `ConfigurationError` where `address` cannot be listened on.
        """
        registry = CollectorRegistry()
        registry.register(self.shipping_metrics)
        return HealthServer(address, vitals, registry)

    def collector(self, shipper: Shipper) -> Collector:
        """Return what brings this home's spools to `shipper`."""
        return Collector(self.spools, shipper, self.clock, self.notify)


_sending: set[tuple[int, Path]] = set()
_log = logging.getLogger(__name__)


def ship_in_process(settings: Settings) -> None:
    """Let this process send what the spools of its home hold, as long as it lives; asked again, do nothing.

    What is not sent when the process ends stays in its spool, for whoever sends next. Raises `ConfigurationError`.
    """
    me = (os.getpid(), settings.siemlite_home.absolute())
    if me in _sending:
        return
    app = ShippingApp(settings, _log.warning)
    watch = app.leak_watch(lambda: app.spools.for_writer().spool)
    shipper = app.shipper(watch)
    collector = app.collector(shipper)
    watch.start()
    shipper.start()
    collector.start()
    _sending.add(me)
