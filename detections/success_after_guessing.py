"""Login from an address after it guessed passwords.

At least five failed logins from the address within half an hour, and then one that succeeded, where the failures are
more than twice the accounts that logged in from there: behind an office's one address many log in and few mistype,
who guesses does the reverse.

Triage: treat the account as taken over until its owner confirms the login. End its sessions, reset its
password, look at everything it did since: new keys, changed second factors, exports.
False positives: a person who found the right password at last; a device with an old password at the same address.
"""

from pipeline.detection import Custom, Severity, Window, burst, event, late, minutes

CODE, ACCOUNT = "event.code", "user.id"
FAILED = {CODE: "LOGIN_FAILURE"}
SUCCEEDED = {CODE: "LOGIN_SUCCESS"}


def a_guess_was_right(window: Window) -> bool:
    """Judge an instant with a success: are the failures before it more than twice the accounts that got in?"""
    if not any(window.value(row, CODE) == "LOGIN_SUCCESS" for row in window.latest):
        return False
    failed = sum(row.count for row in window.rows if window.value(row, CODE) != "LOGIN_SUCCESS")
    inside = {window.value(row, ACCOUNT) for row in window.rows if window.value(row, CODE) == "LOGIN_SUCCESS"}
    return failed >= 5 and failed > 2 * len(inside)


detection = Custom(
    severity=Severity.CRITICAL,
    attack=("T1110", "T1078"),
    where={CODE: ["LOGIN_FAILURE", "LOGIN_SUCCESS"]},
    group_by="source.address",
    judge=a_guess_was_right,
    fields=(CODE, ACCOUNT),
    at_least=6,
    within=minutes(30),
    suppress_for=minutes(60),
    inhibits=("brute_force_by_address",),
    fires=[
        burst(5, fields=FAILED) + event(SUCCEEDED, at=minutes(30) - 1),
        event(SUCCEEDED, at=minutes(2)) + late(burst(5, fields=FAILED)),
        burst(5, vary=ACCOUNT, fields=FAILED) + burst(2, vary=ACCOUNT, at=minutes(1), fields=SUCCEEDED),
    ],
    quiet=[
        burst(4, fields=FAILED) + event(SUCCEEDED, at=minutes(1)),
        burst(5, fields=FAILED) + event(SUCCEEDED, at=minutes(30)),
        event(SUCCEEDED) + burst(5, at=minutes(1), fields=FAILED),
        burst(5, fields={CODE: "LOGOUT"}) + event(SUCCEEDED, at=minutes(1)),
        burst(3, vary=ACCOUNT, fields=SUCCEEDED)
        + burst(6, vary=ACCOUNT, at=minutes(1), fields=FAILED)
        + event(SUCCEEDED, at=minutes(2)),
    ],
)
