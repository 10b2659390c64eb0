"""Logging of a service has gone silent.

A service that sent at least fifty events within an hour has sent none for thirty minutes. Programs of an
authentication log that only speak when they are used are left out; of a host's own silence host_silent tells.

Triage: is the service up? Is its shipper (`siemlite status` on its host), and the way to Elasticsearch? An
intruder who stops a log stops it before the act, not after.
False positives: a service that nobody uses at night; a planned stop; a batch that logs much and then ends, which a
copy of this file with its `service.name` in NOW_AND_THEN leaves out.
"""

from pipeline.detection import Absence, Severity, burst, hours, minutes, not_, until

NOW_AND_THEN = [
    "CRON",
    "cron",
    "crond",
    "su",
    "sudo",
    "login",
    "sshd",
    "passwd",
    "useradd",
    "usermod",
    "systemd-logind",
]

detection = Absence(
    severity=Severity.MEDIUM,
    attack=("T1562",),
    where={"service.name": not_(NOW_AND_THEN)},
    group_by="service.name",
    within=minutes(30),
    at_least=50,
    known_for=hours(1),
    suppress_for=hours(6),
    fires=[
        burst(50) + until(minutes(30) + 49_000),
        burst(50, over=hours(1) - 1) + until(hours(1) + minutes(30) - 1),
    ],
    quiet=[
        burst(50) + until(minutes(30) + 48_999),
        burst(49) + until(hours(2)),
        burst(50, over=hours(1)) + until(hours(3)),
        burst(60, every=minutes(30)) + until(hours(29)),
        burst(60, fields={"service.name": "CRON"}) + until(hours(2)),
        burst(60, fields={"service.name": "sshd"}) + until(hours(2)),
    ],
)
