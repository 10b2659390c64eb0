"""Password spraying: many accounts tried from one address.

One or two common passwords are tried on many accounts, few enough times each that no account is locked.

Triage: did any of these accounts log in from this address? Reset those first. Look for the same accounts
being tried from other addresses. Block the address.
False positives: an office behind one NAT address on the morning after a password policy changed; a proxy or
load balancer whose own address is logged instead of the client's.
"""

from pipeline.detection import DistinctCount, Severity, burst, hours, minutes

detection = DistinctCount(
    severity=Severity.HIGH,
    attack=("T1110.003",),
    where={"event.code": "LOGIN_FAILURE"},
    group_by="source.address",
    field="user.id",
    at_least=10,
    within=minutes(60),
    suppress_for=hours(4),
    fires=[
        burst(10, vary="user.id"),
        burst(10, vary="user.id", over=minutes(60) - 1),
    ],
    quiet=[
        burst(9, vary="user.id") + burst(20, at=minutes(1), fields={"user.id": "user.id-0"}),
        burst(10, vary="user.id", over=minutes(60)),
        burst(10, vary="user.id", fields={"event.code": "LOGIN_SUCCESS"}),
    ],
)
