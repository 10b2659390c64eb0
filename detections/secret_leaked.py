"""A secret got past redaction.

The second look at what is sent has found something that reads like a secret: event `LEAK_FOUND`, which names its
kind and its place, and never holds it.

Triage: replace the secret at its issuer first: it has been on a disk and on a wire. Then add the key's name to
`SIEMLITE_REDACT_KEYS`, and delete or close the index that holds the event.
False positives: random-looking identifiers that are no secrets; the place that is named tells.
"""

from pipeline.detection import Match, Severity, event, hours

detection = Match(
    severity=Severity.HIGH,
    attack=("T1552",),
    where={"event.code": "LEAK_FOUND"},
    group_by="service.name",
    suppress_for=hours(4),
    fires=[event()],
    quiet=[event({"event.code": "LOG_GAP"})],
)
