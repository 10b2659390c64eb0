"""Configuration of logging, auditing or alerting changed.

Looks at the words of the metadata `setting` of a CONFIG_CHANGE, which the alert names, such as `logging.level`,
`enableAuditLog` or `SECURITY_LOG_ENABLED`, however they are joined, alone or in a list.

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
    {"log", "logs", "logger", "loggers", "logging", "logfile", "audit", "auditing", "auditd", "auditenabled"}
    | {"alert", "alerts", "alerting", "alertmanager", "monitoring", "siem", "siemlite", "splunk"}
)
BEGINNINGS = ("auditlog", "cloudtrail", "cloudwatch", "loglevel", "logstash", "rsyslog", "syslog")
SESSION = frozenset({"in", "out", "on", "off"})
"""What follows `log` where people log in and out."""

SEGMENT = re.compile(r"[A-Za-z]+")
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
JOINED = {("cloud", "trail"), ("cloud", "watch")}


def is_about_logging(setting: str) -> bool:
    """Look at a setting's name word by word, however they are joined."""
    for segment in SEGMENT.findall(setting):
        words = [word.lower() for word in WORD.findall(segment)]
        pairs = list(pairwise(words))
        if segment.lower().startswith(BEGINNINGS) or segment.lower() in WORDS or not JOINED.isdisjoint(pairs):
            return True
        if any(word in WORDS and not (word == "log" and after in SESSION) for word, after in pairwise([*words, ""])):
            return True
    return False


def about_logging(window: Window) -> bool:
    """Judge the settings that the latest changes name."""
    return any(is_about_logging(str(window.value(row, SETTING) or "")) for row in window.latest)


detection = Custom(
    severity=Severity.HIGH,
    attack=("T1562.001", "T1562.008"),
    where={"event.code": "CONFIG_CHANGE"},
    group_by=("service.name", SETTING),
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
                "AUDITlog",
                "logstash.host",
                "rsyslogd.conf",
            )
        ),
        event({SETTING: ["login.banner", "audit.enabled"]}),
        event({SETTING: "theme.colour=blue, " * 100 + "audit.enabled=false"}),
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
                "logInTimeout",
                "logOutRedirectUrl",
            )
        ),
        event({SETTING: "logging.level", "event.code": "ADMIN_ACTION"}),
    ],
)
