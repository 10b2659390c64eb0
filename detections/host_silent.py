"""The logs of a host have stopped.

A host whose programs (sshd, sudo, cron: what an authentication log or syslog holds) logged at least 48 lines within a
day, two an hour, has logged none for two hours. service_silent does not see it, because other hosts go on.

Triage: does the host run? Log in by its console: is `siemlite ship` or the syslog daemon stopped, and by whom (`last`,
`journalctl -u siemlite-ship`)? If nobody of yours did it, take the host off the network and keep its disk: an intruder
who stops a log stops it before the act.
False positives: a host that was shut down or taken away; one that is only on by day.
"""

from pipeline.detection import Absence, Severity, burst, days, exists, hours, until

detection = Absence(
    severity=Severity.MEDIUM,
    attack=("T1562.001", "T1562.006"),
    where={"process.name": exists()},
    group_by="host.name",
    within=hours(2),
    at_least=48,
    known_for=days(1),
    suppress_for=hours(12),
    fires=[
        burst(48) + until(hours(2) + 47_000),
        burst(48, over=days(1) - 1) + until(days(1) + hours(2) - 1),
    ],
    quiet=[
        burst(48) + until(hours(2) + 46_999),
        burst(47) + until(hours(3)),
        burst(48, over=days(1)) + until(days(1) + hours(3)),
        burst(48, fields={"process.name": None}) + until(hours(3)),
    ],
)
