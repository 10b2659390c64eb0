"""Direct login as a built-in administrator.

People log in as themselves and raise their rights; a direct login as root hides who it was.

Triage: from which address, or at the console; with a key or a password? Is it a rescue, or an automation that should
have an account of its own? Forbid direct logins where nobody needs them.
False positives: rescue work; old automation.
"""

from pipeline.detection import Match, Severity, event, hours

NAMES = ("root", "Root", "ROOT", "admin", "Admin", "ADMIN", "administrator", "Administrator", "ADMINISTRATOR")

detection = Match(
    severity=Severity.MEDIUM,
    attack=("T1078.003",),
    where={"event.code": "LOGIN_SUCCESS", "user.id": list(NAMES)},
    group_by="user.id",
    suppress_for=hours(12),
    fires=[*(event({"user.id": name}) for name in NAMES), event({"user.id": "root", "source.address": None})],
    quiet=[event({"user.id": "alice"}), event({"event.code": "LOGIN_FAILURE"})],
)
