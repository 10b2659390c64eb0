"""How many events an episode has, at a cost that does not grow with its age.

Invariant: a count is whole when an episode opens, and again every few minutes of one that goes on for days; between
these only what came since is counted, and what came out of order waits for the next whole count.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.alerts.episodes import Amend, Open
from pipeline.alerts.ports import EvidenceSource
from pipeline.clock import Clock
from pipeline.detection.detection import Detection
from pipeline.engine.finding import Group
from pipeline.engine.result import Wanted

_LONG_MS = 86_400_000
_WHOLE_EVERY_S = 300.0
_REMEMBERED = 10_000

Decided = tuple[str, Group, str | None, Open | Amend]
"""What was decided of a group: its key, the group, its drill, the decision."""


class Count(NamedTuple):
    """Events counted; `further` ones come to those that the alert has."""

    events: int
    further: bool


class Counting:
    """Counts events of episodes by `evidence`."""

    def __init__(self, evidence: EvidenceSource, clock: Clock) -> None:
        self._evidence = evidence
        self._clock = clock
        self._whole_until: dict[tuple[str, int], float] = {}

    def counts(self, detection: Detection, decided: Sequence[Decided]) -> Sequence[Count]:
        """Return the count of each decision's episode."""
        if not decided:
            return ()
        now = self._clock.monotonic()
        if len(self._whole_until) >= _REMEMBERED:
            self._whole_until.clear()
        wanted: list[Wanted] = []
        further: list[bool] = []
        for key, group, drill, decision in decided:
            episode = decision.episode if isinstance(decision, Open) else decision.after
            first_ms = episode.first_ms
            part = False
            if isinstance(decision, Amend) and _goes_on_for_long(decision):
                part = now < self._whole_until.get((key, episode.number), 0.0)
                if part:
                    first_ms = decision.before.last_ms + 1
                else:
                    self._whole_until[key, episode.number] = now + _WHOLE_EVERY_S
            wanted.append(Wanted(group, first_ms, episode.last_ms, drill))
            further.append(part)
        return [Count(*one) for one in zip(self._evidence.counts(detection, wanted), further, strict=True)]


def _goes_on_for_long(decision: Amend) -> bool:
    before, after = decision.before, decision.after
    long = before.last_ms - before.first_ms > _LONG_MS
    return long and after.first_ms == before.first_ms and after.last_ms > before.last_ms
