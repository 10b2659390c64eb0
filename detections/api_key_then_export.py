"""API key created and then data exported in bulk by the same account.

Triage: was the export made with the new key? Where did it go? A key made for an export that nobody ordered is
how data leaves: revoke it, then ask.
False positives: an integration that is being set up.
"""

from pipeline.detection import Sequence, Severity, event, hours, stage

CREATED = {"event.code": "API_KEY_CREATED"}
EXPORTED = {"event.code": "BULK_DATA_EXPORT"}

detection = Sequence(
    severity=Severity.HIGH,
    attack=("T1098.001", "T1567"),
    group_by="user.id",
    stages=(stage(CREATED), stage(EXPORTED)),
    within=hours(24),
    suppress_for=hours(24),
    fires=[event(CREATED) + event(EXPORTED, at=hours(24) - 1)],
    quiet=[
        event(CREATED) + event(EXPORTED, at=hours(24)),
        event(EXPORTED) + event(CREATED, at=hours(1)),
        event(CREATED) + event({"event.code": "LOGOUT"}, at=hours(1)),
    ],
)
