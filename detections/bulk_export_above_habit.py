"""An account exports far more often than it used to.

At least ten exports within a day, and three times as many as on a day of the week before.

Triage: what was exported, to where? Is the person leaving, or the account not in its owner's hands? Compare with
the logins of the day.
False positives: a migration; the end of a quarter; a new task; what is done once a week; the first days after siemlite
was set up, and after a week of holidays.
"""

from pipeline.detection import Severity, Spike, burst, days, event, hours, minutes

detection = Spike(
    severity=Severity.HIGH,
    attack=("T1213", "T1567"),
    where={"event.code": "BULK_DATA_EXPORT"},
    group_by="user.id",
    at_least=10,
    ratio=3,
    within=hours(24),
    compared_with=days(7),
    suppress_for=hours(24),
    fires=[
        burst(10),
        burst(10, over=hours(24) - 1),
        burst(23, over=days(6)) + burst(10, at=days(7) + hours(1), every=minutes(1)),
        event() + burst(23, at=hours(1), over=days(6)) + burst(10, at=days(8) - minutes(9), every=minutes(1)),
    ],
    quiet=[
        burst(9),
        burst(10, over=hours(24)),
        burst(24, over=days(6)) + burst(10, at=days(7) + hours(1), every=minutes(1)),
        burst(23, over=days(6)) + burst(10, at=days(7) + hours(1), fields={"event.code": "LOGOUT"}),
        event(at=1) + burst(23, at=hours(1), over=days(6)) + burst(10, at=days(8) - minutes(9), every=minutes(1)),
        burst(10, fields={"event.code": "LOGOUT"}),
    ],
)
