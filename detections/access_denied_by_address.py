"""Many accesses refused to one address: a scanner at work.

Triage: is it a scan of your own, announced? If not, block the address, and look at what it was *not* refused.
False positives: a crawler; an office behind one NAT address and a broken page.
"""

from pipeline.detection import Severity, Threshold, burst, hours, minutes

detection = Threshold(
    severity=Severity.MEDIUM,
    attack=("T1595.002", "T1190"),
    where={"event.code": "ACCESS_DENIED"},
    group_by="source.address",
    at_least=50,
    within=minutes(10),
    suppress_for=hours(1),
    fires=[burst(50), burst(50, over=minutes(10) - 1)],
    quiet=[
        burst(49),
        burst(50, over=minutes(10)),
        burst(50, fields={"event.code": "LOGIN_SUCCESS"}),
    ],
)
