"""What watches the events: detections, alerts, channels.

Kept apart from `daemon`, so that a command that only asks or acts once loads neither the scheduler nor its server.
"""

import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from pipeline.alerts.actions import AlertActions
from pipeline.alerts.evidence import EngineEvidence
from pipeline.alerts.ports import FloodLimits
from pipeline.alerts.quiet import Quietness, inhibits_of
from pipeline.alerts.record import INDEX as ALERTS_INDEX
from pipeline.alerts.silences import Silence, Silences
from pipeline.alerts.store import AlertStore
from pipeline.app.shipping import ShippingApp
from pipeline.delivery.channels.base import Channel, load_channels
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
from pipeline.scheduler.live import LiveDetections
from pipeline.shipping.letters import INDEX as LETTERS_INDEX


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
        return self.new_engine()

    def new_engine(self) -> Engine:
        """Return one for another thread."""
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
        return self.new_dispatcher()

    def new_dispatcher(self, *told: Callable[[str, Failure | None], None]) -> Dispatcher:
        """Return one that tells `told` of each attempt: the channel's name, and what failed."""
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

    def check_channels(self) -> None:
        """Make the channels and routes, and say where alerts go if nothing is configured.

        Raises `ConfigurationError` where one of them cannot be made.
        """
        _ = self.routing
        if not any(channel.reaches_people for channel in self.channels.values()):
            self.notify("no channel is configured: alerts are written to the console; set SLACK_WEBHOOK to be told")
