"""Many API keys created by one account.

Triage: for what, and are they used? An intruder makes spare keys so that revoking one changes nothing. Revoke
those that nobody can explain.
False positives: a rollout that gives each service a key of its own.
"""

from pipeline.detection import Severity, Threshold, burst, hours, minutes

detection = Threshold(
    severity=Severity.MEDIUM,
    attack=("T1098.001",),
    where={"event.code": "API_KEY_CREATED"},
    group_by="user.id",
    at_least=5,
    within=minutes(60),
    suppress_for=hours(4),
    fires=[burst(5), burst(5, over=minutes(60) - 1)],
    quiet=[
        burst(4),
        burst(5, over=minutes(60)),
        burst(5, fields={"event.code": "API_KEY_REVOKED"}),
    ],
)
