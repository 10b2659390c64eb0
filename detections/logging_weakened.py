"""Configuration of logging, auditing or alerting changed.

Looks at the metadata `setting` of a CONFIG_CHANGE, such as `logging.level` or `audit.enabled`.

Triage: is there a ticket? What is no longer recorded since, and did something happen in that time? Restore the
setting first and ask second.
False positives: maintenance; a log level that is raised to look for an error.
"""

from pipeline.detection import Match, Severity, all_of, event, hours, not_, prefix

SETTING = "siemlite.data.setting"
STARTS = (
    *(
        form
        for topic in ("log", "audit", "alert", "monitoring", "siem")
        for form in (topic, topic.title(), topic.upper())
    ),
    *("app.log", "app.audit", "enable_log", "enable_audit", "disable_log", "disable_audit"),
)
OTHERS = tuple(form for word in ("login", "logo", "siemens", "alertbox") for form in (word, word.title(), word.upper()))

detection = Match(
    severity=Severity.HIGH,
    attack=("T1562.001", "T1562.008"),
    where=all_of({"event.code": "CONFIG_CHANGE", SETTING: prefix(*STARTS)}, {SETTING: not_(prefix(*OTHERS))}),
    group_by="service.name",
    suppress_for=hours(4),
    fires=[
        event({SETTING: "logging.level"}),
        event({SETTING: "audit.enabled"}),
        event({SETTING: "alerting.webhook"}),
        event({SETTING: "monitoring"}),
        event({SETTING: "siemlite.interval"}),
        event({SETTING: "AUDIT_ENABLED"}),
        event({SETTING: "app.logging.level"}),
    ],
    quiet=[
        event({SETTING: "theme.colour"}),
        event({SETTING: "login.max_attempts"}),
        event({SETTING: "logout.redirect"}),
        event({SETTING: "logging.level", "event.code": "ADMIN_ACTION"}),
    ],
)
