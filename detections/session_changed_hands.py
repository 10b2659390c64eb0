"""A session's browser changed: a stolen session.

The same session comes with another user agent than before. A browser does not change within a session but for the
numbers of its versions, which are not looked at: after each release of a browser everybody's would change. A session's
id is a secret and is redacted: give a keyed hash of it as `session_hash`, which is kept as `session.id`.

Triage: end the session. Compare address and country before and after; look for malware on the owner's device, or
for a link that gave the cookie away.
Not seen: a thief whose program sends no user agent at all, or has the same browser on the same system; the address of
each event tells.
False positives: a switch between the mobile and the desktop view; an application and the browser that it opens, where
they share a session.
"""

from pipeline.detection import Change, Severity, event, hours, minutes, not_

FIREFOX = {"user_agent.original": "Mozilla/5.0 Firefox/140.0"}
UPDATED = {"user_agent.original": "Mozilla/5.0 Firefox/141.0.2"}
CURL = {"user_agent.original": "curl/8.9.1"}

detection = Change(
    severity=Severity.HIGH,
    attack=("T1539", "T1550.004"),
    where={"session.id": not_("[REDACTED]")},
    group_by="session.id",
    field="user_agent.original",
    within=hours(12),
    ignoring="[0-9._]",
    suppress_for=hours(12),
    fires=[
        event(FIREFOX) + event(CURL, at=minutes(1)),
        event(FIREFOX) + event(CURL, at=hours(12) - 1),
    ],
    quiet=[
        event(FIREFOX) + event(FIREFOX, at=minutes(1)),
        event(FIREFOX) + event(UPDATED, at=minutes(1)),
        event(FIREFOX) + event(CURL, at=hours(12)),
        event(FIREFOX) + event({**CURL, "session.id": "another"}, at=minutes(1)),
        event({**FIREFOX, "session.id": "[REDACTED]"}) + event({**CURL, "session.id": "[REDACTED]"}, at=minutes(1)),
    ],
)
