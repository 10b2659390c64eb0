"""Slow guessing at one account.

At least fifty failed logins to the account within a day, however far apart: brute_force_by_account looks at minutes.
Names that no account has (`reason` `invalid_user`) are left out.

Triage: from which addresses, and is one of them the owner's? Even intervals are a program's. Did one succeed?
False positives: a device that still sends an old password.
"""

from pipeline.detection import Severity, Threshold, burst, hours, not_

detection = Threshold(
    severity=Severity.LOW,
    attack=("T1110.001",),
    where={"event.code": "LOGIN_FAILURE", "event.reason": not_("invalid_user")},
    group_by="user.id",
    at_least=50,
    within=hours(24),
    suppress_for=hours(24),
    fires=[burst(50), burst(50, over=hours(24) - 1)],
    quiet=[
        burst(49),
        burst(50, over=hours(24)),
        burst(50, fields={"event.code": "LOGOUT"}),
        burst(50, fields={"event.reason": "invalid_user"}),
    ],
)
