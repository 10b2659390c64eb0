"""Credential stuffing: failed logins to one service from many addresses.

Leaked pairs of names and passwords are tried through a botnet, one or two from each address, so that no
address and no account stands out.

Triage: which addresses logged in successfully in the same minutes? Reset those accounts first. Turn on a
challenge or a rate limit for the whole service rather than blocking addresses one by one.
False positives: the login page's own outage, which makes everybody fail; a password policy that changed.
"""

from pipeline.detection import DistinctCount, Severity, burst, hours, minutes

detection = DistinctCount(
    severity=Severity.HIGH,
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
