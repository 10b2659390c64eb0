"""Durations as authors write them; all are whole milliseconds."""


def milliseconds(number: float) -> int:
    """Return `number` milliseconds."""
    return round(number)


def seconds(number: float) -> int:
    """Return `number` seconds in milliseconds."""
    return round(number * 1_000)


def minutes(number: float) -> int:
    """Return `number` minutes in milliseconds."""
    return round(number * 60_000)


def hours(number: float) -> int:
    """Return `number` hours in milliseconds."""
    return round(number * 3_600_000)


def days(number: float) -> int:
    """Return `number` days of 24 hours in milliseconds."""
    return round(number * 86_400_000)


def duration_text(duration_ms: int) -> str:
    """Return a duration as a person says it: `15 minutes`, `1 hour`, `250 ms`."""
    for size, name in ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second")):
        if duration_ms and duration_ms % size == 0:
            number = duration_ms // size
            return f"{number} {name}" if number == 1 else f"{number} {name}s"
    return f"{duration_ms} ms"
