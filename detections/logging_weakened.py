"""Configuration of logging, auditing or alerting changed.

Looks at the metadata `setting` of a CONFIG_CHANGE, such as `logging.level` or `audit.enabled`.

Triage: is there a ticket? What is no longer recorded since, and did something happen in that time? Restore the
setting first and ask second.
False positives: maintenance; a log level that is raised to look for an error.
"""

from pipeline.detection import Match, Severity, event, hours, prefix

SETTING = "siemlite.data.setting"

detection = Match(
    severity=Severity.HIGH,
    attack=("T1562.001", "T1562.008"),
    where={"event.code": "CONFIG_CHANGE", SETTING: prefix("log", "audit", "alert", "monitoring", "siem")},
    group_by="service.name",
    suppress_for=hours(4),
    fires=[
        event({SETTING: "logging.level"}),
        event({SETTING: "audit.enabled"}),
        event({SETTING: "alerting.webhook"}),
        event({SETTING: "monitoring"}),
        event({SETTING: "siemlite.interval"}),
    ],
    quiet=[
        event({SETTING: "theme.colour"}),
        event({SETTING: "logging.level", "event.code": "ADMIN_ACTION"}),
    ],
)
