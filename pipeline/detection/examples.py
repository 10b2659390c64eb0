"""Examples that a detection carries: events at relative times, each in a group of its own.

An event's fields are those that the author names; what its detection's `where` and `group_by` want is
filled in when the example is run, so that `burst(5)` is five events that match. Late arrivals and outages
are events that `arrive` in a later pass than others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.detection.durations import duration_text, seconds
from pipeline.detection.validation import any_name
from pipeline.errors import ConfigurationError
from pipeline.events.fields import FIELDS


@dataclass(frozen=True, slots=True)
class ExampleEvent:
    """An event at `at_ms` of its example's own time, found by the engine's pass number `arrives`."""

    at_ms: int
    fields: Mapping[str, Any] = field(default_factory=dict)
    arrives: int = 0


@dataclass(frozen=True, slots=True)
class Example:
    """Events that together fire or stay quiet. `a + b` holds the events of both.

    The clock stands at the last event, or at `until_ms` where that is later.
    """

    events: tuple[ExampleEvent, ...]
    name: str = ""
    until_ms: int = 0

    def __add__(self, other: "Example") -> "Example":
        names = [name for name in (self.name, other.name) if name]
        return Example(self.events + other.events, ", ".join(names), max(self.until_ms, other.until_ms))

    @property
    def end_ms(self) -> int:
        """Return the instant at which the clock stands in the end."""
        return max((self.until_ms, *(event.at_ms for event in self.events)))


def event(fields: Mapping[str, Any] | None = None, *, at: int = 0) -> Example:
    """Return one event `at` milliseconds into the example, with `fields` beside or instead of the fitting ones."""
    _instant("event(…, at)", at)
    return Example((ExampleEvent(at, _fields("event", fields)),), "an event")


def until(at: int) -> Example:
    """Return the time up to `at`, in which nothing more happens."""
    _instant("until(…)", at)
    return Example((), f"until {duration_text(at)}", at)


def burst(
    count: int,
    *,
    every: int | None = None,
    over: int | None = None,
    at: int = 0,
    vary: str | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Example:
    """Return `count` events from `at` on, `every` so many milliseconds (a second) or spread `over` so many.

    With `over` the last event is `over` after the first. `vary` names a field with another value in each. A
    field that is None is missing.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ConfigurationError(f"burst({count!r}): give a whole number of at least 1")
    for name, given in (("at", at), ("every", every), ("over", over)):
        if given is not None:
            _instant(f"burst(…, {name})", given)
    if vary is not None:
        any_name("burst(…, vary)", vary)
    fields = _fields("burst", fields)
    if every is not None and over is not None:
        raise ConfigurationError("burst(…): give either every or over")
    step = (over / (count - 1) if count > 1 else 0.0) if over is not None else (seconds(1) if every is None else every)
    return Example(
        tuple(
            ExampleEvent(at + round(step * number), {**fields, **({vary: varied(vary, number)} if vary else {})})
            for number in range(count)
        ),
        f"burst of {count}",
    )


def late(example: Example) -> Example:
    """Return `example` as arriving in a later pass than the events before it."""
    if not isinstance(example, Example):
        raise ConfigurationError(f"late({example!r}): give an example such as late(burst(2))")
    return Example(
        tuple(replace(item, arrives=item.arrives + 1) for item in example.events),
        f"{example.name or 'events'}, late",
        example.until_ms,
    )


def _instant(what: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"{what} is {value!r}; give a duration such as minutes(5)")


def _fields(what: str, fields: object) -> dict[str, Any]:
    if fields is None:
        return {}
    if not isinstance(fields, Mapping):
        raise ConfigurationError(f"{what}(…, fields) is {fields!r}; give a mapping such as {{'user.id': 'root'}}")
    return dict(fields)


def varied(name: str, number: int) -> Any:
    """Return a value of the field `name` that differs for each `number`."""
    if FIELDS.get(name) == "ip" or name.endswith(".address"):
        return f"198.18.{number // 250}.{number % 250 + 1}"
    if name.startswith("siemlite.number.") or FIELDS.get(name) in ("long", "date"):
        return number
    return f"{name}-{number}"
