"""Second factor of an account switched off.

Triage: did the account's owner do it, and why? Was it by the help desk, and is there a ticket? An account
without its second factor that may administer others should be locked until this is answered.
False positives: a person who changes phones and turns it on again within minutes. While everybody moves to another
second factor: `siemlite silence add --detection mfa_disabled --for 2d -m "the move"`; many_mfa_disabled goes on.
"""

from pipeline.detection import Match, Severity, event, hours

detection = Match(
    severity=Severity.MEDIUM,
    attack=("T1556.006",),
    where={"event.code": "MFA_DISABLED"},
    group_by="user.id",
    suppress_for=hours(24),
    fires=[event()],
    quiet=[event({"event.code": "MFA_ENABLED"}), event({"user.id": None})],
)
