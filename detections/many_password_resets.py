"""Password resets asked for many accounts of a service within an hour, from wherever.

password_reset_flood looks at one address; this one sees who asks through many.

Triage: are the accounts real? Then names are being collected, inboxes flooded, or mail that is read already awaited.
What have the addresses in common: a network, a country, a user agent? Limit the rate of the page as a whole, and look
for resets among them that were used (PASSWORD_CHANGE).
False positives: a migration or a mailing that asks everybody to choose a new password; a service with very many users,
for which a copy of this file has a higher number.
"""

from pipeline.detection import DistinctCount, Severity, burst, hours

detection = DistinctCount(
    severity=Severity.MEDIUM,
    attack=("T1589.001", "T1110"),
    where={"event.code": "PASSWORD_RESET_REQUEST"},
    group_by="service.name",
    field="user.id",
    at_least=60,
    within=hours(1),
    suppress_for=hours(4),
    fires=[burst(60, vary="user.id"), burst(60, vary="user.id", over=hours(1) - 1)],
    quiet=[
        burst(59, vary="user.id"),
        burst(60, vary="user.id", over=hours(1)),
        burst(60, vary="user.id", fields={"event.code": "PASSWORD_CHANGE"}),
    ],
)
