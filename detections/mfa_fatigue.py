"""Second factor refused again and again.

At least five failed logins within four hours whose reason is the second factor: the password is known already, and
somebody hopes that its owner will approve a request in annoyance, or guesses the code. Four hours, because the patient
ask four times an hour, and owners hardly err five times in a morning. Looks at a `reason` that begins with `mfa`,
`2fa`, `otp`, `totp` or `second_factor`, such as `mfa_denied`.

Triage: ask the owner. If it was not they, the password is known: reset it, and end what sessions there are. Did one
of the requests succeed?
False positives: a new phone; a clock that is wrong.
"""

from pipeline.detection import Severity, Threshold, burst, hours, prefix

REASON = "event.reason"

detection = Threshold(
    severity=Severity.HIGH,
    attack=("T1621",),
    where={"event.code": "LOGIN_FAILURE", REASON: prefix("mfa", "2fa", "otp", "totp", "second_factor")},
    group_by="user.id",
    at_least=5,
    within=hours(4),
    suppress_for=hours(4),
    fires=[
        burst(5, fields={REASON: "mfa_denied"}),
        burst(5, over=hours(4) - 1, fields={REASON: "totp_wrong"}),
    ],
    quiet=[
        burst(4, fields={REASON: "mfa_denied"}),
        burst(5, over=hours(4), fields={REASON: "otp_wrong"}),
        burst(5, fields={REASON: "invalid_password"}),
        burst(5, fields={REASON: "mfa_denied", "event.code": "LOGIN_SUCCESS"}),
    ],
)
