"""Password resets asked for one account again and again.

Triage: does the owner ask? If not, somebody wants them to click in annoyance, or reads the mail already. Look at
where the requests come from and whether one of them was used.
False positives: mails that arrive late, so that a person asks again.
"""

from pipeline.detection import Severity, Threshold, burst, hours, minutes

detection = Threshold(
    severity=Severity.LOW,
    attack=("T1589.001",),
    where={"event.code": "PASSWORD_RESET_REQUEST"},
    group_by="user.id",
    at_least=5,
    within=minutes(30),
    suppress_for=hours(4),
    fires=[burst(5), burst(5, over=minutes(30) - 1)],
    quiet=[
        burst(4),
        burst(5, over=minutes(30)),
        burst(5, fields={"event.code": "PASSWORD_CHANGE"}),
    ],
)
