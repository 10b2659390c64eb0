"""Logins to a service have dropped.

Within an hour at most a tenth of the successful logins that the two hours before let expect, of at least sixty. Two
hours, because no evening comes as suddenly as a fault does.

Triage: is the login page up? Are events of the service missing altogether (service_silent)? A login path that
bypasses the log looks like this too.
False positives: the end of the working day of few people who all stop at once; a service that people log in to in the
morning, once.
"""

from pipeline.detection import Drop, Severity, burst, hours, minutes, until

detection = Drop(
    severity=Severity.LOW,
    attack=("T1562",),
    where={"event.code": "LOGIN_SUCCESS"},
    group_by="service.name",
    at_least=60,
    ratio=0.1,
    within=hours(1),
    compared_with=hours(2),
    suppress_for=hours(12),
    fires=[
        burst(60, over=minutes(59)) + until(hours(1) + minutes(59)),
        burst(60, over=hours(2) - 1) + until(hours(3) - 1),
        burst(61, over=hours(2)) + burst(3, at=hours(2) + minutes(5), every=minutes(5)) + until(hours(3)),
    ],
    quiet=[
        burst(59, over=minutes(59)) + until(hours(3)),
        burst(60, over=minutes(59)) + until(hours(1) + minutes(59) - 1),
        burst(60, over=hours(2)) + until(hours(4)),
        burst(61, over=hours(2)) + burst(30, at=hours(2), every=minutes(15)) + until(hours(3)),
        burst(120, over=hours(3), fields={"event.code": "LOGIN_FAILURE"}) + until(hours(8)),
    ],
)
