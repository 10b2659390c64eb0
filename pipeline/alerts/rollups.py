"""Alerts that stand for many: the roll-up of a storm and the digest of old ones. Pure.

Invariant: a roll-up's members are fixed when it is written and its id follows from them and the occasion, so that
writing it again writes nothing; its total and its count are those of all members, not of the ones it shows.
"""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.alerts.behind import word
from pipeline.alerts.episodes import Episode
from pipeline.alerts.identity import rollup_id
from pipeline.alerts.record import STATES, Alert, headline
from pipeline.detection.detection import Detection
from pipeline.events.values import counted, instant_text

STORM, DIGEST = "storm", "digest"
DIGEST_RULE = "siemlite_digest"
EXAMPLES = 10
"""Members that a roll-up shows."""

_ID_SHOWN = 12
_LISTED = 1000


def of_storm(detection: Detection, members: Sequence[Alert], *, again: bool = False) -> Alert:
    """Return the roll-up of alerts of one detection; `again` says that some were there, and have become more."""
    severity = max((alert.severity for alert in members), key=lambda severity: severity.rank)
    risen = f", now up to {severity}" if again else ""
    return _rollup(
        STORM,
        members,
        f"{STORM}:{severity}" if again else STORM,
        detection_id=detection.id,
        title=f"{counted(len(members), 'alert')} at once{risen}: {detection.title}",
        guide=detection.guide,
    )


def digest(members: Sequence[Alert]) -> Alert:
    """Return the digest of alerts that were found long after they happened."""
    found = _rollup(
        DIGEST,
        members,
        DIGEST,
        detection_id=DIGEST_RULE,
        title=f"{counted(len(members), 'alert')} of the past, found late",
        guide="",
    )
    return replace(
        found,
        guide="These happened while nobody looked, or their events arrived late; those that are over are closed "
        f"already. Go through them in order of severity with `{listing(found)}`; each has its own triage guide.",
    )


def listing(rollup: Alert) -> str:
    """Return the command that lists a roll-up's alerts, whatever became of them, among others of that time."""
    states = " ".join(f"--state {state}" for state in STATES)
    which = "" if rollup.detection_id == DIGEST_RULE else f" --detection {rollup.detection_id}"
    since = instant_text(rollup.episode.first_ms)
    return f"siemlite alerts list {states}{which} --since {since} --limit {_LISTED}"


def _rollup(
    reason: str, members: Sequence[Alert], occasion: str, *, detection_id: str, title: str, guide: str
) -> Alert:
    ids = tuple(sorted(alert.id for alert in members))
    own_id = rollup_id(occasion, ids)
    foremost = sorted(members, key=lambda a: (-a.severity.rank, -a.count, a.id))
    return Alert(
        id=own_id,
        key=own_id,
        detection_id=detection_id,
        title=title,
        guide=guide,
        attack=tuple(sorted({technique for alert in members for technique in alert.attack})),
        tags=tuple(sorted({tag for alert in members for tag in alert.tags})),
        group=(),
        episode=Episode(
            number=0,
            first_ms=min(a.episode.first_ms for a in members),
            crossing_ms=min(a.episode.crossing_ms for a in members),
            last_ms=max(a.episode.last_ms for a in members),
            severity=foremost[0].severity,
            measure=len(members),
        ),
        suppress_for=max(a.suppress_for for a in members),
        count=sum(a.count for a in members),
        by_clock=all(a.by_clock for a in members),
        members=ids,
        members_total=len(members),
        examples=tuple(_example(alert, reason) for alert in foremost[:EXAMPLES]),
    )


def _example(alert: Alert, reason: str) -> str:
    unconditional = replace(alert, condition="")  # the same for all, and the roll-up's title names the detection
    line = headline(unconditional, say=word)
    what = line if reason == STORM else f"[{alert.severity.upper()}] {alert.title} {line}"
    return f"{alert.id[:_ID_SHOWN]} {what}"
