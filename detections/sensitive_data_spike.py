"""An account reads far more sensitive data than it used to.

At least a hundred reads within a day, and three times as many as on a day of the week before.

Triage: does the person's work explain it? Are the records of one customer, or of all? One record after another
in rising order is a script.
False positives: an audit; a support case; what is done once a week; the first days of a new colleague, of everybody
after siemlite was set up, and after a week of holidays.
"""

from pipeline.detection import Severity, Spike, burst, days, event, hours, seconds

detection = Spike(
    severity=Severity.HIGH,
    attack=("T1213",),
    where={"event.code": "SENSITIVE_DATA_ACCESS"},
    group_by="user.id",
    at_least=100,
    ratio=3,
    within=hours(24),
    compared_with=days(7),
    suppress_for=hours(24),
    fires=[
        burst(100),
        burst(100, over=hours(24) - 1),
        burst(233, over=days(6)) + burst(100, at=days(7) + hours(1), every=seconds(2)),
        event() + burst(233, at=hours(1), over=days(6)) + burst(100, at=days(8) - seconds(198), every=seconds(2)),
    ],
    quiet=[
        burst(99),
        burst(100, over=hours(24)),
        burst(234, over=days(6)) + burst(100, at=days(7) + hours(1), every=seconds(2)),
        event(at=1) + burst(233, at=hours(1), over=days(6)) + burst(100, at=days(8) - seconds(198), every=seconds(2)),
        burst(100, fields={"event.code": "LOGOUT"}),
    ],
)
