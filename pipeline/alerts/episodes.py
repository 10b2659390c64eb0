"""Folding the crossings of a group into episodes. Pure.

An episode is a run of crossings with gaps of at most `suppress_for`. Invariants:

- A run within `suppress_for` of an episode, before or after, belongs to it; where it is near several, to the
  one with the lowest number, so that the same crossings again always meet the same episode and change nothing.
- A run near no episode starts the next, numbered one above the highest there is.
- An episode that a person closed is over: nothing amends it, and no crossing up to the instant of the closing
  counts again for the group (which of those after it are news, `Kind.after_closing` says). A new attack after it,
  however soon, starts the next episode.
- An episode that ended by itself, for want of crossings, is amended by a late crossing like any other.
- Amending only ever widens: the first event moves back, the last crossing forward, the severity up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipeline.detection.timeline import Crossing, Severity


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode of a group: `first_ms` is its first event, `crossing_ms` its first crossing, `last_ms` its last.

    `measure` is the highest that a crossing reached; `ended_ms` the instant at which a person closed it.
    """

    number: int
    first_ms: int
    crossing_ms: int
    last_ms: int
    severity: Severity
    measure: int
    ended_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Open:
    """A new episode."""

    episode: Episode


@dataclass(frozen=True, slots=True)
class Amend:
    """An episode that crossings belong to; `before` equals `after` where its bounds stay as they were."""

    before: Episode
    after: Episode


def closed_until(existing: Iterable[Episode]) -> int | None:
    """Return the latest instant at which a person closed one of the episodes."""
    return max((e.ended_ms for e in existing if e.ended_ms is not None), default=None)


def plan(
    existing: Sequence[Episode], crossings: Iterable[Crossing], suppress_for: int, severity: Severity
) -> tuple[Open | Amend, ...]:
    """Decide what `crossings` mean beside the group's `existing` episodes.

    `existing` holds at least every episode within `suppress_for` of the crossings, the one with the highest
    number and the ones that a person closed last. `severity` is that of a crossing which brings none.
    """
    cut = closed_until(existing)
    highest = max((e.number for e in existing), default=0)
    live = {e.number: e for e in existing if e.ended_ms is None}
    decisions: dict[int, Open | Amend] = {}
    for run in _runs(crossings, suppress_for, severity, cut):
        near = [e.number for e in live.values() if _near(e, run, suppress_for)]
        if not near:
            highest += 1
            live[highest] = replace(run, number=highest)
            decisions[highest] = Open(live[highest])
            continue
        number = min(near)
        before = live[number]
        after = live[number] = _joined(before, run)
        earlier = decisions.get(number)
        decisions[number] = (
            Open(after) if isinstance(earlier, Open) else Amend(earlier.before if earlier else before, after)
        )
    return tuple(decisions.values())


def _runs(crossings: Iterable[Crossing], suppress_for: int, severity: Severity, cut: int | None) -> list[Episode]:
    runs: list[Episode] = []
    for crossing in sorted(crossings, key=lambda c: (c.time_ms, c.first_ms)):
        if cut is not None and crossing.time_ms <= cut:
            continue
        single = Episode(
            number=0,
            first_ms=min(crossing.first_ms, crossing.time_ms),
            crossing_ms=crossing.time_ms,
            last_ms=crossing.time_ms,
            severity=crossing.severity or severity,
            measure=crossing.count,
        )
        if runs and crossing.time_ms - runs[-1].last_ms <= suppress_for:
            runs[-1] = _joined(runs[-1], single)
        else:
            runs.append(single)
    return runs


def _near(episode: Episode, run: Episode, suppress_for: int) -> bool:
    return episode.crossing_ms - suppress_for <= run.last_ms and run.crossing_ms <= episode.last_ms + suppress_for


def _joined(episode: Episode, run: Episode) -> Episode:
    return replace(
        episode,
        first_ms=min(episode.first_ms, run.first_ms),
        crossing_ms=min(episode.crossing_ms, run.crossing_ms),
        last_ms=max(episode.last_ms, run.last_ms),
        severity=max(episode.severity, run.severity, key=lambda s: s.rank),
        measure=max(episode.measure, run.measure),
    )
