"""A store of alerts with all its parts, on a real Elasticsearch and an engine in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.alerts.actions import AlertActions
from pipeline.alerts.closing import Closing
from pipeline.alerts.digest import Digests
from pipeline.alerts.evidence import EngineEvidence
from pipeline.alerts.outbox import Action, Subject
from pipeline.alerts.ports import ApplyResult, FloodLimits
from pipeline.alerts.quiet import Inhibits, Quietness
from pipeline.alerts.record import ALIAS, Alert
from pipeline.alerts.search import all_alerts, refresh
from pipeline.alerts.silences import Silence, Silences
from pipeline.alerts.store import AlertStore
from pipeline.detection.detection import Detection
from pipeline.detection.timeline import Severity
from pipeline.elastic.client import connect
from pipeline.settings import Settings
from tests.unit.alerts.memory_engine import MemoryEngine, address, detection
from tests.unit.clocks import ManualClock

MINUTE = 60_000
HOUR = 60 * MINUTE


class Routes:
    """Everybody is told by mail; the pager rings for critical alerts and hears everything."""

    def channels(self, subject: Subject) -> tuple[str, ...]:
        """See `Routes.channels`."""
        if subject.drill is not None:
            return ("console",)
        return ("mail", "pager") if subject.severity is Severity.CRITICAL else ("mail",)

    def understands(self, channel: str, action: Action) -> bool:
        """See `Routes.understands`."""
        return channel == "pager" or action in (Action.OPEN, Action.ESCALATE)


@dataclass
class World:
    """A store with all its parts."""

    client: Elasticsearch
    clock: ManualClock
    engine: MemoryEngine
    store: AlertStore
    actions: AlertActions
    closing: Closing
    silences: Silences
    digests: Digests
    audited: list[tuple[str, Silence, str]]
    inhibits: dict[str, tuple[str, ...]]

    def apply(self, rule: Detection | None = None, *, on_purpose: bool = False) -> ApplyResult:
        """Evaluate everything there is and apply it."""
        chosen = rule or detection()
        [result] = self.engine.evaluate([chosen], {}, self.clock.now_ms())
        return self.store.apply(chosen, result.findings, on_purpose=on_purpose)

    def alerts(self) -> list[Alert]:
        """Return all alerts, the earliest crossing first."""
        refresh(self.client)
        found = all_alerts(self.client, {"match_all": {}})
        return sorted(found, key=lambda a: (a.episode.crossing_ms, a.id))

    def source(self) -> dict[str, Any]:
        """Return the document of the only alert."""
        refresh(self.client)
        [hit] = self.client.search(index=ALIAS)["hits"]["hits"]
        source: dict[str, Any] = hit["_source"]
        return source


def world_of(
    client: Elasticsearch, clock: ManualClock, engine: MemoryEngine, limits: FloodLimits | None = None
) -> World:
    routes = Routes()
    audited: list[tuple[str, Silence, str]] = []
    inhibits: dict[str, tuple[str, ...]] = {}
    silences = Silences(client, clock, lambda what, silence, by: audited.append((what, silence, by)))

    def inhibited() -> Inhibits:
        return inhibits

    quiet = Quietness(client, silences, inhibited)
    store = AlertStore(client, EngineEvidence(engine), routes, clock, quiet=quiet, limits=limits)
    return World(
        client,
        clock,
        engine,
        store,
        AlertActions(client, routes, clock),
        Closing(client, routes, clock, EngineEvidence(engine)),
        silences,
        Digests(client, routes, clock),
        audited,
        inhibits,
    )


def worlds(es_ready: str) -> Iterator[World]:
    """Give out a world on the server at `es_ready`, which has the index templates, for a fixture."""
    client = connect(Settings(_env_file=None), es_ready)
    yield world_of(client, ManualClock(), MemoryEngine())
    client.close()


def owed(alert: Alert) -> list[tuple[str, str, str]]:
    return [(d.channel, d.action.value, d.state.value) for d in alert.deliveries]


def burst(world: World, value: str, *, ago: int = 0, events: int = 3) -> None:
    now = world.clock.now_ms() - ago
    world.engine.add(address(value), *(now - 1000 * back for back in range(events)))


def silence(world: World, **conditions: Any) -> Silence:
    until = world.clock.now_ms() + HOUR
    return world.silences.add(author="kim", reason="a pentest", until_ms=until, **conditions)
