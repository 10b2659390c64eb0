"""An account reads far more sensitive data than it used to.

At least a hundred reads within a day, and three times as many as on a day of the four weeks before: so long that a
week of holidays makes no habit new, and that a little more each day shows in the end.

Triage: does the person's work explain it? Are the records of one customer, or of all? One record after another
in rising order is a script.
False positives: an audit; a support case; what is done once a month; a new colleague's first ten working days, and
everybody's after siemlite was set up: until then there is no habit to compare with.
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
    compared_with=days(28),
    suppress_for=hours(24),
    fires=[
        burst(100),
        burst(100, over=hours(24) - 1),
        burst(933, over=days(27)) + burst(100, at=days(28) + hours(1), every=seconds(2)),
        event() + burst(933, at=hours(1), over=days(27)) + burst(100, at=days(29) - seconds(198), every=seconds(2)),
    ],
    quiet=[
        burst(99),
        burst(100, over=hours(24)),
        burst(934, over=days(27)) + burst(100, at=days(28) + hours(1), every=seconds(2)),
        event(at=1) + burst(933, at=hours(1), over=days(27)) + burst(100, at=days(29) - seconds(198), every=seconds(2)),
        burst(100, fields={"event.code": "LOGOUT"}),
    ],
)
