"""An alert: an episode, what is known of it, what people made of it, and what is owed for it. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.alerts.behind import looked_at, quoted
from pipeline.alerts.episodes import Episode
from pipeline.alerts.identity import alert_id
from pipeline.alerts.outbox import Outbox, Subject
from pipeline.detection.detection import Detection
from pipeline.detection.timeline import Severity
from pipeline.elastic.compare_and_set import Version
from pipeline.engine.finding import Group
from pipeline.events.values import counted, instant_text, shortened

INDEX = "security-alerts-v1"
ALIAS = "security-alerts"

OPEN, ACKNOWLEDGED, CLOSED = "open", "acknowledged", "closed"
STATES = (OPEN, ACKNOWLEDGED, CLOSED)
SIEMLITE = "siemlite"
"""Who closed an alert that ended by itself."""

RISK = {Severity.LOW: 21, Severity.MEDIUM: 47, Severity.HIGH: 73, Severity.CRITICAL: 99}
"""`event.severity` by severity, on the scale that Elastic's own detection rules use for risk scores."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a person, or the want of crossings, made of an alert: by whom, when and why."""

    by: str
    at_ms: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Silenced:
    """The silence that keeps an alert quiet."""

    id: str
    author: str
    until_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Membership:
    """That an alert reaches people as part of a roll-up: `reason` is `storm` or `digest`.

    `id` is the roll-up's; it is `None` while a digest still gathers its members, `since_ms` when it began to wait.
    """

    reason: str
    id: str | None
    since_ms: int


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert. Instants are milliseconds since the epoch; `version` is that of the document it was read from.

    `condition` is what the detection asked for when the alert was raised, such as `5 events within 15 minutes`; of a
    silence, the count of events alone would say the contrary. `query` is which events it looked at, as a query clause
    of Elasticsearch in JSON; `examples` are lines about its latest events when it was raised, a roll-up's of members.
    `by_clock` says that its crossings are no events but instants at which too few had come.
    """

    id: str
    key: str
    detection_id: str
    title: str
    guide: str
    attack: tuple[str, ...]
    tags: tuple[str, ...]
    group: Group
    episode: Episode
    suppress_for: int
    count: int
    condition: str = ""
    query: str = ""
    by_clock: bool = False
    state: str = OPEN
    drill: str | None = None
    deliveries: Outbox = ()
    samples: tuple[Mapping[str, Any], ...] = ()
    acknowledged: Standing | None = None
    closed: Standing | None = None
    silence: Silenced | None = None
    membership: Membership | None = None
    members: tuple[str, ...] = ()
    members_total: int = 0
    examples: tuple[str, ...] = ()
    inhibited_by: str | None = None
    version: Version | None = field(default=None, compare=False)

    @property
    def severity(self) -> Severity:
        """Return the highest severity that the episode reached."""
        return self.episode.severity

    @property
    def span(self) -> tuple[str, str]:
        """Return what its first and its last instant are called."""
        if not self.by_clock:
            return ("First event", "Last event")
        return ("Quiet since" if self.is_quiet else "Few since", "Noticed")

    @property
    def is_quiet(self) -> bool:
        """Return whether it stands for silences in which nothing came at all: of a drop, some events may."""
        return self.by_clock and self.count <= max(1, self.members_total)

    @property
    def is_rollup(self) -> bool:
        """Return whether it stands for other alerts."""
        return self.members_total > 0

    @property
    def subject(self) -> Subject:
        """Return what the choice of channels depends on."""
        return Subject(self.detection_id, self.severity, self.tags, self.drill)


def new_alert(
    detection: Detection,
    key: str,
    group: Group,
    episode: Episode,
    *,
    count: int,
    samples: Sequence[Mapping[str, Any]] = (),
    drill: str | None = None,
) -> Alert:
    """Return the alert of a new episode, owed to nobody yet."""
    return Alert(
        id=alert_id(key, episode.number),
        key=key,
        detection_id=detection.id,
        title=detection.title,
        guide=detection.guide,
        attack=tuple(detection.attack),
        tags=tuple(detection.kind.tags),
        group=group,
        episode=episode,
        suppress_for=detection.suppress_for,
        count=count,
        condition=shortened(detection.kind.summary(), 200),
        query=looked_at(detection.kind.clause),
        by_clock=detection.kind.follows_clock,
        drill=drill,
        samples=tuple(samples),
    )


def headline(alert: Alert, clean: Callable[[str], str] = str, say: Callable[[str], str] = quoted) -> str:
    """Return what happened in one line, and what was asked for.

    `clean` redacts each value of the group by itself, so that none of them hides what is said after it; one with
    blanks or commas stands in quotes, for it may read like the rest of the line: `say` puts it there.
    """
    who = ", ".join(f"{name}={clean(say(shortened(value, 120)))}" for name, value in alert.group)
    first, last = instant_text(alert.episode.first_ms), instant_text(alert.episode.last_ms)
    events = counted(alert.count, "event")
    what = f"{events} from {first} to {last}"
    if alert.by_clock:
        what = f"{'quiet' if alert.is_quiet else events} since {first}, noticed {last}"
    if alert.is_rollup:
        return f"{counted(alert.members_total, 'alert')}, {what}"
    happened = f"{who}: {what}" if who else what
    return f"{happened} ({clean(alert.condition)})" if alert.condition else happened
