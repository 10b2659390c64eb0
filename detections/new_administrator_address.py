"""Administration from an address that the account has not been used to administer from.

Of an account that has not administered for sixty days nothing is known, and its next address is taken for its own.

Triage: is the address the company's, or the administrator's home? What was done from it? Administration from an
unknown address is worth a call to the person.
False positives: dynamic addresses at home; journeys; a new VPN gateway.
"""

from pipeline.detection import NewValue, Severity, days, event, hours

KNOWN = {"source.address": "198.51.100.1"}
OTHER = {"source.address": "203.0.113.9"}

detection = NewValue(
    severity=Severity.MEDIUM,
    attack=("T1078", "T1098"),
    where={"event.code": "ADMIN_ACTION"},
    group_by="user.id",
    fields="source.address",
    over=days(60),
    suppress_for=hours(24),
    fires=[
        event(KNOWN) + event(OTHER, at=hours(8)),
        event(OTHER) + event(KNOWN) + event(KNOWN, at=days(30)) + event(OTHER, at=days(60)),
    ],
    quiet=[
        event(OTHER),
        event(OTHER) + event(KNOWN) + event(KNOWN, at=days(30)) + event(OTHER, at=days(60) - 1),
        event(KNOWN) + event({**OTHER, "event.code": "LOGIN_SUCCESS"}, at=hours(1)),
    ],
)
