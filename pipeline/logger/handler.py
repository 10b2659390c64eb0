"""A handler for the standard library's `logging`: every record that reaches it becomes a security event.

    logging.getLogger("auth").addHandler(SecurityHandler("auth-api"))
    log.warning("login failed", extra={"event": SecurityEvent.LOGIN_FAILURE, "user_id": 7, "ip": ip})

Invariants: it never raises, and prints no traceback of a record (that would show what redaction hides); it
has no lock that could deadlock; what siemlite and its clients log never loops back in.
"""

import logging
import threading
from typing import Any

from pipeline.logger.notices import LOG
from pipeline.logger.records import event_of, exception_fields, exception_of, is_own, level_of, text_of
from pipeline.logger.security import SecurityLogger

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "event"}


class SecurityHandler(logging.Handler):
    """Hands records to `security`, a `SecurityLogger` or the name of the service to make one for.

    A record's `extra` fields are the event's fields and metadata; `extra={"event": …}` names the event.
    """

    def __init__(self, security: SecurityLogger | str, level: int | str = logging.NOTSET) -> None:
        """See the class. Raises `ConfigurationError` as `SecurityLogger` does."""
        super().__init__(level)
        self._security = security if isinstance(security, SecurityLogger) else SecurityLogger(security)
        self._busy = threading.local()

    def createLock(self) -> None:  # noqa: N802 - the standard library's name
        """Make none: a security logger needs no lock, so none can be waited for."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Log `record` as an event."""
        if is_own(record.name):
            return
        nested = getattr(self._busy, "now", False)
        self._busy.now = True
        try:
            # A record made while one is being formatted (by an object that logs in `__str__`) keeps its raw text.
            message = text_of(record.msg) if nested else _message(record)
            self._security.submit(_fields(record, message), event_of(vars(record).get("event")), level=_level(record))
        except Exception as error:  # noqa: BLE001 - a handler must not end the application
            LOG.error("a log record could not become an event: %s", type(error).__name__)
        finally:
            self._busy.now = nested

    def flush(self) -> None:
        """Wait until what was logged before is on disk."""
        self._security.flush()

    def close(self) -> None:
        """Flush, and give the spool up where no other logger uses it."""
        self._security.close()
        super().close()


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - wrong arguments, or hostile ones
        return text_of(record.msg)


def _level(record: logging.LogRecord) -> str:
    return level_of(record.levelno) if isinstance(record.levelno, int) else "info"


def _fields(record: logging.LogRecord, message: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"message": message, "log.logger": record.name, "@timestamp": record.created}
    error = exception_of(record.exc_info)
    if error is not None:
        fields.update(exception_fields(error))
    elif record.exc_text:
        fields["traceback"] = record.exc_text
    if record.stack_info:
        fields["stack"] = record.stack_info
    for key, value in vars(record).items():
        if key not in _STANDARD:
            fields.setdefault(key, value)
    return fields
