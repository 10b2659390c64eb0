"""Detections that are wrong by a little: what a detection's examples must be able to tell from the right one.

Invariant: each mutation changes one thing: a count by one, a window by one millisecond, a limit by a little, or
one condition of `where` left out, or one value of a condition; of many values only some, spread over the list. A
window of one millisecond is an instant, and stays.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pipeline.detection.conditions import OneOf
from pipeline.detection.kind import ByCount, Kind
from pipeline.detection.where import All, AnyOf, Clause, Field, NoneOf, Where, compile_where
from pipeline.errors import ConfigurationError

VALUES_MAX = 20
"""How many values of a condition are left out, one at a time: each costs a run of all examples."""


def mutations(kind: Kind) -> Iterator[tuple[str, Kind]]:
    """Yield the mutations of `kind`, each with what it changes."""
    for label, changes in _changes(kind):
        try:
            yield label, replace(kind, **changes)
        except ConfigurationError:
            continue  # such a detection cannot be written, so nobody writes it by mistake


def _changes(kind: Kind) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in kind.counts:
        for step in (1, -1):
            value = getattr(kind, name) + step
            changes: dict[str, Any] = {name: value}
            if isinstance(kind.severity, ByCount) and name == kind.levels_begin_at:
                changes["severity"] = kind.severity.beginning_at(value)
            yield f"{name} {step:+d}", changes
    for name in (*kind.windows, *kind.further_windows):
        for step in (1, -1) if getattr(kind, name) > 1 else ():
            yield f"{name} {step:+d} ms", {name: getattr(kind, name) + step}
    for label, where in weakened(kind.where):
        yield f"where without {label}", {"where": where}
    yield from kind.mutations()


def weakened(where: Where) -> Iterator[tuple[str, Clause | Mapping[str, Any]]]:
    """Yield `where` with one condition, or one of the values of a condition, left out."""
    if isinstance(where, Mapping):
        for name, condition in where.items():
            rest = {other: value for other, value in where.items() if other != name}
            yield name, rest or All()
            for value, values in _fewer(condition):
                yield f"{name}: {value}", {**where, name: values}
    elif isinstance(where, All | AnyOf):
        for number, clause in enumerate(where.clauses):
            before, after = where.clauses[:number], where.clauses[number + 1 :]
            if before or after or isinstance(where, All):
                yield _named(clause), type(where)((*before, *after))
            if not isinstance(clause, Field):
                for label, weaker in weakened(clause):
                    yield label, type(where)((*before, compile_where(weaker), *after))
    elif isinstance(where, NoneOf):
        yield _named(where), All()
        if not isinstance(where.clause, Field):
            for label, weaker in weakened(where.clause):
                yield label, NoneOf(compile_where(weaker))
    else:
        yield _named(where), All()


def _fewer(condition: Any) -> Iterator[tuple[object, Any]]:
    values = condition.values if isinstance(condition, OneOf) else condition
    if isinstance(values, list | tuple) and len(values) > 1:
        last, steps = len(values) - 1, min(len(values), VALUES_MAX) - 1
        for number in range(steps + 1):
            value = values[last * number // steps]
            yield value, [other for other in values if other != value]


def _named(clause: Clause) -> str:
    if isinstance(clause, Field):
        return clause.name
    return " or ".join(clause.fields()) or "its clause"
