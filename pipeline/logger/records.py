"""What records of other loggers become: shared by the logging handler and the structlog processor.

Invariants: records of siemlite itself and of the clients that carry its events are never taken in, so nothing
loops; a traceback keeps places and names, never source lines or values of variables, also where another formatted it
before; no exception of a hostile object escapes.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from types import TracebackType
from typing import Any, cast
from uuid import UUID

from pipeline.events.catalogue import BY_CODE, EventType
from pipeline.events.redaction.objects import is_nothing

LOG_RECORD = EventType("LOG_RECORD", "info", type=("info",))
"""A log record that names no event of its own."""

_CLIENTS = ("siemlite", "elasticsearch", "elastic_transport", "urllib3", "httpx", "httpcore")
_CLIENTS_BELOW = tuple(f"{name}." for name in _CLIENTS)
_PACKAGE = "pipeline."
_FRAMES_MOST = 50
_CAUSES_MOST = 10
_TRACEBACK = "Traceback (most recent call last):"
_STACK = "\nStack (most recent call last):"
_FRAME_SIGN = 'File "'
_MARGIN = " |>"
"""What stands before a frame: a group's bars, and loguru's mark of where an exception was caught."""

_FRAME = re.compile(rf'[{_MARGIN}]*File "[^"\n]*", line \d+')
_LAST_LINE = re.compile(r"^(?P<type>[A-Za-z_][\w.]{0,199})(?:: (?P<message>.*))?\Z", re.MULTILINE | re.DOTALL)
_UNPRINTABLE = "[unprintable]"
_READABLE: tuple[type, ...] = (
    str,
    int,
    float,
    bytes,
    bytearray,
    memoryview,
    Mapping,
    list,
    tuple,
    set,
    frozenset,
    UUID,
    Enum,
    datetime,
    BaseException,
    type,
    type(None),
)
_SAY_NOTHING = (object.__str__, None)


def is_own(logger_name: object) -> bool:
    """Return whether records of this logger are siemlite's own or of a client that it uses.

    siemlite's loggers are called as its modules are, of which who logs is loaded: an application may have a `pipeline`
    of its own to log about.
    """
    if not isinstance(logger_name, str):
        return False
    if logger_name.startswith(_PACKAGE):
        return logger_name in sys.modules
    return logger_name in _CLIENTS or logger_name.startswith(_CLIENTS_BELOW)


def level_of(number: int) -> str:
    """Return the event level for a standard library's level number."""
    if number >= 50:
        return "critical"
    if number >= 40:
        return "error"
    if number >= 30:
        return "warn"
    return "info" if number >= 20 else "debug"


def event_of(value: object) -> EventType:
    """Return the event that a record names: an `EventType`, or the code of one."""
    if isinstance(value, EventType):
        return value
    if isinstance(value, str) and value:
        try:
            return BY_CODE.get(value) or EventType(value)
        except ValueError:
            return LOG_RECORD
    return LOG_RECORD


def take_event(named: object, fields: dict[str, Any], key: str) -> EventType:
    """Return the event that `named` names; what names none stays in `fields`, under `key`."""
    event = event_of(named)
    if event is LOG_RECORD and named is not None:
        fields.setdefault(key, named)
    return event


def dated(value: object) -> object:
    """Return a `datetime` as text with its offset, local time where it names none; anything else as it is.

    One that has no instant (`datetime.min`, a time zone that fails) is text that names none; pandas' `NaT` stays.
    """
    if not issubclass(type(value), datetime):
        return value
    moment = cast("datetime", value)
    try:
        if moment != moment:  # noqa: PLR0124 - as of all dates only one that is none says
            return value
        # pandas' own `astimezone` wants to be told the zone.
        return (moment if moment.tzinfo is not None else datetime.astimezone(moment)).isoformat()
    except Exception:  # noqa: BLE001 - the time zone's own code may raise anything
        return f"{datetime.isoformat(moment.replace(tzinfo=None))} of no time zone"


def identified(value: object) -> object:
    """Return an object that says what it is by its `__str__` as that text; anything else as it is.

    For fields that are text by nature: an `ObjectId`, a ULID, a lazy proxy for a text or a user.
    """
    if (
        is_nothing(value)
        or issubclass(type(value), _READABLE)
        or type(value).__str__ in _SAY_NOTHING
        or hasattr(type(value), "model_fields")
    ):
        return value
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a hostile object's own fault
        return value


def without_source(text: str) -> str:
    """Return text without the lines of source in the tracebacks and stacks that it holds."""
    if _FRAME_SIGN not in text:
        return text
    kept: list[str] = []
    depth: int | None = None
    for line in text.split("\n"):
        margin = len(line) - len(line.lstrip(_MARGIN))
        if _FRAME.match(line):
            depth = margin
        elif depth is not None and margin > depth:
            continue
        else:
            depth = None
        kept.append(line)
    return "\n".join(kept)


def formatted_error(text: str) -> Mapping[str, str]:
    """Return type and message of the exception whose formatted traceback ends `text`, if one does."""
    start = text.rfind(_TRACEBACK)
    match = _LAST_LINE.search(text[start:].partition(_STACK)[0]) if start >= 0 else None
    if match is None:
        return {}
    return {"error.type": match["type"], **({"error.message": match["message"]} if match["message"] else {})}


def text_of(value: object) -> str:
    """Return `str(value)`, whatever the object does when it is asked."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a hostile object's own fault
        return _UNPRINTABLE


def exception_of(exc_info: object) -> BaseException | None:
    """Return the exception in any of the forms that loggers accept as `exc_info`."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple) and len(exc_info) == 3 and isinstance(exc_info[1], BaseException):
        return exc_info[1]
    return sys.exc_info()[1] if exc_info is True else None


def exception_fields(error: BaseException) -> Mapping[str, Any]:
    """Return type, message, places and causes of an exception."""
    fields: dict[str, Any] = {
        "error.type": _name_of(error),
        "error.message": text_of(error),
        "traceback": _places(error.__traceback__),
    }
    causes: list[dict[str, str]] = []
    seen = {id(error)}
    waiting = _behind(error)
    while waiting and len(causes) < _CAUSES_MOST:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        causes.append({"type": _name_of(cause), "message": text_of(cause)})
        waiting += _behind(cause)
    if causes:
        fields["caused_by"] = causes
    return fields


def dictionary_fields(stacks: Sequence[object]) -> Mapping[str, Any]:
    """Return what `exception_fields` does of structlog's `dict_tracebacks`, whose frames hold variables' values."""
    named = [
        {"type": str(stack.get("exc_type")), "message": text_of(stack.get("exc_value"))}
        for stack in stacks
        if isinstance(stack, Mapping)
    ]
    frames = stacks[0].get("frames") if stacks and isinstance(stacks[0], Mapping) else None
    places = [
        f"{frame.get('filename')}:{frame.get('lineno')} in {frame.get('name')}"
        for frame in (frames if isinstance(frames, list) else [])
        if isinstance(frame, Mapping)
    ]
    if not named:
        return {}
    fields: dict[str, Any] = {"error.type": named[0]["type"], "error.message": named[0]["message"]}
    fields["traceback"] = places[-_FRAMES_MOST:]
    if named[1:]:
        fields["caused_by"] = named[1 : 1 + _CAUSES_MOST]
    return fields


def _behind(error: BaseException) -> list[BaseException]:
    """Return what is behind an exception: its cause, and those that a group holds."""
    cause = _cause_of(error)
    inner = list(error.exceptions[:_CAUSES_MOST]) if isinstance(error, BaseExceptionGroup) else []
    return [*inner, cause] if cause is not None else inner


def _cause_of(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def _name_of(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _places(traceback: TracebackType | None) -> list[str]:
    places: list[str] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append(f"{code.co_filename}:{traceback.tb_lineno} in {code.co_qualname}")
        if len(places) > _FRAMES_MOST:
            del places[_FRAMES_MOST // 2]  # The beginning and the end say most.
        traceback = traceback.tb_next
    return places
