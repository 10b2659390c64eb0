"""Suspicious activity from one address.

Failed logins, refused accesses and attempts at higher privileges are counted together, because who probes
an application meets all three.

Triage: which accounts and resources are touched? Many different ones mean probing; one account means a
misconfigured client or a person without the right role. Block the address if no user of yours is behind it.
False positives: an office behind one NAT address; a client that retries a refused request in a loop.
"""

from pipeline.detection import Severity, Threshold, burst, minutes

detection = Threshold(
    severity=Severity.MEDIUM,
    attack=("T1190", "T1110"),
    where={"event.code": ["LOGIN_FAILURE", "ACCESS_DENIED", "PRIVILEGE_ESCALATION_ATTEMPT"]},
    group_by="source.address",
    at_least=10,
    within=minutes(60),
    suppress_for=minutes(60),
    fires=[
        burst(4, fields={"event.code": "LOGIN_FAILURE"})
        + burst(4, at=minutes(20), fields={"event.code": "ACCESS_DENIED"})
        + burst(2, at=minutes(40), fields={"event.code": "PRIVILEGE_ESCALATION_ATTEMPT"}),
        burst(10, over=minutes(60) - 1),
    ],
    quiet=[
        burst(9),
        burst(10, over=minutes(60)),
        burst(9) + burst(5, fields={"event.code": "LOGIN_SUCCESS"}),
    ],
)
