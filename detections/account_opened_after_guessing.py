"""Login to an account after its password was guessed at.

At least ten failed logins to the account, from two addresses or more, and then one that succeeded. Guessing from one
address is found by success_after_guessing.

Triage: was the success from an address that the account is known by? Then it is likely its owner. If not, treat
the account as taken over: end its sessions, reset its password, look at what it did since.
False positives: a person who forgot a password and remembered it; a phone on a mobile network that still sends the
old one.
"""

from pipeline.detection import Custom, Severity, Window, burst, event, hours, minutes

CODE, ADDRESS = "event.code", "source.address"
FAILED = {CODE: "LOGIN_FAILURE"}
SUCCEEDED = {CODE: "LOGIN_SUCCESS"}


def opened(window: Window) -> bool:
    """Judge an instant with a success: ten failures before it, from two addresses."""
    if not any(window.value(row, CODE) == "LOGIN_SUCCESS" for row in window.latest):
        return False
    failed = [row for row in window.rows if window.value(row, CODE) != "LOGIN_SUCCESS"]
    return sum(row.count for row in failed) >= 10 and len({window.value(row, ADDRESS) for row in failed}) > 1


detection = Custom(
    severity=Severity.HIGH,
    attack=("T1110", "T1078"),
    where={CODE: ["LOGIN_FAILURE", "LOGIN_SUCCESS"]},
    group_by="user.id",
    judge=opened,
    fields=(CODE, ADDRESS),
    at_least=11,
    within=hours(1),
    suppress_for=hours(2),
    fires=[burst(10, vary=ADDRESS, fields=FAILED) + event(SUCCEEDED, at=hours(1) - 1)],
    quiet=[
        burst(9, vary=ADDRESS, fields=FAILED) + event(SUCCEEDED, at=minutes(1)),
        burst(10, vary=ADDRESS, fields=FAILED) + event(SUCCEEDED, at=hours(1)),
        burst(10, fields=FAILED) + event(SUCCEEDED, at=minutes(1)),
        burst(10, vary=ADDRESS, fields={CODE: "LOGOUT"}) + event(SUCCEEDED, at=minutes(1)),
        event(SUCCEEDED) + burst(10, vary=ADDRESS, at=minutes(1), fields=FAILED),
    ],
)
