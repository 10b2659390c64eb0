"""A detection: a kind with a name, a title and a triage guide."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.detection.kind import Kind
from pipeline.detection.timeline import Severity


@dataclass(frozen=True, slots=True)
class Detection:
    """A detection as loaded: `id` is its file's stem, `title` the docstring's first line, `guide` the rest."""

    id: str
    title: str
    guide: str
    path: Path
    kind: Kind

    @property
    def severity(self) -> Severity:
        """Return the severity of an alert whose crossings bring none of their own."""
        return self.kind.base_severity

    @property
    def attack(self) -> tuple[str, ...]:
        """Return the ids of ATT&CK techniques."""
        return self.kind.attack

    @property
    def suppress_for(self) -> int:
        """Return the silence in milliseconds after which a new crossing is a new episode."""
        return self.kind.suppress_for

    @property
    def group_by(self) -> tuple[str, ...]:
        """Return the fields of a group."""
        return self.kind.group
