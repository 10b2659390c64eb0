"""What the engine answers: the outcome of one pass of one detection.

Invariant: an answer is exact or says that it is not: `complete` is false, `error` names the reason, and the
checkpoint has not moved over what was not evaluated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.detection.detection import Detection
from pipeline.engine.checkpoint import Checkpoint
from pipeline.engine.finding import Finding, Group


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a pass looked at: numbers of events unless said otherwise.

    `arrived` sequence numbers were evaluated, `behind` are still to be; `touched` groups received events and
    `suspects` of them were looked at event by event. Not evaluated: `too_late` events came later than the
    late horizon, `misfiled` ones lie in an index that is not their day's, `ungrouped` ones lack a field of the
    group; and `unjudged` groups, whose condition failed. `oldest_ms` and `newest_ms` are the instants between which
    the arrivals looked at happened, to within a span; None where none arrived.
    """

    arrived: int = 0
    behind: int = 0
    touched: int = 0
    suspects: int = 0
    too_late: int = 0
    misfiled: int = 0
    ungrouped: int = 0
    unjudged: int = 0
    oldest_ms: int | None = None
    newest_ms: int | None = None


class Learned(NamedTuple):
    """That a combination of values, known by `name`, was seen at `last_ms`; it matters until `until_ms`."""

    name: str
    last_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class PassResult:
    """The outcome of one pass of `detection`.

    `checkpoint` is to be stored once the alerts for `findings` are written and `Engine.settle` has been
    called with this result. `complete` says that all that was due was evaluated; where not, `error` says why
    on one line, and otherwise for which groups the condition failed, if any. `more` says that arrivals remain
    that this bounded step did not reach: evaluate again soon.
    """

    detection: Detection
    checkpoint: Checkpoint
    findings: tuple[Finding, ...] = ()
    complete: bool = True
    more: bool = False
    error: str | None = None
    coverage: Coverage = Coverage()
    learned: tuple[Learned, ...] = ()
    """What `Engine.settle` has to remember."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An event as stored; `source` is its document, `time_ms` its instant."""

    index: str
    id: str
    time_ms: int
    source: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose events, from and to which instant (both included), and of which drill, if of one."""

    group: Group
    first_ms: int
    last_ms: int
    drill: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """How many events there are, exactly, and the latest of them, the latest first."""

    count: int
    samples: tuple[Sample, ...] = ()
