"""Reading what people type: instants and spans of time."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipeline.errors import ConfigurationError
from pipeline.events.values import instant


def instant_argument(name: str, text: str) -> int:
    """Return the milliseconds since the epoch that `text` names; `name` is the option's."""
    found = instant(text.strip())
    if found is None:
        raise ConfigurationError(f"{name} {text!r} is no instant; write 2026-11-24, or 2026-11-24T08:00:00Z")
    return found.ms


def span_argument(from_: str, to: str) -> tuple[int, int]:
    """Return the span `[from, to)` in milliseconds since the epoch."""
    span = instant_argument("--from", from_), instant_argument("--to", to)
    if span[0] >= span[1]:
        raise ConfigurationError(f"--from {from_} is not before --to {to}; nothing lies between")
    return span


def timezone_argument(name: str) -> ZoneInfo:
    """Return the timezone called `name`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(f"--timezone {name!r} is not known; write a name such as Europe/Berlin") from None
