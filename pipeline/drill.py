"""The drill: a detection's own example as signed events through the real path, to see whether anybody is told.

Invariants: a drill's events take the same way as all others (redaction, spool, Elasticsearch, engine, outbox,
channel) and differ by a mark that is signed with this installation's key; a drill reaches no person's channel
unless paging is asked for; what is measured is the time from when its events are logged, which is the time of the last
of them but where the detection goes by the time of day.
"""

import secrets
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.alerts.outbox import DeliveryState
from pipeline.alerts.record import Alert
from pipeline.alerts.search import all_alerts, refresh
from pipeline.app.watching import App
from pipeline.delivery.routing import PAGING_DRILL
from pipeline.detection.detection import Detection
from pipeline.detection.examples import Example
from pipeline.detection.realise import RealEvent, realised
from pipeline.engine.loader import Loaded
from pipeline.errors import ConfigurationError, RetryableError, SiemliteError
from pipeline.events.encoder import Draft
from pipeline.events.identity import WRITER_BYTES, WriterIdentity
from pipeline.events.mark import DrillMarker, drill_name
from pipeline.events.values import instant_text
from pipeline.scheduler.lease import leader

FIRST = "brute_force_by_address"
WAIT_SECONDS = 60.0
_LOOK_SECONDS = 0.1
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class DrillResult:
    """What a drill showed, in seconds since its events were logged: None where it did not happen in time."""

    detection_id: str
    drill_id: str
    alert_seconds: float | None = None
    delivered_seconds: float | None = None
    channels: tuple[str, ...] = ()
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Return whether an alert was raised and delivered."""
        return self.alert_seconds is not None and self.delivered_seconds is not None


def run_drills(
    app: App,
    detections: Sequence[Detection],
    stop: threading.Event,
    *,
    page: bool = False,
    wait_seconds: float = WAIT_SECONDS,
) -> Iterator[DrillResult]:
    """Play the first firing example of each detection at the same time; yield each result as it is known.

    Somebody else ships and schedules: `siemlite up`, or `ship` and `scheduler`. Raises `ConfigurationError` where the
    scheduler that leads would not believe the drill's mark, and would page people for a real attack.
    """
    _refuse_other_key(app)
    drills = {}
    for detection in detections:
        if not detection.kind.fires:
            yield DrillResult(detection.id, "", reason="it carries no example that fires")
            continue
        drill_id = drill_name(PAGING_DRILL if page else "drill-", secrets.token_hex(8), detection.id)
        now_ms = app.clock.now_ms()
        try:
            drafts = drafts_of(detection, now_ms, drill_id)
        except Exception as error:  # noqa: BLE001 - a defect in one detection must not keep the others from their drills
            reason = f"no events can be made of its example: {type(error).__name__}: {error}"
            yield DrillResult(detection.id, drill_id, reason=reason)
            continue
        _play(app, drafts)
        drills[drill_id] = (detection, now_ms)
    deadline = app.clock.monotonic() + wait_seconds
    seen: dict[str, DrillResult] = {}
    while drills and not stop.is_set() and app.clock.monotonic() < deadline:
        for drill_id, (detection, logged_ms) in list(drills.items()):
            result = seen.get(drill_id, DrillResult(detection.id, drill_id))
            try:
                result = seen[drill_id] = _look(app, detection, logged_ms, result)
            except RetryableError as error:
                seen[drill_id] = replace(result, reason=str(error))
            if result.passed:
                del drills[drill_id]
                yield result
        app.clock.wait(stop, _LOOK_SECONDS)
    for drill_id in drills:
        found = seen.get(drill_id, DrillResult(drills[drill_id][0].id, drill_id))
        why = "no alert was raised" if found.alert_seconds is None else "the alert was not delivered"
        until = "before the drill was ended" if stop.is_set() else f"within {wait_seconds:.0f} s"
        yield replace(found, reason=f"{why} {until}" + (f"; {found.reason}" if found.reason else ""))


def canary(app: App, stop: threading.Event, *, wait_seconds: float = WAIT_SECONDS) -> str | None:
    """Drill one detection; return what is wrong, or None. Something beside the caller must ship."""
    try:
        for result in run_drills(app, (app.loaded[FIRST],), stop, wait_seconds=wait_seconds):
            if not result.passed and not stop.is_set():
                return drill_line(result)
    except SiemliteError as error:
        return str(error)
    return None


def _refuse_other_key(app: App) -> None:
    found = leader(app.client)
    if found is None:
        return
    name, fingerprint = found
    if fingerprint and fingerprint != DrillMarker(app.keys.drill).fingerprint:
        raise ConfigurationError(
            f"the scheduler that leads ({name}) does not know this home's key for drills and would take one for an "
            f"attack; drill there, or copy its drill.key to {app.settings.keys_folder}"
        )


def chosen_for_drill(loaded: Loaded, ids: Sequence[str], *, everything: bool) -> tuple[Detection, ...]:
    """Return the detections `ids`, or all, or the one that stands for the path when nothing is said.

    Raises `ConfigurationError` for a name that there is not, and for names beside all.
    """
    if everything and ids:
        raise ConfigurationError(f"--all drills every detection; leave it out, or {', '.join(ids)}")
    if everything:
        return loaded.detections
    return tuple(loaded[name] for name in (ids or (FIRST,)))


def drill_line(result: DrillResult) -> str:
    """Return a result as a line for people."""
    if result.passed:
        return (
            f"{result.detection_id}: fired; alert {result.alert_seconds:.1f} s after its events were logged, "
            f"delivered to {', '.join(result.channels)} after {result.delivered_seconds:.1f} s"
        )
    return f"{result.detection_id}: NOT PASSED: {result.reason}"


_SPOKEN = {"session.id": "session_hash"}
"""What an application says for a field whose own name is that of a secret."""

_NUMBER, _DATA, _OWN = "siemlite.number.", "siemlite.data.", "siemlite."
_PROVED = "proved"
_NEXT = (
    "log an event:     from pipeline import SecurityEvent, SecurityLogger; "
    "SecurityLogger(service='my-app').log(SecurityEvent.LOGIN_FAILURE, user_id='u1', ip='192.0.2.1')",
    "follow a file:    make run FOLLOW=/var/log/auth.log FORMAT=authlog",
    "open Kibana:      point it at {url} and make its data views as README.md says: links in alerts name them by id",
    "add a detection:  copy {example} to a folder of yours under a new name, change it, and name the folder in "
    "SIEMLITE_DETECTIONS",
)


def prove_first_start(app: App, stop: threading.Event) -> None:
    """On the first start in a home, drill one detection, say how long it took, and what to do next."""
    marker = app.settings.siemlite_home / _PROVED
    if marker.exists():
        return
    try:
        detection = app.loaded[FIRST]
        app.notify(f"first start: drilling {detection.id} with a signed, synthetic attack")
        for result in run_drills(app, (detection,), stop):
            app.notify(f"drill: {drill_line(result)}")
            if not result.passed:
                return
    except ConfigurationError as error:
        app.notify(f"first start: not drilled: {error}")
        return
    marker.touch(mode=0o600)
    app.notify("what to do next:")
    for line in _NEXT:
        app.notify(f"  {line.format(url=app.url, example=detection.path)}")


def drafts_of(detection: Detection, now_ms: int, drill_id: str) -> list[Draft]:
    """Return the events of a firing example, played at `now_ms`, as an application would log them."""
    example, last_ms = example_to_play(detection, now_ms)
    identity = WriterIdentity(secrets.token_bytes(WRITER_BYTES))
    events = realised(detection, example, last_ms - example.end_ms, drill_id.partition(".")[0][-12:])
    return [_draft(detection, event, identity.event_id(number), drill_id) for number, event in enumerate(events, 1)]


def _play(app: App, drafts: Sequence[Draft]) -> None:
    """Spool the events of a drill."""
    owned = app.spools.for_writer()
    try:
        intake = app.intake(owned.spool, live=True)
        intake.take(drafts, {}, threading.Event())
        intake.flush(threading.Event())
    finally:
        owned.close()


def example_to_play(detection: Detection, now_ms: int) -> tuple[Example, int]:
    """Return an example that fires and the instant for its last event: the first, now.

    For a detection that goes by the time of day: the example of the first day whose time of day was last.
    """
    examples = detection.kind.fires
    daily = [one for one in examples if one.end_ms < _DAY_MS] if detection.kind.at_its_time_of_day else []
    if not daily:
        return examples[0], now_ms
    age_ms, number = min(((now_ms - one.end_ms) % _DAY_MS, number) for number, one in enumerate(daily))
    return daily[number], now_ms - age_ms


def _draft(detection: Detection, event: RealEvent, event_id: str, drill_id: str) -> Draft:
    """Return the event as an application would log it, with what only siemlite itself writes beside it."""
    raw: dict[str, Any] = {"message": f"drill of {detection.id}", "@timestamp": instant_text(event.time_ms)}
    numbers: dict[str, Any] = {}
    own: dict[str, str] = {}
    for name, value in event.fields.items():
        if name.startswith(_NUMBER):
            numbers[name.removeprefix(_NUMBER)] = value
        elif name.startswith(_DATA):
            raw[name.removeprefix(_DATA)] = value
        elif name.startswith(_OWN):
            own[name.removeprefix(_OWN)] = value
        else:
            raw[_SPOKEN.get(name, name)] = value
    if numbers:
        raw["numbers"] = numbers
    return Draft(raw, event_id, drill_id, own)


def _look(app: App, detection: Detection, logged_ms: int, result: DrillResult) -> DrillResult:
    alert = _alert(app.client, detection.id, result.drill_id)
    if alert is None or not alert.deliveries:
        return result
    if result.alert_seconds is None:
        raised_ms = min(delivery.created_ms for delivery in alert.deliveries)
        result = replace(result, alert_seconds=(raised_ms - logged_ms) / 1000)
    sent = [delivery for delivery in alert.deliveries if delivery.state is DeliveryState.SENT]
    if sent:
        first = min(delivery.sent_ms or app.clock.now_ms() for delivery in sent)
        result = replace(
            result,
            delivered_seconds=(first - logged_ms) / 1000,
            channels=tuple(sorted({delivery.channel for delivery in sent})),
        )
    return result


def _alert(client: Elasticsearch, detection_id: str, drill_id: str) -> Alert | None:
    refresh(client)
    query = {"bool": {"filter": [{"term": {"siemlite.drill.id": drill_id}}, {"term": {"rule.id": detection_id}}]}}
    return next(iter(all_alerts(client, query)), None)
