"""One account logged in to many hosts by SSH within ten minutes: somebody moves through the network.

Administrators at work come to five hosts in that time.

Triage: ask the account's owner, by another way than the account. Were they rolling something out? If not, the key or
password is in other hands: lock the account, remove its key from every host, and look on each of the hosts, the first
one first, at what was run and which keys were added. From which address did it begin?
False positives: an automation that has no account of its own (one that has is left out of a copy of this file: add
`"user.id": not_(["ansible"])` to `where`); an administrator with a loop.
"""

from pipeline.detection import DistinctCount, Severity, burst, hours, minutes

detection = DistinctCount(
    severity=Severity.MEDIUM,
    attack=("T1021.004", "T1078"),
    where={"event.code": "LOGIN_SUCCESS", "service.name": "sshd"},
    group_by="user.id",
    field="host.name",
    at_least=8,
    within=minutes(10),
    suppress_for=hours(12),
    fires=[
        burst(8, vary="host.name"),
        burst(8, vary="host.name", over=minutes(10) - 1),
    ],
    quiet=[
        burst(7, vary="host.name") + burst(5, at=minutes(1), fields={"host.name": "host.name-0"}),
        burst(8, vary="host.name", over=minutes(10)),
        burst(8, vary="host.name", fields={"event.code": "LOGIN_FAILURE"}),
        burst(8, vary="host.name", fields={"service.name": "portal"}),
    ],
)
