"""The daemon: detections, alerts and channels, put together with all that keeps them running."""

import socket
from collections.abc import Callable
from contextlib import suppress

from pipeline.alerts.closing import Closing
from pipeline.alerts.digest import Digests
from pipeline.alerts.evidence import EngineEvidence
from pipeline.app.watching import App
from pipeline.delivery.channels.http import Poster
from pipeline.events.mark import DrillMarker
from pipeline.scheduler.availability import Availability
from pipeline.scheduler.checkpoints import Checkpoints
from pipeline.scheduler.checks import Checks
from pipeline.scheduler.daemon import Chore, Parts, Scheduler
from pipeline.scheduler.health import AddressTakenError, Health, HealthServer, Vitals
from pipeline.scheduler.heartbeat import Heartbeat
from pipeline.scheduler.housekeeping import Housekeeping
from pipeline.scheduler.lease import Lease
from pipeline.scheduler.local_outbox import LocalOutbox
from pipeline.scheduler.metrics import Metrics
from pipeline.scheduler.operations import Operations
from pipeline.scheduler.own_alerts import OwnAlerts
from pipeline.scheduler.systemd import Systemd

HEALTH_S = 5.0
"""Between two looks for whether the address of the health server is free."""


def scheduler_of(app: App, canary: Callable[[], str | None] | None = None) -> Scheduler:
    """Return the daemon. `canary` drills one detection and returns what is wrong, if anything.

    Raises `ConfigurationError` where `SIEMLITE_HEALTH` can never be listened on; one that is taken is waited for.
    """
    settings, clock = app.settings, app.clock
    interval_s = settings.siemlite_interval / 1000
    recent_s = max(60.0, 3 * interval_s + 30)
    vitals = Vitals(clock, ready_within_s=recent_s)
    availability = Availability(clock)
    live = app.live_detections
    checks = Checks(clock, availability, vitals, lambda: live.failures)
    metrics = Metrics(vitals, app.shipping_metrics)
    dispatcher = app.new_dispatcher(checks.attempted, metrics.attempted)
    housekeeping = Housekeeping(
        Closing(app.client, app.routing, clock, EngineEvidence(app.new_engine())),
        Digests(app.client, app.routing, clock),
        dispatcher,
        lambda: live.detections,
    )
    outbox = LocalOutbox(settings.siemlite_home / "outbox.db")
    own_alerts = OwnAlerts(app.client, outbox, availability)
    operations = Operations(
        outbox,
        app.channels,
        app.routing,
        clock,
        (checks.all,),
        host=socket.gethostname(),
        clean=app.encoder.redactor.text,
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
        engine=app.engine,
        alerts=app.alerts,
        deliveries=dispatcher,
        checkpoints=Checkpoints(app.client, clock),
        lease=Lease(app.client, clock, app.process_name, drill_key=DrillMarker(app.keys.drill).fingerprint),
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
