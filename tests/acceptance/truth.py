"""The truth about an attack, worked out from the lines themselves by code that shares nothing with siemlite's."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

MINUTE = 60_000


@dataclass(frozen=True)
class Attempt:
    """One failed login."""

    time_ms: int
    address: str
    user: str


def attempts(lines: Iterable[tuple[int, str]]) -> list[Attempt]:
    """Return the failed logins in `lines`, pairs of an instant and a text."""
    found = []
    for time_ms, text in lines:
        repeated = re.search(r"message repeated (\d+) times: \[ (.*)\]", text)
        times, inner = (int(repeated[1]), repeated[2]) if repeated else (1, text)
        failed = re.search(r"Failed \S+ for (?:invalid user )?(.*) from (\S+) port \d+", inner)
        if failed:
            found += [Attempt(time_ms, failed[2], failed[1])] * times
    return found


def episodes(
    events: Iterable[Attempt], *, at_least: int, within: int, quiet: int, distinct: bool = False
) -> set[tuple[str, int, int]]:
    """Return (address, first crossing, last crossing) of each episode: every event is tried as the last of a window."""
    by_address: dict[str, list[Attempt]] = defaultdict(list)
    for event in events:
        by_address[event.address].append(event)
    found = set()
    for address, mine in by_address.items():
        mine.sort(key=lambda event: event.time_ms)
        crossings = []
        for at, event in enumerate(mine):
            window = [other for other in mine[: at + 1] if event.time_ms - other.time_ms < within]
            if (len({other.user for other in window}) if distinct else len(window)) >= at_least:
                crossings.append(event.time_ms)
        start = None
        for before, now in zip([None, *crossings], [*crossings, None], strict=True):
            if start is None:
                start = now
            elif now is None or (before is not None and now - before > quiet):
                assert before is not None
                found.add((address, start, before))
                start = now
    return found
