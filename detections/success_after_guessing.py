"""Login from an address after it guessed passwords.

At least five failed logins from the address within half an hour, and then one that succeeded, where at least half
of its logins failed: behind an office's one address, on a Monday morning, a third of them do. Critical from ten on: a
person who forgot a password fails five times and then remembers it, every day where many log in, and that is worth
nobody's night.

Triage: treat the account as taken over until its owner confirms the login. End its sessions, reset its
password, look at everything it did since: new keys, changed second factors, exports.
False positives: a person who found the right password at last; a device with an old password at the same address.
"""

from pipeline.detection import Severity, Share, burst, by_count, event, late, minutes

CODE = "event.code"
FAILED = {CODE: "LOGIN_FAILURE"}
SUCCEEDED = {CODE: "LOGIN_SUCCESS"}

detection = Share(
    severity=by_count({5: Severity.HIGH, 10: Severity.CRITICAL}),
    attack=("T1110", "T1078"),
    where={CODE: ["LOGIN_FAILURE", "LOGIN_SUCCESS"]},
    group_by="source.address",
    of=FAILED,
    of_at_least=5,
    percent=50,
    at=SUCCEEDED,
    within=minutes(30),
    suppress_for=minutes(60),
    inhibits=("brute_force_by_address",),
    fires=[
        burst(5, fields=FAILED) + event(SUCCEEDED, at=minutes(30) - 1),
        burst(5, fields=FAILED) + burst(20, at=minutes(1), fields={CODE: "LOGOUT"}) + event(SUCCEEDED, at=minutes(2)),
        event(SUCCEEDED, at=minutes(2)) + late(burst(5, fields=FAILED)),
        burst(49, fields=SUCCEEDED) + burst(50, at=minutes(1), fields=FAILED) + event(SUCCEEDED, at=minutes(2)),
    ],
    quiet=[
        burst(4, fields=FAILED) + event(SUCCEEDED, at=minutes(1)),
        burst(5, fields=FAILED) + event(SUCCEEDED, at=minutes(30)),
        event(SUCCEEDED) + burst(5, at=minutes(1), fields=FAILED),
        burst(5, fields={CODE: "LOGOUT"}) + event(SUCCEEDED, at=minutes(1)),
        burst(50, fields=SUCCEEDED) + burst(49, at=minutes(1), fields=FAILED) + event(SUCCEEDED, at=minutes(2)),
    ],
)
