"""The daemon's numbers, for Prometheus. A registry of its own, so that two daemons in one process do not mix."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.registry import Collector

from pipeline.delivery.retry import Failure
from pipeline.scheduler.health import Vitals
from pipeline.scheduler.passes import PassOutcome

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """Counts what the daemon does. Names end in their unit, as Prometheus wants it."""

    def __init__(self, vitals: Vitals, shipping: Collector | None = None) -> None:
        """`shipping` has the numbers of this home's spools, and of what this process sends."""
        self.registry = CollectorRegistry()
        registry = self.registry
        self._passes = Counter("siemlite_passes", "Passes, by result", ["result"], registry=registry)
        self._seconds = Histogram("siemlite_pass_seconds", "Time a pass took", buckets=_SECONDS, registry=registry)
        self._failing = Gauge("siemlite_detections_failing", "Detections not evaluated", registry=registry)
        self._watched = Gauge("siemlite_detections", "Detections", registry=registry)
        self._arrived = Counter("siemlite_events_evaluated", "Arrivals evaluated", ["detection"], registry=registry)
        self._behind = Gauge("siemlite_events_behind", "Arrivals not evaluated yet", ["detection"], registry=registry)
        self._missed = Counter(
            "siemlite_events_not_evaluated", "Arrivals that never are", ["detection", "why"], registry=registry
        )
        self._alerts = Counter("siemlite_alerts", "Alerts written", ["detection", "change"], registry=registry)
        self._deliveries = Counter(
            "siemlite_deliveries", "Attempts to deliver", ["channel", "result"], registry=registry
        )
        age = Gauge("siemlite_pass_age_seconds", "Time since a pass succeeded; -1 for never", registry=registry)
        age.set_function(lambda: -1.0 if vitals.pass_age_s is None else vitals.pass_age_s)
        leads = Gauge("siemlite_leader", "Whether this scheduler leads", registry=registry)
        leads.set_function(lambda: float(vitals.leads))
        if shipping is not None:
            registry.register(shipping)

    def passed(self, outcome: PassOutcome, seconds: float) -> None:
        """Count a pass that took `seconds`."""
        self._passes.labels("failed" if outcome.failed else "succeeded").inc()
        self._seconds.observe(seconds)
        self._failing.set(len(outcome.failed))
        self._watched.set(len(outcome.detections))
        for detection in outcome.detections:
            name, coverage = detection.detection_id, detection.coverage
            self._arrived.labels(name).inc(coverage.arrived)
            self._behind.labels(name).set(coverage.behind)
            self._missed.labels(name, "too late").inc(coverage.too_late)
            self._missed.labels(name, "misfiled").inc(coverage.misfiled)
            self._missed.labels(name, "without a group").inc(coverage.ungrouped)
            self._missed.labels(name, "groups not judged").inc(coverage.unjudged)
            self._alerts.labels(name, "opened").inc(detection.opened)
            self._alerts.labels(name, "amended").inc(detection.amended)

    def pass_failed(self) -> None:
        """Count a pass that failed as a whole."""
        self._passes.labels("failed").inc()

    def attempted(self, channel: str, failure: Failure | None) -> None:
        """Count an attempt to deliver."""
        result = "taken" if failure is None else "refused" if failure.permanent else "failed"
        self._deliveries.labels(channel, result).inc()
