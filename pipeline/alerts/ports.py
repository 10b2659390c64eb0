"""What raising alerts takes and gives: evidence, quiet, limits, and the result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.alerts.record import Alert, Silenced
from pipeline.detection.detection import Detection
from pipeline.detection.timeline import Crossing
from pipeline.elastic.compare_and_set import Source
from pipeline.engine.result import Wanted


class EvidenceSource(Protocol):
    """What the alerts ask the engine; `pipeline.alerts.evidence` adapts the real one."""

    def counts(self, detection: Detection, wanted: Sequence[Wanted]) -> Sequence[int]:
        """Return the exact number of the detection's events in each, in order."""
        ...

    def samples(self, detection: Detection, wanted: Sequence[Wanted], size: int) -> Sequence[Sequence[Source]]:
        """Return up to `size` of the events of each, as stored, in order."""
        ...

    def crossings_after(self, detection: Detection, wanted: Sequence[Wanted]) -> Sequence[Sequence[Crossing]]:
        """Return the crossings that the events of each make by themselves, without any before its `first_ms`."""
        ...


class Quiet(Protocol):
    """What keeps an alert from being delivered."""

    def silence(self, alert: Alert, now_ms: int) -> Silenced | None:
        """Return the silence that applies to the alert now."""
        ...

    def inhibitors(self, alerts: Sequence[Alert]) -> Mapping[str, str]:
        """Return, by alert id, the id of the alert that says more of the same group."""
        ...


@dataclass(frozen=True, slots=True)
class FloodLimits:
    """What keeps people from being flooded: see `SIEMLITE_STORM` and `SIEMLITE_PAGE_MAX_AGE` (milliseconds)."""

    storm: int = 20
    page_max_age_ms: int = 3_600_000


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What became of findings: the alerts `opened`, how many were `amended`, and the `rollup` over new ones."""

    opened: tuple[Alert, ...] = ()
    amended: int = 0
    rollup: Alert | None = None

    @property
    def changed(self) -> bool:
        """Return whether anything was written."""
        return bool(self.opened) or self.amended > 0


class NothingQuiet:
    """No silences and no inhibition."""

    def silence(self, alert: Alert, now_ms: int) -> Silenced | None:
        """See `Quiet.silence`."""
        del alert, now_ms
        return None

    def inhibitors(self, alerts: Sequence[Alert]) -> Mapping[str, str]:
        """See `Quiet.inhibitors`."""
        del alerts
        return {}
