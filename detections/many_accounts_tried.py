"""Many accounts of a service tried within an hour, from wherever.

password_spraying looks at one address and credential_stuffing at many in a short time; this one looks at the accounts
alone, so that an attack from a network whose addresses are used once each, as those of an IPv6 network are, is seen.

Triage: what have the addresses in common: a network, a country, a user agent? Is each account tried once or twice?
Look for successes among them (their owners' habits tell which), and slow the login down for what they have in common.
False positives: the login page's own trouble; the first morning after a change of all passwords; a service with
thousands of logins an hour, for which a copy of this file has higher numbers.
"""

from pipeline.detection import DistinctCount, Severity, burst, by_count, hours

detection = DistinctCount(
    severity=by_count({60: Severity.MEDIUM, 300: Severity.HIGH}),
    attack=("T1110.003", "T1110.004"),
    where={"event.code": "LOGIN_FAILURE"},
    group_by="service.name",
    field="user.id",
    at_least=60,
    within=hours(1),
    suppress_for=hours(4),
    fires=[burst(60, vary="user.id"), burst(60, vary="user.id", over=hours(1) - 1)],
    quiet=[
        burst(59, vary="user.id"),
        burst(60, vary="user.id", over=hours(1)),
        burst(60, vary="user.id", fields={"event.code": "LOGOUT"}),
    ],
)
