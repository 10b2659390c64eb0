"""Second factor switched off after failed logins.

Failed logins, then a success, then the second factor of the same account switched off: what an intruder does
to come back.

Triage: ask the account's owner by another way than the account. If it was not they: end all sessions, reset
password and second factor, look for new API keys and changed addresses.
False positives: a person who lost a phone, guessed at the password and then changed the second factor.
"""

from pipeline.detection import Sequence, Severity, burst, event, hours, minutes, stage

FAILED = {"event.code": "LOGIN_FAILURE"}
SUCCEEDED = {"event.code": "LOGIN_SUCCESS"}
DISABLED = {"event.code": "MFA_DISABLED"}

detection = Sequence(
    severity=Severity.CRITICAL,
    attack=("T1556.006", "T1110"),
    group_by="user.id",
    stages=(stage(FAILED, 3), stage(SUCCEEDED), stage(DISABLED)),
    within=hours(1),
    suppress_for=hours(4),
    fires=[
        burst(3, fields=FAILED) + event(SUCCEEDED, at=minutes(5)) + event(DISABLED, at=hours(1) - 1),
    ],
    quiet=[
        burst(2, fields=FAILED) + event(SUCCEEDED, at=minutes(5)) + event(DISABLED, at=minutes(6)),
        burst(3, fields=FAILED) + event(SUCCEEDED, at=minutes(5)) + event(DISABLED, at=hours(1)),
        burst(3, fields=FAILED) + event(DISABLED, at=minutes(5)) + event(SUCCEEDED, at=minutes(6)),
        burst(3, fields=FAILED) + event(DISABLED, at=minutes(5)),
        burst(3, fields=FAILED) + event(SUCCEEDED, at=minutes(5)),
        burst(3, fields=FAILED) + event(SUCCEEDED, at=minutes(5)) + event({"event.code": "LOGOUT"}, at=minutes(6)),
    ],
)
