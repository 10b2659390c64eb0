"""The composition root: which object is built from which, and from which setting.

Invariant: nothing else wires, and nothing here decides: every rule lies in the room that it concerns.
"""

import logging
import os
import secrets
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from elasticsearch import Elasticsearch
from prometheus_client import CollectorRegistry

from pipeline.alerts.actions import AlertActions
from pipeline.alerts.closing import Closing
from pipeline.alerts.digest import Digests
from pipeline.alerts.evidence import EngineEvidence
from pipeline.alerts.ports import Limits
from pipeline.alerts.quiet import Quietness, inhibits_of
from pipeline.alerts.record import INDEX as ALERTS_INDEX
from pipeline.alerts.silences import Silence, Silences
from pipeline.alerts.store import AlertStore
from pipeline.clock import Clock, SystemClock
from pipeline.delivery.channels.base import Channel, load_channels
from pipeline.delivery.channels.http import Poster
from pipeline.delivery.dispatcher import Dispatcher
from pipeline.delivery.retry import Failure
from pipeline.delivery.routing import Routing, parse_routes
from pipeline.elastic import templates
from pipeline.elastic.client import ForbiddenError, connect, translated, without_credentials
from pipeline.elastic.compare_and_set import CONTROL_INDEX
from pipeline.engine.engine import Engine
from pipeline.engine.loader import Loaded, folders, load_detections
from pipeline.errors import ConfigurationError, PermanentError, RetryableError
from pipeline.events.catalogue import SecurityEvent
from pipeline.events.document import Shaper
from pipeline.events.encoder import Encoder
from pipeline.events.mark import DrillMarker
from pipeline.events.redaction import Redactor
from pipeline.logger.encoding import locator, pseudonymiser
from pipeline.logger.security import SecurityLogger
from pipeline.node import node_url
from pipeline.scheduler.availability import Availability
from pipeline.scheduler.checkpoints import Checkpoints
from pipeline.scheduler.checks import Checks
from pipeline.scheduler.daemon import Chore, Parts, Scheduler
from pipeline.scheduler.health import HealthServer, Vital, Vitals
from pipeline.scheduler.heartbeat import Heartbeat
from pipeline.scheduler.housekeeping import Housekeeping
from pipeline.scheduler.lease import Lease
from pipeline.scheduler.live import LiveDetections
from pipeline.scheduler.local_outbox import LocalOutbox
from pipeline.scheduler.metrics import Metrics
from pipeline.scheduler.operations import Operations
from pipeline.scheduler.own_alerts import OwnAlerts
from pipeline.scheduler.systemd import Systemd
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
from pipeline.sources.stdin import StreamSource
from pipeline.sources.syslog import Listen, SyslogSource

Notify = Callable[[str], None]

_RETRY_SECONDS = 0.5


def encoder_of(settings: Settings, keys: Keys) -> Encoder:
    """Return the encoder that `settings` and this installation's `keys` call for."""

    shaper = Shaper(
        settings.siemlite_retention,
        frozenset(settings.siemlite_measure),
        settings.siemlite_pseudonymise,
        pseudonymiser(keys.pseudonym) if settings.siemlite_pseudonymise else None,
        locator(settings),
    )
    return Encoder(Redactor(settings.siemlite_redact_keys), shaper, DrillMarker(keys.drill))


@dataclass
class App:
    """Everything that a command may need, built when it is first asked for.

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

    def set_up(self) -> tuple[templates.Installed, ...]:
        """Install the index templates, and make the indices that the scheduler searches from its first pass on."""
        installed = templates.install(self.client)
        templates.make_indices(self.client, (ALERTS_INDEX, CONTROL_INDEX))
        return installed

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

    def intake(self, spool: Spool, *, live: bool) -> Intake:
        """Return what brings raw events into `spool`."""
        return Intake(spool, self.encoder, self.clock, live=live)

    def source(self, files: Sequence[str], lines: FormatFactory, stop: threading.Event, *, follow: bool) -> Source:
        """Return what reads `files` (`-` is standard input) once, or follows them until `stop`."""
        positions = self.spools.positions()
        if list(files) == ["-"]:
            return StreamSource(sys.stdin.fileno(), lines, stop, self.clock)
        if follow:
            return FollowSource(
                files, lines, self.keys.identity, positions, clock=self.clock, stop=stop, notify=self.notify
            )
        return FileSource([Path(name) for name in files], lines, self.keys.identity, positions)

    def listener(self, addresses: Sequence[Listen], options: FormatOptions, stop: threading.Event) -> SyslogSource:
        """Return what receives syslog at `addresses` until `stop`."""
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
            lambda: account(self.client, self.clock.now_ms()),
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
        return Collector(self.spools, shipper, self.clock)

    @cached_property
    def loaded(self) -> Loaded:
        """The detections, and what is wrong with those that cannot be loaded."""
        return load_detections(folders(self.settings.siemlite_detections))

    @cached_property
    def engine(self) -> Engine:
        """What evaluates detections."""
        marker = DrillMarker(self.keys.drill)
        return Engine(self.client, verify_mark=marker.verify, late_horizon_ms=self.settings.siemlite_late_horizon)

    @cached_property
    def channels(self) -> dict[str, Channel]:
        """The channels that the settings ask for."""
        return load_channels(self.settings, self.clock)

    @cached_property
    def silences(self) -> Silences:
        """What keeps alerts quiet; every change is logged as a security event of its own."""
        return Silences(self.client, self.clock, self._audit_silence)

    @cached_property
    def quietness(self) -> Quietness:
        """Silences and inhibition."""
        return Quietness(self.client, self.silences, lambda: inhibits_of(self.live_detections.detections))

    @cached_property
    def alert_actions(self) -> AlertActions:
        """What people do with alerts."""
        return AlertActions(self.client, self.routing, self.clock)

    def _audit_silence(self, what: str, silence: Silence, author: str) -> None:
        security = SecurityLogger(service="siemlite", settings=self.settings, durable=True)
        security.log(
            SecurityEvent.CONFIG_CHANGE,
            message=f"silence {what}: {silence.id}",
            user_id=author,
            reason=silence.reason,
            silence=silence.id,
        )

    @cached_property
    def routing(self) -> Routing:
        """Which alerts go to which channels."""
        settings = self.settings
        return Routing(self.channels, parse_routes(settings.siemlite_routes), settings.siemlite_pagerduty_severities)

    @cached_property
    def alerts(self) -> AlertStore:
        """What turns findings into alerts."""
        limits = Limits(self.settings.siemlite_storm, self.settings.siemlite_page_max_age)
        return AlertStore(
            self.client, EngineEvidence(self.engine), self.routing, self.clock, quiet=self.quietness, limits=limits
        )

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """What brings alerts to the channels, for a command."""
        return self._dispatcher()

    def _dispatcher(self, *told: Callable[[str, Failure | None], None]) -> Dispatcher:
        return Dispatcher(
            self.client,
            self.channels,
            self.clock,
            owner=self.process_name,
            clean=self.encoder.redactor.text,
            kibana_url=self.settings.siemlite_kibana_url,
            on_attempt=told,
        )

    @cached_property
    def process_name(self) -> str:
        """A name that this process has and no other."""
        return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"

    @cached_property
    def live_detections(self) -> LiveDetections:
        """The detections of the daemon, which reloads them."""
        return LiveDetections(lambda: folders(self.settings.siemlite_detections), load_detections)

    def scheduler(self, canary: Callable[[], str | None] | None = None) -> Scheduler:
        """Return the daemon. `canary` drills one detection and returns what is wrong, if anything.

        Raises `ConfigurationError` where `SIEMLITE_HEALTH` cannot be listened on.
        """
        settings, clock = self.settings, self.clock
        interval_s = settings.siemlite_interval / 1000
        recent_s = max(60.0, 3 * interval_s + 30)
        vitals = Vitals(clock, ready_within_s=recent_s)
        availability = Availability(clock)
        checks = Checks(clock, availability, vitals)
        metrics = Metrics(vitals, self.shipping_metrics)
        dispatcher = self._dispatcher(checks.attempted, metrics.attempted)
        live = self.live_detections
        housekeeping = Housekeeping(
            Closing(self.client, self.routing, clock),
            Digests(self.client, self.routing, clock),
            dispatcher,
            lambda: live.detections,
        )
        outbox = LocalOutbox(settings.siemlite_home / "outbox.db")
        own_alerts = OwnAlerts(self.client, outbox, availability)
        operations = Operations(
            outbox,
            self.channels,
            self.routing,
            clock,
            (checks.all,),
            host=socket.gethostname(),
            clean=self.encoder.redactor.text,
        )
        chores = [
            *housekeeping.chores(),
            Chore("reload", live.refresh, 2.0, by_leader=False),
            Chore("look after itself", operations.look, 5.0, by_leader=False),
            Chore("tell of itself", operations.send, 1.0, by_leader=False),
            Chore("record of itself", own_alerts.write, 10.0, by_leader=False),
        ]
        if settings.siemlite_heartbeat_url is not None:
            poster = Poster(settings.siemlite_heartbeat_url.get_secret_value(), clock)
            heartbeat = Heartbeat(poster, vitals, recent_s=recent_s)
            chores.append(Chore("heartbeat", heartbeat.beat, settings.siemlite_heartbeat_interval / 1000))
        if canary is not None and settings.siemlite_canary:
            drill = canary
            every_s = settings.siemlite_canary / 1000
            chores.append(Chore("canary", lambda: checks.canary(drill()), every_s))
        parts = Parts(
            detections=lambda: live.detections,
            engine=self.engine,
            alerts=self.alerts,
            deliveries=dispatcher,
            checkpoints=Checkpoints(self.client, clock),
            lease=Lease(self.client, clock, self.process_name),
            clock=clock,
            availability=availability,
            vitals=vitals,
            chores=tuple(chores),
            on_pass=(housekeeping.passed, checks.passed, metrics.passed),
            on_failure=(metrics.pass_failed,),
            systemd=Systemd(),
            health=HealthServer(settings.siemlite_health, vitals, metrics.registry)
            if settings.siemlite_health
            else None,
        )
        return Scheduler(parts, interval_s=interval_s)

    def check_channels(self) -> None:
        """Make the channels and routes, and say where alerts go if nothing is configured.

        Raises `ConfigurationError` where one of them cannot be made.
        """
        _ = self.routing
        if not any(channel.reaches_people for channel in self.channels.values()):
            self.notify("no channel is configured: alerts are written to the console; set SLACK_WEBHOOK to be told")


_sending: set[tuple[int, Path]] = set()
_log = logging.getLogger(__name__)


def ship_in_process(settings: Settings) -> None:
    """Let this process send what the spools of its home hold, as long as it lives; asked again, do nothing.

    What is not sent when the process ends stays in its spool, for whoever sends next. Raises `ConfigurationError`.
    """
    me = (os.getpid(), settings.siemlite_home.absolute())
    if me in _sending:
        return
    app = App(settings, _log.warning)
    watch = app.leak_watch(lambda: app.spools.for_writer().spool)
    shipper = app.shipper(watch)
    collector = app.collector(shipper)
    watch.start()
    shipper.start()
    collector.start()
    _sending.add(me)
