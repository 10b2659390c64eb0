"""Many accesses refused to one account: object enumeration.

Somebody goes through numbers or names to find what the application forgets to protect.

Triage: do the refused objects follow one another? Then look for those that were *not* refused in the same
minutes: they are the finding. Tell the developers which object lacks its check.
False positives: a page that asks for parts that its reader may not see; a client with an expired token.
"""

from pipeline.detection import Severity, Threshold, burst, by_count, hours, minutes

detection = Threshold(
    severity=by_count({20: Severity.MEDIUM, 200: Severity.HIGH}),
    attack=("T1087", "T1213"),
    where={"event.code": "ACCESS_DENIED"},
    group_by="user.id",
    at_least=20,
    within=minutes(10),
    suppress_for=hours(1),
    fires=[burst(20), burst(20, over=minutes(10) - 1)],
    quiet=[
        burst(19),
        burst(20, over=minutes(10)),
        burst(20, fields={"event.code": "SENSITIVE_DATA_ACCESS"}),
    ],
)
