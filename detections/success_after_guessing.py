"""Login from an address after it guessed passwords.

At least five failed logins from the address, and then one that succeeded: a guess was right, or the address is
shared.

Triage: treat the account as taken over until its owner confirms the login. End its sessions, reset its
password, look at everything it did since: new keys, changed second factors, exports.
False positives: an office behind one NAT address; a person who found the right password at last.
"""

from pipeline.detection import Sequence, Severity, burst, event, late, minutes, stage

FAILED = {"event.code": "LOGIN_FAILURE"}
SUCCEEDED = {"event.code": "LOGIN_SUCCESS"}

detection = Sequence(
    severity=Severity.CRITICAL,
    attack=("T1110", "T1078"),
    group_by="source.address",
    stages=(stage(FAILED, 5), stage(SUCCEEDED)),
    within=minutes(30),
    suppress_for=minutes(60),
    inhibits=("brute_force_by_address",),
    fires=[
        burst(5, fields=FAILED) + event(SUCCEEDED, at=minutes(30) - 1),
        event(SUCCEEDED, at=minutes(2)) + late(burst(5, fields=FAILED)),
    ],
    quiet=[
        burst(4, fields=FAILED) + event(SUCCEEDED, at=minutes(1)),
        burst(5, fields=FAILED) + event(SUCCEEDED, at=minutes(30)),
        event(SUCCEEDED) + burst(5, at=minutes(1), fields=FAILED),
    ],
)
