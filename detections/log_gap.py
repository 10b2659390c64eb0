"""Events were shed before they could be kept.

A `LOG_GAP` event says that a logger had to drop events, and how many of each level.

Triage: what held the spool up: a full disk, a slow one, an Elasticsearch that is away for long? Look at the
event's reason and at `siemlite status` on that host. What happened in the gap is not in any index.
False positives: a load test on purpose.
"""

from pipeline.detection import Match, Severity, event, hours

detection = Match(
    severity=Severity.HIGH,
    attack=("T1562",),
    where={"event.code": "LOG_GAP"},
    group_by="service.name",
    suppress_for=hours(1),
    fires=[event()],
    quiet=[event({"event.code": "CONFIG_CHANGE"})],
)
