"""A session's browser changed: a stolen session.

The same session comes with another user agent than before, or with none. A browser does not change within a
session. A session's id is a secret and is redacted: give a keyed hash of it as `session_hash`, which is kept as
`session.id`.

Triage: end the session. Compare address and country before and after; look for malware on the owner's device, or
for a link that gave the cookie away.
Events without an address are the server's own and are left out.
False positives: a browser that updated itself; a switch between the mobile and the desktop view.
"""

from pipeline.detection import Custom, Severity, Window, event, exists, hours, minutes, not_

AGENT = "user_agent.original"
FIREFOX = {AGENT: "Mozilla/5.0 Firefox/140.0"}
CURL = {AGENT: "curl/8.9.1"}
NONE = {AGENT: None}


def another_browser(window: Window) -> bool:
    """Judge the latest events by the ones before: a request without a user agent is another browser's."""
    latest = {window.value(row, AGENT) for row in window.latest}
    before = [row for row in window.rows if row.time_ms < window.time_ms]
    return len(latest) > 1 or bool(before and latest != {window.value(before[-1], AGENT)})


detection = Custom(
    severity=Severity.HIGH,
    attack=("T1539", "T1550.004"),
    where={"session.id": not_("[REDACTED]"), "source.address": exists()},
    group_by="session.id",
    judge=another_browser,
    fields=(AGENT,),
    at_least=2,
    within=hours(12),
    suppress_for=hours(12),
    fires=[
        event(FIREFOX) + event(CURL, at=minutes(1)),
        event(FIREFOX) + event(NONE, at=minutes(1)),
        event(FIREFOX) + event(CURL, at=hours(12) - 1),
    ],
    quiet=[
        event(FIREFOX) + event(FIREFOX, at=minutes(1)),
        event(FIREFOX) + event(CURL, at=hours(12)),
        event(FIREFOX) + event({**NONE, "source.address": None}, at=minutes(1)),
        event(FIREFOX) + event({**CURL, "session.id": "another"}, at=minutes(1)),
        event({**FIREFOX, "session.id": "[REDACTED]"}) + event({**CURL, "session.id": "[REDACTED]"}, at=minutes(1)),
    ],
)
