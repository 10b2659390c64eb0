"""Configuration of logging, auditing or alerting changed.

Looks at the words of the metadata `setting` of a CONFIG_CHANGE, such as `logging.level`, `enableAuditLog` or
`SECURITY_LOG_ENABLED`, however they are joined, alone or in a list.

Triage: is there a ticket? What is no longer recorded since, and did something happen in that time? Restore the
setting first and ask second.
False positives: maintenance; a log level that is raised to look for an error. What your settings are called that
this file does not know is added in a copy of it.
"""

import re
from itertools import pairwise

from pipeline.detection import Custom, Severity, Window, event, hours

SETTING = "siemlite.data.setting"
WORDS = frozenset(
    {"log", "logs", "logger", "loggers", "logging", "loglevel", "logfile", "audit", "auditing", "auditd", "auditlog"}
    | {"alert", "alerts", "alerting", "alertmanager", "monitoring", "siem", "siemlite", "syslog", "rsyslog"}
    | {"cloudtrail", "cloudwatch", "splunk", "auditenabled"}
)
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
JOINED = {("cloud", "trail"), ("cloud", "watch")}


def about_logging(window: Window) -> bool:
    """Judge the settings that the latest changes name, word by word."""
    for row in window.latest:
        words = [word.lower() for word in WORD.findall(str(window.value(row, SETTING) or "")[:1000])]
        if not WORDS.isdisjoint(words) or not JOINED.isdisjoint(pairwise(words)):
            return True
    return False


detection = Custom(
    severity=Severity.HIGH,
    attack=("T1562.001", "T1562.008"),
    where={"event.code": "CONFIG_CHANGE"},
    group_by="service.name",
    judge=about_logging,
    fields=(SETTING,),
    suppress_for=hours(4),
    fires=[
        *(
            event({SETTING: setting})
            for setting in (
                "logging.level",
                "audit.enabled",
                "alerting.webhook",
                "monitoring",
                "siemlite.interval",
                "AUDIT_ENABLED",
                "app.logging.level",
                "xpack.security.audit.enabled",
                "root_logger.level",
                "disable_alerts",
                "Disable_Logging",
                "enableAuditLog",
                "logRetentionDays",
                "SECURITY_LOG_ENABLED",
                "access-log",
                "db.audit_trail",
                "spring.logging.level.root",
                "aws.cloudTrail.enabled",
            )
        ),
        event({SETTING: ["login.banner", "audit.enabled"]}),
    ],
    quiet=[
        *(
            event({SETTING: setting})
            for setting in (
                "theme.colour",
                "login.max_attempts",
                "logout.redirect",
                "logistics.default_carrier",
                "logical_replication.slots",
                "auditorium.capacity",
                "catalog.size",
                "dialogTimeout",
            )
        ),
        event({SETTING: "logging.level", "event.code": "ADMIN_ACTION"}),
        event(),
    ],
)
