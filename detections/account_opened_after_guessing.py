"""Login to an account after its password was guessed at.

At least ten failed logins to the account from anywhere, and then one that succeeded.

Triage: was the success from an address that the account is known by? Then it is likely its owner. If not, treat
the account as taken over: end its sessions, reset its password, look at what it did since.
False positives: a person who forgot a password and remembered it; a phone that still sends the old password while its
owner logs in elsewhere.
"""

from pipeline.detection import Sequence, Severity, burst, event, hours, minutes, stage

FAILED = {"event.code": "LOGIN_FAILURE"}
SUCCEEDED = {"event.code": "LOGIN_SUCCESS"}

detection = Sequence(
    severity=Severity.MEDIUM,
    attack=("T1110", "T1078"),
    group_by="user.id",
    stages=(stage(FAILED, 10), stage(SUCCEEDED)),
    within=hours(1),
    suppress_for=hours(2),
    fires=[
        burst(10, vary="source.address", fields=FAILED) + event(SUCCEEDED, at=hours(1) - 1),
    ],
    quiet=[
        burst(9, fields=FAILED) + event(SUCCEEDED, at=minutes(1)),
        burst(10, fields=FAILED) + event(SUCCEEDED, at=hours(1)),
        burst(10, fields=FAILED) + event({"event.code": "LOGOUT"}, at=minutes(1)),
        event(SUCCEEDED) + burst(10, at=minutes(1), fields=FAILED),
    ],
)
