"""What keeps an alert from being delivered: a silence, or an alert that says more of the same group.

Invariant: only an alert that is not over inhibits, and only the same group, and none that is silenced itself, for
then nobody would be told; the one that is kept quiet is recorded all the same and names the one that speaks for it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from elasticsearch import Elasticsearch

from pipeline.alerts.identity import episode_key
from pipeline.alerts.record import ACKNOWLEDGED, OPEN, Alert, Silenced
from pipeline.alerts.search import readable
from pipeline.alerts.silences import Silences
from pipeline.detection.detection import Detection

Inhibits = Mapping[str, tuple[str, ...]]
"""By detection id, the ids of the detections that it keeps quiet."""


def inhibits_of(detections: Iterable[Detection]) -> Inhibits:
    """Return which detections keep which quiet."""
    return {detection.id: detection.kind.inhibits for detection in detections if detection.kind.inhibits}


class Quietness:
    """Implements `pipeline.alerts.ports.Quiet`; `inhibits` is asked anew each time, as detections may be reloaded."""

    def __init__(self, client: Elasticsearch, silences: Silences, inhibits: Callable[[], Inhibits] = dict) -> None:
        self._client = client
        self._silences = silences
        self._inhibits = inhibits

    def silence(self, alert: Alert, now_ms: int) -> Silenced | None:
        """See `Quiet.silence`."""
        return self._silences.match(alert, now_ms)

    def inhibitors(self, alerts: Sequence[Alert]) -> Mapping[str, str]:
        """See `Quiet.inhibitors`."""
        wanted: dict[str, list[Alert]] = {}
        for inhibitor, kept_quiet in self._inhibits().items():
            for alert in alerts:
                if alert.detection_id in kept_quiet and alert.detection_id != inhibitor:
                    wanted.setdefault(episode_key(inhibitor, alert.group, alert.drill), []).append(alert)
        found: dict[str, str] = {}
        keys = sorted(wanted)
        for start in range(0, len(keys), 500):
            query = {
                "bool": {
                    "filter": [
                        {"terms": {"siemlite.episode.key": keys[start : start + 500]}},
                        {"terms": {"siemlite.state": [OPEN, ACKNOWLEDGED]}},
                    ]
                }
            }
            for speaker in readable(self._client, query):
                if speaker.silence is not None:
                    continue
                for alert in wanted[speaker.key]:
                    if alert.episode.crossing_ms <= speaker.episode.last_ms + speaker.suppress_for:
                        found.setdefault(alert.id, speaker.id)
        return found
