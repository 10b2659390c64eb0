"""Slow guessing from one address.

At least fifty failed logins from the address within a day, and hardly a success among them, however far apart:
brute_force_by_address, password_spraying and suspicious_address look at minutes and hours. Behind an office's one
address more logins succeed than fail.

Triage: one account or many? Many mean spraying: look whether one of them logged in from this address, and reset its
password. Block the address where nobody of yours is behind it.
False positives: a device or a service account that still sends an old password.
"""

from pipeline.detection import Severity, Share, burst, hours, minutes

FAILED = {"event.code": "LOGIN_FAILURE"}
SUCCEEDED = {"event.code": "LOGIN_SUCCESS"}

detection = Share(
    severity=Severity.LOW,
    attack=("T1110.001", "T1110.003"),
    where={"event.code": ["LOGIN_FAILURE", "LOGIN_SUCCESS"]},
    group_by="source.address",
    of=FAILED,
    of_at_least=50,
    percent=90,
    within=hours(24),
    suppress_for=hours(24),
    fires=[
        burst(50, fields=FAILED),
        burst(50, over=hours(24) - 1, fields=FAILED),
        burst(6, fields=SUCCEEDED) + burst(54, at=minutes(1), fields=FAILED),
        burst(9, fields={"event.code": "LOGOUT"}) + burst(50, at=minutes(1), fields=FAILED),
    ],
    quiet=[
        burst(49, fields=FAILED),
        burst(50, over=hours(24), fields=FAILED),
        burst(6, fields=SUCCEEDED) + burst(50, at=minutes(1), fields=FAILED),
        burst(50, fields=SUCCEEDED),
    ],
)
