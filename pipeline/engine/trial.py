"""Running the examples that detections carry through the production engine, on an index of their own.

Every example of every detection is written to one index with the mapping of event indices, and each is
evaluated in a world of its own, so that all run at once and none sees another. Invariants: nothing of the real
events is read or written; the index is gone afterwards, also when a run fails; a detection's mutations see the
same events as the detection.
"""

import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from pipeline.detection.detection import Detection
from pipeline.detection.examples import Example
from pipeline.detection.mutations import mutations
from pipeline.detection.realise import RealEvent, realised
from pipeline.elastic.client import translated
from pipeline.elastic.search import Searcher
from pipeline.elastic.templates import shipped
from pipeline.engine.checkpoint import Checkpoint
from pipeline.engine.evaluation import Evaluated, evaluate
from pipeline.engine.finding import Finding
from pipeline.engine.indices import Indices, look, refresh
from pipeline.engine.plan import plan
from pipeline.engine.scope import Scope
from pipeline.engine.steps import Step, run, unforeseen
from pipeline.engine.ticking import Tick
from pipeline.engine.view import View
from pipeline.errors import SiemliteError
from pipeline.events.mark import DRILL
from pipeline.events.values import instant_text

BASE_MS = 1_767_571_200_000
"""The midnight at which every example begins: Monday, 5 January 2026, UTC."""

_PREFIX = "security-trial-"
_NEVER_LATE_MS = 2**52
_STEP = 2**31
_PAGE = 200
_EVENTS_PER_REQUEST = 5_000


@dataclass(frozen=True, slots=True)
class Case:
    """An example of a detection, and what became of it: `findings`, or the `error` that kept it from running."""

    example: Example
    fires: bool
    documents: tuple[RealEvent, ...]
    findings: tuple[Finding, ...] = ()
    error: str | None = None

    @property
    def passed(self) -> bool:
        """Return whether the example did what its detection says."""
        return self.error is None and bool(self.findings) == self.fires


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a detection's examples came to. `untested` names the mutations that no example tells from it."""

    detection: Detection
    cases: tuple[Case, ...]
    untested: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Return whether all examples did what the detection says, and there is one that fires."""
        return all(case.passed for case in self.cases) and any(case.fires for case in self.cases)


@dataclass(slots=True)
class _Unit:
    """One definition over one example: the detection itself, or its mutation called `mutation`."""

    detection: Detection
    case: int
    world: str
    mutation: str | None
    fires: bool
    since: Checkpoint = field(default_factory=Checkpoint)
    findings: list[Finding] = field(default_factory=list)
    error: str | None = None


def run_examples(
    client: Elasticsearch,
    detections: Sequence[Detection],
    *,
    mutate: bool = True,
    stop: threading.Event | None = None,
) -> tuple[Verdict, ...]:
    """Run the examples of `detections`, and with `mutate` those of their mutations too.

    Returns no verdict at all where `stop` is set before they are all known, which is looked at between searches.
    Raises `RetryableError` where Elasticsearch does not answer.
    """
    stop = stop or threading.Event()
    cases = {detection.id: _cases(detection) for detection in detections}
    units = [
        unit
        for detection in detections
        for mutation, definition in _definitions(detection, mutate=mutate)
        for unit in _units(definition, cases[detection.id], mutation)
    ]
    passes = max((event.arrives for own in cases.values() for case in own for event in case.documents), default=0) + 1
    searcher = Searcher(client)
    with _index(client) as index:
        for number in range(passes):
            refused = _write(client, index, cases, number)
            for unit in units:
                unit.error = unit.error or refused.get((unit.detection.id, unit.case))
            refresh(client, [index])
            indices = look(client, index)
            steps = _steps(indices, units, cases, number, last=number == passes - 1)
            if not _evaluate(searcher, steps, stop):
                return ()
    return tuple(_verdict(detection, cases[detection.id], units) for detection in detections)


def _cases(detection: Detection) -> tuple[Case, ...]:
    kind = detection.kind
    examples = [*((example, True) for example in kind.fires), *((example, False) for example in kind.quiet)]
    return tuple(_case(detection, example, fires, str(number)) for number, (example, fires) in enumerate(examples))


def _case(detection: Detection, example: Example, fires: bool, token: str) -> Case:
    try:
        return Case(example, fires, tuple(realised(detection, example, BASE_MS, token)))
    except Exception as error:  # noqa: BLE001 - a defect in one must not end the others
        return Case(example, fires, (), error=f"no events can be made of it: {type(error).__name__}: {error}")


def _definitions(detection: Detection, *, mutate: bool) -> Iterator[tuple[str | None, Detection]]:
    yield None, detection
    try:
        for label, kind in mutations(detection.kind) if mutate else ():
            yield label, replace(detection, kind=kind)
    except Exception as error:  # noqa: BLE001 - a defect in one must not end the others
        # What cannot be made wrong is the detection as it is, and so comes out as untested.
        yield f"mutations that cannot be made ({unforeseen(error)})", detection


def _units(detection: Detection, cases: Sequence[Case], mutation: str | None) -> Iterator[_Unit]:
    for number, case in enumerate(cases):
        yield _Unit(detection, number, _world(detection.id, number), mutation, case.fires, error=case.error)


def _world(detection_id: str, number: int) -> str:
    return f"{detection_id} {number}"


@contextmanager
def _index(client: Elasticsearch) -> Iterator[str]:
    name = f"{_PREFIX}{secrets.token_hex(8)}"
    mappings = next(template for template in shipped() if template.name == "security-logs@mappings")
    with translated("making the index of the examples"):
        client.indices.create(
            index=name,
            settings={"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"},
            mappings=mappings.body["template"]["mappings"],
        )
    try:
        yield name
    finally:
        with translated("deleting the index of the examples"):
            client.indices.delete(index=name, ignore_unavailable=True)


_CaseOf = tuple[str, int]
"""A detection's id, and the number of one of its examples."""


def _write(
    client: Elasticsearch, index: str, cases: Mapping[str, Sequence[Case]], number: int
) -> Mapping[_CaseOf, str]:
    """Write the events that arrive with pass `number`; return why events of an example could not be written."""
    refused: dict[_CaseOf, str] = {}
    owners: list[_CaseOf] = []
    lines: list[Any] = []  # bytes, which the client's types do not know of
    for name, own in cases.items():
        for case_number, case in enumerate(own):
            for event in case.documents:
                if event.arrives != number:
                    continue
                try:
                    body = orjson.dumps(
                        {**event.fields, "@timestamp": instant_text(event.time_ms), DRILL: _world(name, case_number)}
                    )
                except (TypeError, ValueError, OverflowError) as error:
                    refused[name, case_number] = f"an event cannot be written: {error}"
                    continue
                owners.append((name, case_number))
                lines.append(b'{"create":{"_index":"%b"}}\n%b\n' % (index.encode(), body))
    for start in range(0, len(lines), _EVENTS_PER_REQUEST):
        with translated("writing the examples"):
            answer = client.bulk(operations=lines[start : start + _EVENTS_PER_REQUEST])
        for owner, item in zip(owners[start:], answer["items"], strict=False):
            cause = item["create"].get("error")
            if cause is not None:
                refused.setdefault(owner, f"Elasticsearch refuses an event: {cause.get('reason', cause)}")
    return refused


def _steps(
    indices: Indices,
    units: Sequence[_Unit],
    cases: Mapping[str, Sequence[Case]],
    number: int,
    *,
    last: bool,
) -> Iterator[tuple[_Unit, Step[Evaluated]]]:
    """Yield what pass `number` evaluates of each unit."""
    for unit in units:
        case = cases[unit.detection.id][unit.case]
        ready = [event.time_ms for event in case.documents if event.arrives <= number]
        if unit.error is not None or (not last and not any(f.arrives > number for f in case.documents)):
            continue
        now_ms = BASE_MS + case.example.end_ms if last else max(ready, default=BASE_MS)
        scope = Scope(({"term": {DRILL: {"value": unit.world}}},), drill=unit.world)
        own = plan(unit.since, indices, now_ms, _NEVER_LATE_MS, _STEP)
        before, unit.since = unit.since, Checkpoint(own.positions, now_ms, now_ms)
        view = View(unit.detection, indices, scope, page=_PAGE)
        clock = Tick(now_ms if before.clock_ms is None else before.clock_ms, now_ms)
        yield unit, evaluate(view, own, clock)


def _evaluate(searcher: Searcher, steps: Iterator[tuple[_Unit, Step[Evaluated]]], stop: threading.Event) -> bool:
    """Run `steps`; return whether all were, and not only those before `stop` was set."""
    going_on = takewhile(lambda _: not stop.is_set(), steps)
    for unit, outcome in run(searcher, going_on):
        if isinstance(outcome, SiemliteError):
            unit.error = str(outcome)
        else:
            unit.findings += outcome.findings
            unit.error = outcome.trouble or None
        if stop.is_set():
            return False
    return not stop.is_set()


def _verdict(detection: Detection, cases: Sequence[Case], units: Sequence[_Unit]) -> Verdict:
    own = [unit for unit in units if unit.detection.id == detection.id]
    done = tuple(
        replace(cases[unit.case], findings=tuple(unit.findings), error=unit.error)
        for unit in own
        if unit.mutation is None
    )
    told_apart = {unit.mutation for unit in own if unit.error is not None or bool(unit.findings) != unit.fires}
    labels = dict.fromkeys(unit.mutation for unit in own if unit.mutation is not None)
    return Verdict(detection, done, tuple(label for label in labels if label not in told_apart))
