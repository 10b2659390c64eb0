"""Brute-force login from one address.

Triage: did a login from this address succeed afterwards? Then treat the account as taken over: end its
sessions, reset its password, look at what it did since. Otherwise block or slow down the address.
False positives: an office behind one NAT address; a service account whose password expired; a monitoring
probe with an old password.
"""

from pipeline.detection import Severity, Threshold, burst, late, minutes

detection = Threshold(
    severity=Severity.HIGH,
    attack=("T1110.001",),
    where={"event.code": "LOGIN_FAILURE"},
    group_by="source.address",
    at_least=5,
    within=minutes(15),
    suppress_for=minutes(60),
    fires=[
        burst(5),
        burst(5, over=minutes(15) - 1),
        burst(2) + late(burst(3, at=minutes(1))),
    ],
    quiet=[
        burst(4),
        burst(5, over=minutes(15)),
        burst(4) + burst(1, fields={"event.code": "LOGIN_SUCCESS"}),
    ],
)
