"""Attempt to gain higher privileges, by nobody known.

privilege_escalation_attempt looks at accounts; who has not logged in has none.

Triage: what was tried, and did anything answer it? Look at everything else that came from the address that hour.
False positives: a vulnerability scanner of your own; a person whose session had ended.
"""

from pipeline.detection import Match, Severity, event, hours, missing

detection = Match(
    severity=Severity.HIGH,
    attack=("T1068", "T1190"),
    where={"event.code": "PRIVILEGE_ESCALATION_ATTEMPT", "user.id": missing()},
    group_by="source.address",
    suppress_for=hours(4),
    fires=[event()],
    quiet=[event({"event.code": "ADMIN_ACTION"}), event({"user.id": "u"})],
)
