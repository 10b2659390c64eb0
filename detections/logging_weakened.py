"""Configuration of logging, auditing or alerting changed.

Looks at the metadata `setting` of a CONFIG_CHANGE, such as `logging.level` or `audit.enabled`, alone or in a list.

Triage: is there a ticket? What is no longer recorded since, and did something happen in that time? Restore the
setting first and ask second.
False positives: maintenance; a log level that is raised to look for an error. What your settings are called that
this file does not know is added in a copy of it.
"""

from pipeline.detection import Match, Severity, all_of, any_of, event, hours, prefix

SETTING = "siemlite.data.setting"
WHOLE = ("log", "audit", "alert", "alerts", "monitoring", "siem", "syslog")
WORDS = (
    *(f"{topic}{separator}" for topic in ("log", "audit", "alert", "siem") for separator in "._-/:"),
    *("logs", "logging", "logger", "loglevel", "logLevel", "logfile", "logFile"),
    *("auditing", "auditd", "auditlog", "auditLog", "auditenabled", "auditEnabled"),
    *("alerts", "alerting", "alertmanager", "monitoring", "siemlite", "syslog", "rsyslog", "cloudtrail", "cloudTrail"),
)
WITHIN = ("app", "server", "service", "system", "security", "xpack.security", "root", "enable", "disable")
PARTS = ("log.", "log_", "logging", "logger", "audit", "alert", "syslog")
STARTS = (
    *(form for word in WORDS for form in dict.fromkeys((word, word[0].upper() + word[1:], word.upper()))),
    *(f"{outer}{separator}{part}" for outer in WITHIN for separator in "._" for part in PARTS),
    *(f"{outer}_{part}".title() for outer in ("enable", "disable") for part in PARTS),
    *(f"{outer}_{part}".upper() for outer in ("enable", "disable") for part in PARTS),
)
FORMS = [form for word in WHOLE for form in (word, word.title(), word.upper())]

detection = Match(
    severity=Severity.HIGH,
    attack=("T1562.001", "T1562.008"),
    where=all_of({"event.code": "CONFIG_CHANGE"}, any_of({SETTING: prefix(*STARTS)}, {SETTING: FORMS})),
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
        event({SETTING: ["login.banner", "audit.enabled"]}),
        event({SETTING: "xpack.security.audit.enabled"}),
        event({SETTING: "root_logger.level"}),
        event({SETTING: "disable_alerts"}),
        event({SETTING: "Disable_Logging"}),
    ],
    quiet=[
        event({SETTING: "theme.colour"}),
        event({SETTING: "login.max_attempts"}),
        event({SETTING: "logout.redirect"}),
        event({SETTING: "logistics.default_carrier"}),
        event({SETTING: "logical_replication.slots"}),
        event({SETTING: "auditorium.capacity"}),
        event({SETTING: "logging.level", "event.code": "ADMIN_ACTION"}),
    ],
)
