"""An account exports far more often than it used to.

At least five exports within an hour, and ten times as many as the week before let expect.

Triage: what was exported, to where? Is the person leaving, or the account not in its owner's hands? Compare with
the logins of the day.
False positives: a migration; the end of a quarter; a new task.
"""

from pipeline.detection import Severity, Spike, burst, days, hours, minutes

detection = Spike(
    severity=Severity.HIGH,
    attack=("T1213", "T1567"),
    where={"event.code": "BULK_DATA_EXPORT"},
    group_by="user.id",
    at_least=5,
    ratio=10,
    within=hours(1),
    compared_with=days(7),
    suppress_for=hours(4),
    fires=[
        burst(5),
        burst(5, over=hours(1) - 1),
        burst(84, over=days(6)) + burst(5, at=days(6) + hours(2), every=minutes(1)),
    ],
    quiet=[
        burst(4),
        burst(5, over=hours(1)),
        burst(85, over=days(6)) + burst(5, at=days(6) + hours(2), every=minutes(1)),
        burst(100, over=days(6)) + burst(9, at=days(6) + hours(2), every=minutes(1), fields={"event.code": "LOGOUT"}),
        burst(5, fields={"event.code": "LOGOUT"}),
    ],
)
