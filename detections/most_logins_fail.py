"""Most logins to a service fail.

At least fifty logins within ten minutes, of which eighty percent or more failed.

Triage: either somebody is trying stolen passwords on a large scale, or the login itself is broken. Look whether
known users fail too.
False positives: an outage of the identity provider; a wrong release.
"""

from pipeline.detection import Severity, Share, burst, hours, minutes, one_of

FAILED = {"event.code": "LOGIN_FAILURE"}
SUCCEEDED = {"event.code": "LOGIN_SUCCESS"}

detection = Share(
    severity=Severity.MEDIUM,
    attack=("T1110.004",),
    where={"event.code": one_of("LOGIN_FAILURE", "LOGIN_SUCCESS")},
    group_by="service.name",
    of=FAILED,
    percent=80,
    at_least=50,
    within=minutes(10),
    suppress_for=hours(2),
    fires=[
        burst(10, every=100, fields=SUCCEEDED) + burst(40, at=1_000, every=100, fields=FAILED),
        burst(50, over=minutes(10) - 1, fields=FAILED),
    ],
    quiet=[
        burst(49, fields=FAILED),
        burst(50, over=minutes(10), fields=FAILED),
        burst(21, every=100, fields=SUCCEEDED) + burst(79, at=2_100, every=100, fields=FAILED),
        burst(100, every=100, fields=SUCCEEDED),
        burst(40, fields=FAILED) + burst(20, at=minutes(1), fields={"event.code": "LOGOUT"}),
    ],
)
