"""Brute-force login to one account.

The failures may come from any number of addresses, so that an attacker who changes address is seen as well. Names
that no account has (`reason` `invalid_user`) are left out: all the world tries them, and nobody gets in.

Triage: did a login to this account succeed afterwards, and from where? Reset its password if so. Look at the
addresses: many of them mean a botnet, one of them is found by brute_force_by_address too.
False positives: a person who forgot a password; a device that still sends the old one.
"""

from pipeline.detection import Severity, Threshold, burst, minutes, not_

detection = Threshold(
    severity=Severity.MEDIUM,
    attack=("T1110.001",),
    where={"event.code": "LOGIN_FAILURE", "event.reason": not_("invalid_user")},
    group_by="user.id",
    at_least=10,
    within=minutes(15),
    suppress_for=minutes(60),
    fires=[
        burst(10, vary="source.address"),
        burst(10, over=minutes(15) - 1),
    ],
    quiet=[
        burst(9),
        burst(10, over=minutes(15)),
        burst(9) + burst(1, fields={"event.code": "LOGIN_SUCCESS"}),
        burst(10, fields={"event.reason": "invalid_user"}),
    ],
)
