"""Direct login as a built-in administrator.

People log in as themselves and raise their rights; a direct login as root hides who it was.

Triage: from which address, or at the console; with a key or a password? Is it a rescue, or an automation that should
have an account of its own? Forbid direct logins where nobody needs them.
False positives: rescue work; old automation.
"""

from pipeline.detection import Match, Severity, all_of, event, hours, raw

NAMES = {"value": r"([^\\]+\\)?(root|admin|administrator)", "case_insensitive": True}
"""Whatever the case, with a Windows domain before it."""

detection = Match(
    severity=Severity.MEDIUM,
    attack=("T1078.003",),
    where=all_of({"event.code": "LOGIN_SUCCESS"}, raw({"regexp": {"user.id": NAMES}}, "user.id")),
    group_by="user.id",
    suppress_for=hours(12),
    fires=[
        event({"user.id": "root"}),
        event({"user.id": "rOOt", "source.address": None}),
        event({"user.id": "CORP\\Administrator"}),
    ],
    quiet=[
        event({"user.id": "alice"}),
        event({"user.id": "badminton"}),
        event({"user.id": "admin@customer.example"}),
        event({"user.id": "root", "event.code": "LOGIN_FAILURE"}),
    ],
)
