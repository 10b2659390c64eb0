"""Second factors switched off one after another by one account.

At least five within an hour: of one account after another by a help desk's account that is in other hands, or of one
account again and again. Whom each concerned belongs in `user.target.id`.

Triage: is there a ticket for each? If not, lock the account that did it, and turn the second factors on again. Look
for logins to the accounts concerned since.
False positives: a change of the product that makes second factors.
"""

from pipeline.detection import Severity, Threshold, burst, by_count, hours

detection = Threshold(
    severity=by_count({5: Severity.HIGH, 20: Severity.CRITICAL}),
    attack=("T1556.006",),
    where={"event.code": "MFA_DISABLED"},
    group_by="user.id",
    at_least=5,
    within=hours(1),
    suppress_for=hours(4),
    fires=[burst(5), burst(5, over=hours(1) - 1)],
    quiet=[burst(4), burst(5, over=hours(1)), burst(5, fields={"event.code": "MFA_ENABLED"})],
)
