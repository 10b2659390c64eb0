"""Password resets asked for many accounts from one address.

Triage: are the accounts real? Then names are being collected or inboxes flooded. Do the answers of the reset
page tell whether an account exists? Limit the page's rate.
False positives: a help desk that resets for others; a migration that asks everybody to choose a new password.
"""

from pipeline.detection import DistinctCount, Severity, burst, hours, minutes

detection = DistinctCount(
    severity=Severity.MEDIUM,
    attack=("T1589.001", "T1110"),
    where={"event.code": "PASSWORD_RESET_REQUEST"},
    group_by="source.address",
    field="user.id",
    at_least=8,
    within=minutes(15),
    suppress_for=hours(2),
    fires=[
        burst(8, vary="user.id"),
        burst(8, vary="user.id", over=minutes(15) - 1),
    ],
    quiet=[
        burst(7, vary="user.id") + burst(2, fields={"user.id": "user.id-0"}),
        burst(8, vary="user.id", over=minutes(15)),
        burst(8, vary="user.id", fields={"event.code": "PASSWORD_CHANGE"}),
    ],
)
