"""Durations as authors write them; all are whole milliseconds. What is no number is a `ConfigurationError`."""

from math import isfinite

from pipeline.errors import ConfigurationError


def milliseconds(number: float) -> int:
    """Return `number` milliseconds."""
    return _whole("milliseconds", number, 1)


def seconds(number: float) -> int:
    """Return `number` seconds in milliseconds."""
    return _whole("seconds", number, 1_000)


def minutes(number: float) -> int:
    """Return `number` minutes in milliseconds."""
    return _whole("minutes", number, 60_000)


def hours(number: float) -> int:
    """Return `number` hours in milliseconds."""
    return _whole("hours", number, 3_600_000)


def days(number: float) -> int:
    """Return `number` days of 24 hours in milliseconds."""
    return _whole("days", number, 86_400_000)


def _whole(unit: str, number: object, size: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int | float) or not isfinite(number):
        raise ConfigurationError(f"{unit}({number!r}): give a number, such as {unit}(15)")
    return round(number * size)


def duration_text(duration_ms: int) -> str:
    """Return a duration as a person says it: `15 minutes`, `1 hour`, `250 ms`."""
    for size, name in ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second")):
        if duration_ms and duration_ms % size == 0:
            number = duration_ms // size
            return f"{number} {name}" if number == 1 else f"{number} {name}s"
    return f"{duration_ms} ms"
