"""The catalogue: what security events there are and what they mean in ECS and OWASP words.

Sources: ECS 8 categorisation fields (`event.category`, `event.type`, `event.outcome`) and the OWASP
Logging Vocabulary Cheat Sheet. Invariant: an `EventType` is a constant; an application makes its own by
calling the class, and nothing is registered or patched.
"""

import re
from dataclasses import dataclass

LEVELS = ("info", "warn", "error")
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,127}")
_OUTCOMES = (None, "success", "failure", "unknown")


@dataclass(frozen=True, slots=True)
class EventType:
    """A kind of security event: `code` becomes `event.code`, `level` is `info`, `warn` or `error`.

    `action` defaults to the code in lower case with hyphens. Raises `ValueError` for what ECS or a keyword
    field could not hold.
    """

    code: str
    level: str = "info"
    category: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    outcome: str | None = None
    action: str = ""
    owasp: str | None = None

    def __post_init__(self) -> None:
        if _CODE.fullmatch(self.code) is None:
            raise ValueError(f"event code {self.code[:40]!r} must be letters, digits, '_', '.', ':' or '-'")
        if self.level not in LEVELS:
            raise ValueError(f"level {self.level!r} of {self.code} must be one of {', '.join(LEVELS)}")
        for name in ("category", "type"):
            words = getattr(self, name)
            if isinstance(words, str):
                raise ValueError(  # noqa: TRY004 - as for every other mistake here
                    f"{name} of {self.code} must be a tuple such as ({words!r},), not {words!r}"
                )
        if self.outcome not in _OUTCOMES:
            raise ValueError(f"outcome {self.outcome!r} of {self.code} must be success, failure or unknown")
        if not self.action:
            object.__setattr__(self, "action", self.code.lower().replace("_", "-"))


class SecurityEvent:
    """The fifteen events that every application with users has."""

    LOGIN_SUCCESS = EventType(
        "LOGIN_SUCCESS", "info", ("authentication",), ("start",), "success", owasp="authn_login_success"
    )
    LOGIN_FAILURE = EventType(
        "LOGIN_FAILURE", "warn", ("authentication",), ("start",), "failure", owasp="authn_login_fail"
    )
    LOGOUT = EventType("LOGOUT", "info", ("authentication", "session"), ("end",), "success")
    PASSWORD_CHANGE = EventType(
        "PASSWORD_CHANGE", "info", ("iam",), ("user", "change"), "success", owasp="authn_password_change"
    )
    PASSWORD_RESET_REQUEST = EventType("PASSWORD_RESET_REQUEST", "info", ("iam",), ("user", "info"), "unknown")
    MFA_ENABLED = EventType("MFA_ENABLED", "info", ("iam",), ("user", "change"), "success")
    MFA_DISABLED = EventType("MFA_DISABLED", "warn", ("iam",), ("user", "change"), "success")
    ACCESS_DENIED = EventType("ACCESS_DENIED", "warn", ("api",), ("access", "denied"), "failure", owasp="authz_fail")
    PRIVILEGE_ESCALATION_ATTEMPT = EventType(
        "PRIVILEGE_ESCALATION_ATTEMPT", "error", ("iam", "api"), ("admin", "denied"), "failure", owasp="authz_fail"
    )
    SENSITIVE_DATA_ACCESS = EventType(
        "SENSITIVE_DATA_ACCESS", "info", ("database",), ("access",), "success", owasp="sensitive_read"
    )
    BULK_DATA_EXPORT = EventType(
        "BULK_DATA_EXPORT", "warn", ("database",), ("access",), "success", owasp="sensitive_read"
    )
    ADMIN_ACTION = EventType("ADMIN_ACTION", "info", ("api",), ("admin",), "success", owasp="authz_admin")
    CONFIG_CHANGE = EventType("CONFIG_CHANGE", "warn", ("configuration",), ("change",), "success")
    API_KEY_CREATED = EventType(
        "API_KEY_CREATED", "info", ("iam",), ("admin", "creation"), "success", owasp="authn_token_created"
    )
    API_KEY_REVOKED = EventType(
        "API_KEY_REVOKED", "info", ("iam",), ("admin", "deletion"), "success", owasp="authn_token_revoked"
    )


CATALOGUE: tuple[EventType, ...] = tuple(kind for kind in vars(SecurityEvent).values() if isinstance(kind, EventType))
BY_CODE = {kind.code: kind for kind in CATALOGUE}
