"""Attempt to gain higher privileges.

An application or sudo refused an action that its user has no right to, and took it for an attempt to gain it.

Triage: what was tried, and is it part of the user's work? Look at what the account did in the hour before: a
new address, a new session, refused accesses?
False positives: a person who moved teams and lost a role; a script that runs under the wrong account.
"""

from pipeline.detection import Match, Severity, event, hours

detection = Match(
    severity=Severity.HIGH,
    attack=("T1068", "T1548"),
    where={"event.code": "PRIVILEGE_ESCALATION_ATTEMPT"},
    group_by="user.id",
    suppress_for=hours(4),
    fires=[event()],
    quiet=[event({"event.code": "ADMIN_ACTION"})],
)
