"""What watches the events: detections, alerts, channels, the daemon."""

import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from pipeline.alerts.actions import AlertActions
from pipeline.alerts.closing import Closing
from pipeline.alerts.digest import Digests
from pipeline.alerts.evidence import EngineEvidence
from pipeline.alerts.ports import FloodLimits
from pipeline.alerts.quiet import Quietness, inhibits_of
from pipeline.alerts.record import INDEX as ALERTS_INDEX
from pipeline.alerts.silences import Silence, Silences
from pipeline.alerts.store import AlertStore
from pipeline.app.shipping import ShippingApp
from pipeline.delivery.channels.base import Channel, load_channels
from pipeline.delivery.channels.http import Poster
from pipeline.delivery.dispatcher import Dispatcher
from pipeline.delivery.retry import Failure
from pipeline.delivery.routing import Routing, parse_routes
from pipeline.elastic import templates
from pipeline.elastic.compare_and_set import CONTROL_INDEX
from pipeline.elastic.fixed import make_indices
from pipeline.engine.engine import Engine
from pipeline.engine.loader import Loaded, folders, load_detections
from pipeline.errors import ConfigurationError, PermanentError
from pipeline.events.catalogue import SecurityEvent
from pipeline.events.mark import DrillMarker
from pipeline.logger.security import SecurityLogger
from pipeline.scheduler.availability import Availability
from pipeline.scheduler.checkpoints import Checkpoints
from pipeline.scheduler.checks import Checks
from pipeline.scheduler.daemon import Chore, Parts, Scheduler
from pipeline.scheduler.health import AddressTakenError, Health, HealthServer, Vitals
from pipeline.scheduler.heartbeat import Heartbeat
from pipeline.scheduler.housekeeping import Housekeeping
from pipeline.scheduler.lease import Lease
from pipeline.scheduler.live import LiveDetections
from pipeline.scheduler.local_outbox import LocalOutbox
from pipeline.scheduler.metrics import Metrics
from pipeline.scheduler.operations import Operations
from pipeline.scheduler.own_alerts import OwnAlerts
from pipeline.scheduler.systemd import Systemd
from pipeline.shipping.letters import INDEX as LETTERS_INDEX

HEALTH_S = 5.0
"""Between two looks for whether the address of the health server is free."""


@dataclass
class App(ShippingApp):
    """Everything that a command may need, built when it is first asked for."""

    def set_up(self) -> tuple[templates.Installed, ...]:
        """Install the index templates, and make the indices that the scheduler searches from its first pass on.

        That of the dead letters as well where it can be had; nothing waits for it, and `siemlite check` tells of it.
        """
        installed = templates.install(self.client)
        make_indices(self.client, (ALERTS_INDEX, CONTROL_INDEX))
        with suppress(ConfigurationError, PermanentError):
            make_indices(self.client, (LETTERS_INDEX,))
        return installed

    @cached_property
    def loaded(self) -> Loaded:
        """The detections, and what is wrong with those that cannot be loaded."""
        return load_detections(folders(self.settings.siemlite_detections))

    @cached_property
    def engine(self) -> Engine:
        """What evaluates detections, for one thread."""
        return self._engine()

    def _engine(self) -> Engine:
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
        _ = self.spools  # where they cannot be written to, that is said as the mistake that it is
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
        limits = FloodLimits(self.settings.siemlite_storm, self.settings.siemlite_page_max_age)
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
            owner=f"{self.process_name}-{secrets.token_hex(4)}",
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

        Raises `ConfigurationError` where `SIEMLITE_HEALTH` can never be listened on; one that is taken is waited for.
        """
        settings, clock = self.settings, self.clock
        interval_s = settings.siemlite_interval / 1000
        recent_s = max(60.0, 3 * interval_s + 30)
        vitals = Vitals(clock, ready_within_s=recent_s)
        availability = Availability(clock)
        live = self.live_detections
        checks = Checks(clock, availability, vitals, lambda: live.failures)
        metrics = Metrics(vitals, self.shipping_metrics)
        dispatcher = self._dispatcher(checks.attempted, metrics.attempted)
        housekeeping = Housekeeping(
            Closing(self.client, self.routing, clock, EngineEvidence(self._engine())),
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
            *operations.chores(),
            Chore("record of itself", own_alerts.write, 10.0, by_leader=False),
        ]
        if settings.siemlite_heartbeat_url is not None:
            poster = Poster(settings.siemlite_heartbeat_url, clock)
            heartbeat = Heartbeat(poster, vitals, recent_s=recent_s)
            chores.append(Chore("heartbeat", heartbeat.beat, settings.siemlite_heartbeat_interval / 1000))
        if canary is not None and settings.siemlite_canary:
            drill = canary
            every_s = settings.siemlite_canary / 1000
            chores.append(Chore("canary", lambda: checks.canary(drill()), every_s))
        health = None
        if settings.siemlite_health is not None:
            address = settings.siemlite_health
            health = Health(lambda: HealthServer(address, vitals, metrics.registry))
            with suppress(AddressTakenError):
                health.listen()
            chores.append(Chore("health", health.listen, HEALTH_S, by_leader=False))
        parts = Parts(
            detections=lambda: live.detections,
            engine=self.engine,
            alerts=self.alerts,
            deliveries=dispatcher,
            checkpoints=Checkpoints(self.client, clock),
            lease=Lease(self.client, clock, self.process_name, drill_key=DrillMarker(self.keys.drill).fingerprint),
            clock=clock,
            availability=availability,
            vitals=vitals,
            chores=tuple(chores),
            on_pass=(housekeeping.passed, checks.passed, metrics.passed),
            on_failure=(metrics.pass_failed,),
            systemd=Systemd(),
            health=health,
        )
        return Scheduler(parts, interval_s=interval_s)

    def check_channels(self) -> None:
        """Make the channels and routes, and say where alerts go if nothing is configured.

        Raises `ConfigurationError` where one of them cannot be made.
        """
        _ = self.routing
        if not any(channel.reaches_people for channel in self.channels.values()):
            self.notify("no channel is configured: alerts are written to the console; set SLACK_WEBHOOK to be told")
