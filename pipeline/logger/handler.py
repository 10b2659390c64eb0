"""A handler for the standard library's `logging`: every record that reaches it becomes a security event.

    logging.getLogger("auth").addHandler(SecurityHandler("auth-api"))
    log.warning("login failed", extra={"event": SecurityEvent.LOGIN_FAILURE, "user_id": 7, "ip": ip})

Invariants: it never raises, and prints no traceback of a record (that would show what redaction hides); it
has no lock that could deadlock; what siemlite and its clients log never loops back in.
"""

import logging
import threading
from collections.abc import Mapping
from typing import Any

from pipeline.events.redaction import MARKER
from pipeline.logger.notices import LOG
from pipeline.logger.records import (
    exception_fields,
    exception_of,
    formatted_error,
    is_own,
    level_of,
    take_event,
    text_of,
    without_source,
)
from pipeline.logger.security import SecurityLogger
from pipeline.logger.structured import event_dict_fields

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "event"}


class SecurityHandler(logging.Handler):
    """Hands records to `security`, a `SecurityLogger` or the name of the service to make one for.

    A record's `extra` fields are the event's fields and metadata; `extra={"event": …}` names the event. Attach it
    directly, for it waits for nothing: behind a `QueueHandler`, what the current request knows (address, user) is not
    known any more where the record is handled.
    """

    def __init__(self, security: SecurityLogger | str, level: int | str = logging.NOTSET) -> None:
        """See the class. Raises `ConfigurationError` as `SecurityLogger` does."""
        super().__init__(level)
        self._security = security if isinstance(security, SecurityLogger) else SecurityLogger(security)
        self._busy = threading.local()

    def createLock(self) -> None:  # noqa: N802 - the standard library's name
        """Make none: a security logger needs no lock, so none can be waited for."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Filter and emit `record` as the standard library does, but for the lock that it takes there."""
        answer: object = self.filter(record)
        if isinstance(answer, logging.LogRecord):  # since Python 3.12 a filter may put another in its place
            record = answer
        if answer:
            self.emit(record)
        return bool(answer)

    def emit(self, record: logging.LogRecord) -> None:
        """Log `record` as an event."""
        if is_own(record.name):
            return
        nested = getattr(self._busy, "now", False)
        self._busy.now = True
        try:
            # A record made while one is being formatted (by an object that logs in `__str__`) keeps its raw text.
            wrapped: object = record.msg
            if isinstance(wrapped, Mapping) and isinstance(wrapped.get("event"), str) and not nested:
                self._structured(record, wrapped)
                return
            fields = _fields(record, text_of(record.msg) if nested else self._message(record))
            event = take_event(vars(record).get("event"), fields, "event")
            self._security.submit(fields, event, level=_level(record))
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

    def _message(self, record: logging.LogRecord) -> str:
        try:
            if isinstance(record.args, Mapping) and record.args:
                return without_source(str(record.msg) % self._named(record.args))
            return without_source(record.getMessage())
        except Exception:  # noqa: BLE001 - wrong arguments, or hostile ones
            return without_source(self._unformatted(record))

    def _unformatted(self, record: logging.LogRecord) -> str:
        """Return a message with the arguments behind it that do not fit it; hidden where it may name a secret."""
        message = text_of(record.msg)
        is_sensitive = self._security.redactor.is_sensitive
        if isinstance(record.args, Mapping) and record.args:
            said = [f"{name}={text_of(value)}" for name, value in self._named(record.args).items()]
        elif isinstance(record.args, tuple) and record.args:
            said = [text_of(value) for value in record.args]
        else:
            return message
        hidden = is_sensitive(message) or any(is_sensitive(word) for word in message.split())
        return f"{message} {MARKER if hidden else ' '.join(said)}"

    def _structured(self, record: logging.LogRecord, wrapped: Mapping[str, Any]) -> None:
        """Log the event dict that structlog's `wrap_for_formatter` puts in a record's message."""
        told = event_dict_fields({key: value for key, value in wrapped.items() if isinstance(key, str)})
        named = wrapped.get("security_event") or vars(record).get("event")
        fields = {**_fields(record, text_of(told.pop("message"))), **told, "log.logger": record.name}
        self._security.submit(fields, take_event(named, fields, "event"), level=_level(record))

    def _named(self, arguments: Mapping[str, object]) -> Mapping[str, object]:
        """Return arguments that a message names, the secrets among them hidden while their names are known."""
        is_sensitive = self._security.redactor.is_sensitive
        return {name: MARKER if is_sensitive(name) else value for name, value in arguments.items()}


def _level(record: logging.LogRecord) -> str:
    return level_of(record.levelno) if isinstance(record.levelno, int) else "info"


def _fields(record: logging.LogRecord, message: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"message": message, "log.logger": record.name, "@timestamp": record.created}
    error = exception_of(record.exc_info)
    if error is not None:
        fields.update(exception_fields(error))
    elif record.exc_text:
        fields["traceback"] = without_source(record.exc_text)
        fields.update(formatted_error(record.exc_text))
    elif "\n" in message:  # a queue's handler has put the traceback there
        fields.update(formatted_error(message))
    if record.stack_info:
        fields["stack"] = without_source(record.stack_info)
    for key, value in vars(record).items():
        if key not in _STANDARD and not key.startswith("_"):
            fields.setdefault(key, value)
    return fields
