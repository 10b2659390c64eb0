"""One account logged in from many addresses within an hour.

Ten, because a phone on a train and a computer with IPv6 come to seven or eight.

Triage: is it a person or a service account? Is the account shared, sold, or taken over? The sessions' user
agents tell whether they are the same device.
False positives: mobile networks that change address; an office with many exits; monitoring probes.
"""

from pipeline.detection import DistinctCount, Severity, burst, hours, minutes

detection = DistinctCount(
    severity=Severity.LOW,
    attack=("T1078",),
    where={"event.code": "LOGIN_SUCCESS"},
    group_by="user.id",
    field="source.address",
    at_least=10,
    within=minutes(60),
    suppress_for=hours(12),
    fires=[
        burst(10, vary="source.address"),
        burst(10, vary="source.address", over=minutes(60) - 1),
    ],
    quiet=[
        burst(9, vary="source.address") + burst(5, fields={"source.address": "198.18.0.1"}),
        burst(10, vary="source.address", over=minutes(60)),
        burst(10, vary="source.address", fields={"event.code": "LOGIN_FAILURE"}),
    ],
)
