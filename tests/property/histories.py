"""One random history: events and passes in a random order, with all that goes wrong, held against the reference.

What goes wrong, each in some histories: late and duplicate events, ties, clocks that are wrong or stand still,
several shards, steps and pages of a few events, groups whose values are odd, requests to Elasticsearch that fail,
outages, passes that end at any point (before a detection's alerts are written, before the engine has remembered,
before the checkpoint is stored), engines that start anew, detections evaluated beside the others.

A case is one detection over one history. It holds where each crossing that the engine reports is true of the
events at that instant, none of the final truth is missing, history says the same at once, and the episodes are
those of the reference, folded in memory and in one history of eight written as alerts.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from pipeline.alerts.episodes import Episode, Open, plan
from pipeline.alerts.evidence import EngineEvidence
from pipeline.alerts.outbox import Action, Subject
from pipeline.alerts.ports import FloodLimits
from pipeline.alerts.search import all_alerts, refresh
from pipeline.alerts.store import AlertStore
from pipeline.detection import Crossing, Detection
from pipeline.elastic.client import connect
from pipeline.engine.engine import Limits
from pipeline.engine.result import PassResult
from pipeline.errors import RetryableError
from pipeline.settings import load_settings
from tests.acceptance.engine_world import DAY, MINUTE, NOON, World, detection, index_of
from tests.property.reference import Truth, episodes, truth
from tests.property.streams import events, kinds
from tests.proxy import DROP_ANSWER, DROP_REQUEST, GARBAGE, HALF_ANSWER, NOTHING, Fault, Kind, fault_proxy
from tests.unit.clocks import ManualClock

SETS = 3
"""How many detections of each kind look at one history."""

CASES = SETS * len(kinds(Random(0)))
"""Cases of one history."""

GROUPS = 6
LENGTH_MS = 400
_PASSES_MAX = 3_000
_ODD = (
    "",
    " ",
    "ä",
    "a\u0308",
    "\U0001f600",
    "null",
    "a/b\\c",
    "00",
    "0",
    "1e5",
    "true",
    "*",
    '"',
    "x" * 1_000,
    "\ufeff",
)
_FAULTS = (DROP_REQUEST, DROP_ANSWER, HALF_ANSWER, GARBAGE, Fault(Kind.STATUS, 503), Fault(Kind.STATUS, 429))
_FAULT_SHARE = 0.05


class NoRoutes:
    """Nobody is told of anything."""

    def channels(self, subject: Subject) -> tuple[str, ...]:
        """See `Routes.channels`."""
        return ()

    def understands(self, channel: str, action: Action) -> bool:
        """See `Routes.understands`."""
        return False


@dataclass(frozen=True)
class Weather:
    """What goes wrong in a history."""

    proxied: bool
    slow: bool
    skewed: bool
    outage: bool
    stored: bool
    odd_names: bool
    shards: int
    limits: Limits
    start_ms: int

    @property
    def beside(self) -> bool:
        """Return whether evaluations run beside the passes, over events that have been joined by others since."""
        return self.slow or self.proxied

    @classmethod
    def of(cls, random: Random) -> "Weather":
        slow = random.random() < 0.1
        proxied = random.random() < 0.25
        return cls(
            proxied=proxied,
            slow=slow,
            skewed=random.random() < 0.3,
            outage=random.random() < 0.2,
            stored=not proxied and random.random() < 0.17,
            odd_names=random.random() < 0.3,
            shards=random.choice((1, 1, 1, 2, 3, 5)),
            limits=Limits(
                step=random.choice((5, 30, 100_000)),
                rows_together=random.choice((0, 3, 20, 10_000)),
                page=random.choice((3, 50, 10_000)),
                slow_ms=-1 if slow else 10_000,
            ),
            start_ms=random.choice((NOON, NOON + DAY // 2 - 200)),
        )


class History:
    """One history on the Elasticsearch at `url`, which holds nothing of siemlite's."""

    def __init__(self, url: str, seed: int) -> None:
        self.random = random = Random(seed)
        self._fortune = Random(seed + 1)
        self.weather = weather = Weather.of(random)
        self.detections = [
            detection(replace(kind, suppress_for=random.choice((0, 5, 30, 100, 60 * MINUTE))), f"{name}_{number}")
            for number in range(SETS)
            for name, kind in kinds(random).items()
        ]
        self.names = random.sample(_ODD, GROUPS) if weather.odd_names else [f"a{n}" for n in range(GROUPS)]
        self.written: list[dict[str, Any]] = []
        self.found: dict[str, Truth] = {one.id: {} for one in self.detections}
        self.folded: dict[str, dict[tuple[str, ...], list[Episode]]] = {one.id: {} for one in self.detections}
        self.told: dict[str, dict[tuple[str, ...], list[list[int]]]] = {one.id: {} for one in self.detections}
        self.now_ms = weather.start_ms
        self.failing = False
        self._stack = ExitStack()
        self._store: AlertStore | None = None
        self.world = World(url, limits=weather.limits)
        self.direct = self.world.client
        if weather.proxied:
            proxy = self._stack.enter_context(fault_proxy(url, "/"))
            proxy.choose = self._fault
            self.world.client = connect(load_settings(None), proxy.url, timeout=60)
        self.world.engine = self.world.new_engine()
        if weather.stored:
            self._store = AlertStore(
                self.direct,
                EngineEvidence(self.world.engine),
                NoRoutes(),
                ManualClock(self.now_ms),
                limits=FloodLimits(storm=10**6),
            )

    def run(self) -> None:
        """Play the history; raises `AssertionError` where a case does not hold."""
        with self._stack:
            self._play()
            self._settle_down()
            self._compare()

    def _play(self) -> None:
        random, weather = self.random, self.weather
        if weather.shards > 1:
            for day in ("01", "02"):
                self.direct.indices.create(
                    index=f"security-logs-2026.01.{day}", settings={"number_of_shards": weather.shards}
                )
        stream = events(
            random, weather.start_ms, LENGTH_MS, random.randint(20, 40 if weather.limits.page == 3 else 120), GROUPS
        )
        for event in stream:
            event["source.address"] = self.names[int(event["source.address"][1:])]
        if random.random() < 0.7:
            stream.sort(key=lambda event: event["@timestamp"] + random.choice((0, 0, 0, 5, 80, 500)))
        outage_at = random.randrange(len(stream)) if weather.outage else -1
        while stream:
            size = random.choice((1, 3, 10, 40))
            batch, stream = stream[:size], stream[size:]
            self._write(batch)
            self.now_ms += random.choice((0, 1, 10, 60))
            if weather.skewed and random.random() < 0.2:
                self.now_ms += random.choice((-200, -40, 300))
            if outage_at >= len(stream) > 0:
                self.now_ms += random.choice((6, 40)) * MINUTE
                outage_at = -1
            if random.random() < 0.2:
                self.world.engine = self.world.new_engine()
            self.failing = weather.proxied
            self._pass([one for one in self.detections if random.random() < 0.7], interrupted=random.random() < 0.2)
            self.failing = False

    def _write(self, batch: list[dict[str, Any]]) -> None:
        """Index events, and now and then some of them again, as a shipper does that lost the answer."""
        first = self.world.written
        client, self.world.client = self.world.client, self.direct
        try:
            self.world.write(batch)
        finally:
            self.world.client = client
        self.written += batch
        if self.random.random() < 0.2:
            again = [
                line
                for number, event in enumerate(batch, first + 1)
                for line in ({"create": {"_index": index_of(event["@timestamp"]), "_id": f"e{number:08d}"}}, {"x": 1})
            ]
            answer = self.direct.bulk(operations=again)
            assert {item["create"]["status"] for item in answer["items"]} == {409}

    def _pass(self, some: list[Detection], *, interrupted: bool = False) -> list[PassResult]:
        """Run one pass over `some`; where it is `interrupted`, it ends somewhere and what follows is a restart."""
        since = dict(self.world.since)
        end = self.random.randrange(len(some) + 1) if interrupted else None
        stage = self.random.randrange(3)
        done: list[PassResult] = []
        try:
            for number, result in enumerate(self.world.engine.evaluate(some, since, self.now_ms)):
                if number == end and stage == 0:
                    break
                self._take(result)
                if number == end and stage == 1:
                    break
                self.world.engine.settle(result)
                if number == end:
                    break
                self.world.since[result.detection.id] = result.checkpoint
                done.append(result)
        except RetryableError:
            assert self.failing
        if interrupted:
            self.world.engine = self.world.new_engine()
        return done

    def _take(self, result: PassResult) -> None:
        """Check what a pass says of a detection, and fold it."""
        one = result.detection
        assert result.complete or self.failing, result.error
        if not result.complete:
            assert result.findings == ()
            return
        expected = truth(one.kind, self.written, self.now_ms)
        for finding in result.findings:
            group = tuple(value for _, value in finding.group)
            for crossing in finding.crossings:
                true = expected.get(group, {}).get(crossing.time_ms)
                assert self.weather.beside or crossing == true, (one.id, one.kind, group, crossing, true)
                self.found[one.id].setdefault(group, {})[crossing.time_ms] = crossing
            self.told[one.id].setdefault(group, []).append([crossing.time_ms for crossing in finding.crossings])
            own = self.folded[one.id].setdefault(group, [])
            for decision in plan(own, finding.crossings, one.kind.suppress_for, one.severity):
                after = decision.episode if isinstance(decision, Open) else decision.after
                own[:] = [*(episode for episode in own if episode.number != after.number), after]
        if self._store is not None:
            self._store.apply(one, result.findings)

    def _settle_down(self) -> None:
        """Run passes until nothing is left to evaluate, and no silence is held back because of an outage."""
        self.now_ms = max(self.now_ms, self.weather.start_ms + LENGTH_MS) + 1_000
        latest: dict[str, PassResult] = {}
        for _ in range(_PASSES_MAX):
            results = self._pass(self.detections)
            # Those that are evaluated beside the passes have no result in some of them.
            latest |= {result.detection.id: result for result in results}
            rested = len(latest) == len(self.detections) and not any(
                result.more or result.coverage.arrived or (result.checkpoint.clock_ms or 0) < self.now_ms
                for result in latest.values()
            )
            if rested:
                return
            if any(result.checkpoint.hold_ms is not None for result in results):
                self.now_ms += MINUTE
        raise AssertionError("the passes come to no end")

    def _compare(self) -> None:
        for one in self.detections:
            expected = truth(one.kind, self.written, self.now_ms)
            assert missing(self.found[one.id], expected) == {}, (one.id, one.kind)
            history = self.world.engine.over(one, self.weather.start_ms - DAY, self.now_ms + 1)
            assert {
                tuple(value for _, value in finding.group): {
                    crossing.time_ms: crossing for crossing in finding.crossings
                }
                for finding in history.findings
            } == expected, (one.id, one.kind)
            quiet = one.kind.suppress_for
            right = {group: episodes(runs, quiet) for group, runs in self.told[one.id].items()}
            folded = {
                group: [(e.crossing_ms, e.last_ms) for e in sorted(own, key=lambda e: e.number)]
                for group, own in self.folded[one.id].items()
            }
            assert folded == right, (one.id, one.kind)
        if self._store is not None:
            assert self._alerts() == {
                (one.id, group, *episode)
                for one in self.detections
                for group, runs in self.told[one.id].items()
                for episode in episodes(runs, one.kind.suppress_for)
            }

    def _alerts(self) -> set[tuple[str, tuple[str, ...], int, int]]:
        refresh(self.direct)
        found = [
            (a.detection_id, tuple(value for _, value in a.group), a.episode.crossing_ms, a.episode.last_ms)
            for a in all_alerts(self.direct, {"match_all": {}})
        ]
        assert len(found) == len(set(found))
        return set(found)

    def _fault(self) -> Fault:
        if self.failing and self._fortune.random() < _FAULT_SHARE:
            return self._fortune.choice(_FAULTS)
        return NOTHING


def missing(found: Truth, expected: Truth) -> dict[tuple[str, ...], list[Crossing]]:
    """Return the crossings of `expected` that were not found."""
    return {
        group: left
        for group, crossings in expected.items()
        if (left := [crossing for time_ms, crossing in crossings.items() if time_ms not in found.get(group, {})])
    }


def seeds(first: int, cases: int) -> Iterator[int]:
    """Yield the seeds of as many histories as make `cases` cases."""
    yield from range(first, first - (-cases // CASES))
