"""A processor for structlog: what passes it becomes a security event, too, and is passed on.

    structlog.configure(processors=[…, security_processor(security), structlog.processors.JSONRenderer()])
    log.warning("login failed", security_event=SecurityEvent.LOGIN_FAILURE, user_id=7, ip=ip)

A `timestamp` or `@timestamp` counts where it says which instant it is; text without an offset may be local time or
not, and is left out: the event happens now. Invariants: the event dict is passed on as it came, but for
`security_event`, which becomes its code so that it can be rendered; nothing else that it says is lost; nothing
raises; what siemlite and its clients log never loops back in. structlog itself is not imported.
"""

import logging
import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from pipeline.events.catalogue import EventType
from pipeline.events.values import unused
from pipeline.logger.notices import LOG
from pipeline.logger.records import (
    dated,
    dictionary_fields,
    exception_fields,
    exception_of,
    formatted_error,
    is_own,
    level_of,
    take_event,
    without_source,
)
from pipeline.logger.security import SecurityLogger

_TIMESTAMPS = ("timestamp", "@timestamp")
_PASSED_OVER = frozenset({"event", "security_event", "level", "exc_info", "logger", *_TIMESTAMPS})
_OFFSET = re.compile(r"(?:[Zz]|[+-]\d\d:?\d\d)$")
_LEVELS = {"exception": logging.ERROR, "fatal": logging.CRITICAL, "warn": logging.WARNING, "msg": logging.INFO}

Processor = Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]


def security_processor(security: SecurityLogger, *, only_named: bool = False) -> Processor:
    """Return a processor that logs to `security`; `only_named` passes over what has no `security_event`."""

    def process(logger: Any, method: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        try:
            named = event_dict.get("security_event")
            if (named is not None or not only_named) and not is_own(_logger_name(logger, event_dict)):
                fields = event_dict_fields(event_dict)
                event = take_event(named, fields, "security_event")
                security.submit(fields, event, level=_level(method, event_dict))
            if isinstance(named, EventType):
                event_dict["security_event"] = named.code
        except Exception as error:  # noqa: BLE001 - a processor must not end the application
            LOG.error("a structlog event could not become a security event: %s", type(error).__name__)
        return event_dict

    return process


def _logger_name(logger: object, event_dict: Mapping[str, Any]) -> object:
    return event_dict.get("logger") or getattr(logger, "name", None)


def _level(method: str, event_dict: Mapping[str, Any]) -> str:
    word = event_dict.get("level", method)
    word = word.lower() if isinstance(word, str) else method
    number = _LEVELS.get(word) or logging.getLevelNamesMapping().get(word.upper(), logging.INFO)
    return level_of(number)


def event_dict_fields(event_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the event that an event dict of structlog's tells of."""
    fields: dict[str, Any] = {}
    if event_dict.get("event") is not None:  # else it was renamed, most likely to the message that it is here
        fields["message"] = event_dict["event"]
    if event_dict.get("logger") is not None:
        fields["log.logger"] = event_dict["logger"]
    for timestamp in [dated(event_dict.get(key)) for key in _TIMESTAMPS]:
        if isinstance(timestamp, int | float) or (isinstance(timestamp, str) and _OFFSET.search(timestamp)):
            fields["@timestamp"] = timestamp
    error = exception_of(event_dict.get("exc_info"))
    if error is not None:
        fields.update(exception_fields(error))
    for key, value in event_dict.items():
        if key == "exception" and isinstance(value, list | tuple):
            fields.update(dictionary_fields(value))
        elif key in ("exception", "stack") and isinstance(value, str):
            fields[key] = without_source(value)
            if key == "exception":
                fields.update(formatted_error(value))
        elif key not in _PASSED_OVER and not key.startswith("_"):
            fields[unused(key, fields)] = value
    return fields
