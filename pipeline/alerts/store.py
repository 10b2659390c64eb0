"""Turning findings into alerts, so that every true episode has exactly one document.

Wiring: `AlertStore(client, engine_evidence, routes, clock)`; the scheduler's pass calls `apply(detection, findings)`
and moves the detection's checkpoint only after it returned; `detect` calls it with `on_purpose=True`.

Invariants: applying the same findings again writes nothing; an alert and what is owed for it are one write;
where another writer was faster, what it wrote is read by id and the decision is made again; a roll-up is
written before its members, which name it and are owed to nobody by themselves, so that a crash between the
two leaves no group untold. When `apply` raises, any part may have been written, and applying again completes it.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from elasticsearch import Elasticsearch

from pipeline.alerts import outbox, rollups
from pipeline.alerts.amending import Amending
from pipeline.alerts.behind import lines
from pipeline.alerts.counting import Counting
from pipeline.alerts.document import changing, from_document, to_source
from pipeline.alerts.episodes import Amend, Open, closed_until, plan
from pipeline.alerts.identity import episode_key
from pipeline.alerts.lookup import History, Span, histories
from pipeline.alerts.outbox import Routes
from pipeline.alerts.ports import ApplyResult, EvidenceSource, FloodLimits, NothingQuiet, Quiet
from pipeline.alerts.record import ALIAS, INDEX, Alert, Membership, new_alert
from pipeline.alerts.search import HEAVY
from pipeline.clock import Clock
from pipeline.detection.detection import Detection
from pipeline.detection.timeline import Crossing, Severity
from pipeline.elastic.compare_and_set import Create, Merge, Outcome, Result, read_many, require_template, write_many
from pipeline.engine.finding import Finding, Group
from pipeline.engine.result import Wanted
from pipeline.errors import PermanentError, RetryableError

SAMPLES = 3
"""Sample events that an alert keeps."""

_log = logging.getLogger(__name__)
_WRITE_BATCH = 200
_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class _Case:
    """A group's findings and what is decided about them."""

    key: str
    group: Group
    drill: str | None
    crossings: tuple[Crossing, ...]


@dataclass(frozen=True, slots=True)
class _Draft:
    """An alert as it is to be: new where `before` is `None`."""

    case: _Case
    before: Alert | None
    after: Alert


class AlertStore:
    """The alerts' one writer on behalf of detections."""

    def __init__(
        self,
        client: Elasticsearch,
        evidence: EvidenceSource,
        routes: Routes,
        clock: Clock,
        *,
        quiet: Quiet | None = None,
        limits: FloodLimits | None = None,
    ) -> None:
        self._client = client
        self._evidence = evidence
        self._routes = routes
        self._clock = clock
        self._quiet = quiet or NothingQuiet()
        self._limits = limits or FloodLimits()
        self._amending = Amending(routes, self._quiet, self._limits, clock)
        self._set_up = False
        self._counting = Counting(evidence, clock)

    def apply(self, detection: Detection, findings: Iterable[Finding], *, on_purpose: bool = False) -> ApplyResult:
        """Write what `findings` of `detection` mean.

        With `on_purpose` each new alert is delivered by itself, however many and however old they are.
        Raises `RetryableError` where Elasticsearch fails, `PermanentError` where it refuses an alert,
        `ConfigurationError` where siemlite is not set up.
        """
        cases = _cases(findings)
        if not cases:
            return ApplyResult()
        if not self._set_up:
            require_template(self._client, ALIAS)
            self._set_up = True
        spans = [Span(c.key, c.crossings[0].time_ms, c.crossings[-1].time_ms) for c in cases]
        known = histories(self._client, spans, detection.suppress_for)
        opened: list[Alert] = []
        amended = 0
        rollup: Alert | None = None
        for attempt in range(_ROUNDS):
            drafts = sorted(self._drafts(detection, cases, known), key=lambda d: -d.after.severity.rank)
            if attempt == 0 and not on_purpose:
                drafts, rollup = self._spared(detection, drafts)
            conflicts: list[_Draft] = []
            for start in range(0, len(drafts), _WRITE_BATCH):
                batch = self._with_samples(detection, drafts[start : start + _WRITE_BATCH])
                for draft, result in zip(batch, self._write(batch), strict=True):
                    if result.outcome is Outcome.CONFLICT:
                        conflicts.append(draft)
                        continue
                    known[draft.case.key] = known[draft.case.key].with_alert(
                        replace(draft.after, version=result.version)
                    )
                    if draft.before is None:
                        opened.append(draft.after)
                    else:
                        amended += 1
            if not conflicts:
                return ApplyResult(tuple(opened), amended, rollup)
            self._read_again(conflicts, known)
            cases = list({draft.case.key: draft.case for draft in conflicts}.values())
        raise RetryableError(f"the alerts of {detection.id} keep changing while they are written")

    def _drafts(self, detection: Detection, cases: Sequence[_Case], known: Mapping[str, History]) -> list[_Draft]:
        decided: list[tuple[_Case, Open | Amend]] = []
        news = self._news(detection, cases, known)
        for case in cases:
            existing = known[case.key].episodes()
            crossings = news.get(case.key, case.crossings)
            decisions = plan(existing, crossings, detection.suppress_for, detection.severity)
            decided.extend((case, decision) for decision in decisions)
        counts = self._counting.counts(
            detection, [(case.key, case.group, case.drill, decision) for case, decision in decided]
        )
        drafts = []
        for (case, decision), counted in zip(decided, counts, strict=True):
            count = counted.events
            if isinstance(decision, Open):
                alert = new_alert(detection, case.key, case.group, decision.episode, count=count, drill=case.drill)
                drafts.append(_Draft(case, None, alert))
            else:
                before = next(a for a in known[case.key].near if a.episode.number == decision.after.number)
                if counted.further:
                    count += before.count
                after = self._amending.amended(before, decision, count)
                if after != before:
                    drafts.append(_Draft(case, before, after))
        return self._owed(drafts)

    def _news(
        self, detection: Detection, cases: Sequence[_Case], known: Mapping[str, History]
    ) -> Mapping[str, Sequence[Crossing]]:
        """Return, by key, the crossings that count in the groups of which a person closed an alert."""
        found: dict[str, Sequence[Crossing]] = {}
        asked: list[tuple[_Case, Wanted]] = []
        for case in cases:
            cut = closed_until(known[case.key].episodes())
            if cut is None:
                continue
            kept = detection.kind.after_closing(case.crossings, cut)
            if kept is None:
                last = max(crossing.time_ms for crossing in case.crossings)
                asked.append((case, Wanted(case.group, cut + 1, last, case.drill)))
            else:
                found[case.key] = kept
        if asked:
            anew = self._evidence.crossings_after(detection, [wanted for _, wanted in asked])
            for (case, _), crossings in zip(asked, anew, strict=True):
                found[case.key] = detection.kind.renewed(crossings, case.crossings)
        return found

    def _owed(self, drafts: Sequence[_Draft]) -> list[_Draft]:
        """Fill the outboxes of new alerts, but for those that a silence or another alert keeps quiet."""
        now = self._clock.now_ms()
        fresh = [draft.after for draft in drafts if draft.before is None and draft.after.drill is None]
        inhibitors = self._quiet.inhibitors(fresh) if fresh else {}
        owed = []
        for draft in drafts:
            alert = draft.after
            if draft.before is not None:
                owed.append(draft)
                continue
            silence = None if alert.drill is not None else self._quiet.silence(alert, now)
            if silence is not None:
                alert = replace(alert, silence=silence)
            elif alert.id in inhibitors:
                alert = replace(alert, inhibited_by=inhibitors[alert.id])
            else:
                alert = replace(alert, deliveries=outbox.opened(self._routes, alert.subject, now))
            owed.append(replace(draft, after=alert))
        return owed

    def _spared(self, detection: Detection, drafts: Sequence[_Draft]) -> tuple[list[_Draft], Alert | None]:
        """Gather old alerts for a digest and a storm's into one roll-up, which is written here."""
        now = self._clock.now_ms()
        result = []
        for draft in drafts:
            alert = draft.after
            loud = draft.before is None and alert.drill is None and bool(alert.deliveries)
            if loud and now - alert.episode.last_ms > self._limits.page_max_age_ms:
                alert = replace(alert, deliveries=(), membership=Membership(rollups.DIGEST, None, now))
            result.append(replace(draft, after=alert))
        stormy = [
            draft
            for draft in result
            if (draft.before is None or not draft.before.deliveries)  # of which nobody has heard by itself
            and draft.after.drill is None
            and draft.after.deliveries
            and draft.after.severity is not Severity.CRITICAL
        ]
        if len(stormy) <= self._limits.storm:
            return result, None
        again = any(draft.before is not None for draft in stormy)
        rollup = rollups.of_storm(detection, [draft.after for draft in stormy], again=again)
        rollup = replace(rollup, deliveries=outbox.opened(self._routes, rollup.subject, now))
        self._write_rollup(rollup)
        members = set(rollup.members)
        joined = Membership(rollups.STORM, rollup.id, now)
        return [
            replace(d, after=replace(d.after, deliveries=(), membership=joined)) if d.after.id in members else d
            for d in result
        ], rollup

    def _write_rollup(self, rollup: Alert) -> None:
        result = write_many(self._client, INDEX, [Create(rollup.id, to_source(rollup))], refresh=True)[0]
        if result.outcome is Outcome.REFUSED:
            raise PermanentError(f"Elasticsearch refuses the roll-up {rollup.id}: {result.reason}")

    def _with_samples(self, detection: Detection, drafts: Sequence[_Draft]) -> list[_Draft]:
        opening = [draft for draft in drafts if draft.before is None]
        wanted = [
            Wanted(d.after.group, d.after.episode.first_ms, d.after.episode.last_ms, d.after.drill) for d in opening
        ]
        found = self._evidence.samples(detection, wanted, SAMPLES) if wanted else ()
        samples = {draft.after.id: tuple(events) for draft, events in zip(opening, found, strict=True)}
        return [
            replace(
                d, after=replace(d.after, samples=samples[d.after.id], examples=lines(detection, samples[d.after.id]))
            )
            if d.after.id in samples
            else d
            for d in drafts
        ]

    def _write(self, drafts: Sequence[_Draft]) -> Sequence[Result]:
        results = list(write_many(self._client, INDEX, [_write_of(draft) for draft in drafts], refresh=True))
        refused = [i for i, result in enumerate(results) if result.outcome is Outcome.REFUSED]
        if refused:
            bare = [_write_of(drafts[i], bare=True) for i in refused]
            for i, result in zip(refused, write_many(self._client, INDEX, bare, refresh=True), strict=True):
                if result.outcome is Outcome.REFUSED:
                    raise PermanentError(f"Elasticsearch refuses the alert {drafts[i].after.id}: {result.reason}")
                results[i] = result
        return results

    def _read_again(self, conflicts: Sequence[_Draft], known: dict[str, History]) -> None:
        present = read_many(self._client, INDEX, [draft.after.id for draft in conflicts], without=HEAVY)
        for draft in conflicts:
            history = known[draft.case.key]
            document = present.get(draft.after.id)
            if document is None:
                known[draft.case.key] = history.without(draft.after.id)
                continue
            try:
                known[draft.case.key] = history.with_alert(from_document(document))
            except PermanentError as error:
                _log.error("%s; its group goes on with the next episode", error)
                known[draft.case.key] = history.without(draft.after.id).with_number(draft.after.episode.number)


def _write_of(draft: _Draft, *, bare: bool = False) -> Create | Merge:
    if draft.before is None:
        alert = replace(draft.after, samples=()) if bare else draft.after
        return Create(alert.id, to_source(alert, fields=not bare))
    if draft.before.version is None:
        raise PermanentError(f"the alert {draft.before.id} was not read before it was changed")
    return Merge(draft.after.id, draft.before.version, changing(draft.after))


def _cases(findings: Iterable[Finding]) -> list[_Case]:
    crossings: dict[tuple[str, Group, str | None], set[Crossing]] = {}
    for finding in findings:
        crossings.setdefault((finding.detection_id, finding.group, finding.drill), set()).update(finding.crossings)
    return [
        _Case(
            key=episode_key(detection_id, group, drill),
            group=group,
            drill=drill,
            crossings=tuple(sorted(found, key=lambda c: (c.time_ms, c.first_ms))),
        )
        for (detection_id, group, drill), found in crossings.items()
        if found
    ]
