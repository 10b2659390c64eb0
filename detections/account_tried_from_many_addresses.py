"""One account tried from many addresses.

Names that no account has (`reason` `invalid_user`) are left out: all the world tries them, and nobody gets in.

Triage: is the account an administrator's, or named in a leak? Look for a success among the failures. Ask its
owner to change the password and to turn on a second factor.
False positives: a person on a mobile network or behind rotating proxies with an old password on the phone.
"""

from pipeline.detection import DistinctCount, Severity, burst, hours, minutes, not_

detection = DistinctCount(
    severity=Severity.MEDIUM,
    attack=("T1110.001", "T1110.004"),
    where={"event.code": "LOGIN_FAILURE", "event.reason": not_("invalid_user")},
    group_by="user.id",
    field="source.address",
    at_least=5,
    within=minutes(60),
    suppress_for=hours(24),
    fires=[
        burst(5, vary="source.address"),
        burst(5, vary="source.address", over=minutes(60) - 1),
    ],
    quiet=[
        burst(4, vary="source.address") + burst(3, fields={"source.address": "198.18.0.1"}),
        burst(5, vary="source.address", over=minutes(60)),
        burst(5, vary="source.address", fields={"event.code": "LOGIN_SUCCESS"}),
        burst(5, vary="source.address", fields={"event.reason": "invalid_user"}),
    ],
)
