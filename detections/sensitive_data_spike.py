"""An account reads far more sensitive data than it used to.

At least fifty reads within an hour, and ten times as many as the week before let expect.

Triage: does the person's work explain it? Are the records of one customer, or of all? One record after another
in rising order is a script.
False positives: an audit; a support case; a new colleague's first week.
"""

from pipeline.detection import Severity, Spike, burst, days, hours, seconds

detection = Spike(
    severity=Severity.HIGH,
    attack=("T1213",),
    where={"event.code": "SENSITIVE_DATA_ACCESS"},
    group_by="user.id",
    at_least=50,
    ratio=10,
    within=hours(1),
    compared_with=days(7),
    suppress_for=hours(4),
    fires=[
        burst(50),
        burst(50, over=hours(1) - 1),
        burst(840, over=days(6)) + burst(50, at=days(6) + hours(2), every=seconds(2)),
    ],
    quiet=[
        burst(49),
        burst(50, over=hours(1)),
        burst(850, over=days(6)) + burst(50, at=days(6) + hours(2), every=seconds(2)),
        burst(50, fields={"event.code": "LOGOUT"}),
    ],
)
