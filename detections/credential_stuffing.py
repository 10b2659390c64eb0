"""Credential stuffing: failed logins to one service from many addresses.

Leaked pairs of names and passwords are tried through a botnet, one or two from each address, so that no
address and no account stands out. How many addresses fail decides how severe it is: a service that is used much
sees some all the time.

Triage: which addresses logged in successfully in the same minutes? Reset those accounts first. Turn on a
challenge or a rate limit for the whole service rather than blocking addresses one by one.
False positives: the login page's own outage, which makes everybody fail; a password policy that changed; on a busy
service people who mistype, three a minute being thirty addresses: raise the levels above what is usual there.
"""

from pipeline.detection import DistinctCount, Severity, burst, by_count, hours, minutes

detection = DistinctCount(
    severity=by_count({30: Severity.MEDIUM, 150: Severity.HIGH, 1_000: Severity.CRITICAL}),
    attack=("T1110.004",),
    where={"event.code": "LOGIN_FAILURE"},
    group_by="service.name",
    field="source.address",
    at_least=30,
    within=minutes(10),
    suppress_for=hours(2),
    fires=[
        burst(30, vary="source.address"),
        burst(30, vary="source.address", over=minutes(10) - 1),
    ],
    quiet=[
        burst(29, vary="source.address"),
        burst(30, vary="source.address", over=minutes(10)),
        burst(200, every=10, fields={"source.address": "198.51.100.1"}),
        burst(30, vary="source.address", fields={"event.code": "LOGIN_SUCCESS"}),
    ],
)
