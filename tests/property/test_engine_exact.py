"""The engine on a real Elasticsearch against the reference: late events, outages, restarts, small steps, skew.

`SIEMLITE_PROPERTY_CASES` is how many (detection, stream) pairs are run; 10,000 is the long form. A case that
fails names its seed: `SIEMLITE_PROPERTY_SEED` runs it alone.
"""

import os
from random import Random
from typing import Any

import pytest

from pipeline.detection import Crossing, Detection
from pipeline.engine.engine import Limits
from tests.acceptance.engine_world import DAY, NOON, World, detection
from tests.property.reference import Truth, truth
from tests.property.streams import events, kinds

GROUPS = 6
LENGTH_MS = 400


def seeds() -> list[int]:
    alone = os.environ.get("SIEMLITE_PROPERTY_SEED")
    if alone is not None:
        return [int(alone)]
    cases = int(os.environ.get("SIEMLITE_PROPERTY_CASES", "400"))
    return list(range(-(-cases // (len(kinds(Random(0))) * GROUPS))))


class Run:
    """One random history: what was written, what was found, what is true."""

    def __init__(self, world: World, random: Random, start_ms: int) -> None:
        self.world, self.random, self.start_ms = world, random, start_ms
        self.detections = [detection(kind, name) for name, kind in kinds(random).items()]
        self.written: list[dict[str, Any]] = []
        self.found: dict[str, Truth] = {one.id: {} for one in self.detections}
        self.now_ms = start_ms

    def write(self, batch: list[dict[str, Any]]) -> None:
        self.world.write(batch)
        self.written += batch
        self.world.client.indices.refresh(index="security-logs-*")

    def evaluate(self, some: list[Detection]) -> bool:
        """Evaluate one step; each crossing must be true of what is written. Return whether more remains."""
        more = False
        for result in self.world.step(some, self.now_ms):
            assert result.complete, result.error
            more = more or result.more
            expected = truth(result.detection.kind, self.written, self.now_ms)
            for finding in result.findings:
                group = tuple(value for _, value in finding.group)
                for crossing in finding.crossings:
                    true = expected.get(group, {}).get(crossing.time_ms)
                    assert crossing == true, (result.detection.id, result.detection.kind, group)
                    self.found[result.detection.id].setdefault(group, {})[crossing.time_ms] = crossing
        return more

    def go(self) -> None:
        random = self.random
        stream = events(random, self.start_ms, LENGTH_MS, random.randint(20, 120), GROUPS)
        if random.random() < 0.7:
            stream.sort(key=lambda event: event["@timestamp"] + random.choice((0, 0, 0, 5, 80, 500)))
        while stream:
            size = random.choice((1, 3, 10, 40))
            batch, stream = stream[:size], stream[size:]
            self.write(batch)
            self.now_ms += random.choice((0, 1, 10, 60))
            if random.random() < 0.2:
                self.world.engine = self.world.new_engine()
            self.evaluate([one for one in self.detections if random.random() < 0.7])
        self.now_ms += 1_000
        while self.evaluate(self.detections):
            pass


def missing(found: Truth, expected: Truth) -> dict[tuple[str, ...], list[Crossing]]:
    """Return the crossings of `expected` that were not found."""
    return {
        group: left
        for group, crossings in expected.items()
        if (left := [crossing for time_ms, crossing in crossings.items() if time_ms not in found.get(group, {})])
    }


@pytest.mark.parametrize("seed", seeds())
def test_the_engine_finds_what_is_true_and_nothing_else(es_url: str, seed: int) -> None:
    random = Random(seed)
    limits = Limits(
        step=random.choice((5, 30, 100_000)),
        rows_together=random.choice((0, 3, 20, 10_000)),
        page=random.choice((2, 5, 10_000)),
    )
    start_ms = random.choice((NOON, NOON + DAY // 2 - 200))
    world = World(es_url, limits=limits)
    if random.random() < 0.3:
        for day in ("01", "02"):
            world.client.indices.create(index=f"security-logs-2026.01.{day}", settings={"number_of_shards": 3})
    run = Run(world, random, start_ms)
    run.go()
    for one in run.detections:
        expected = truth(one.kind, run.written, run.now_ms)
        assert missing(run.found[one.id], expected) == {}, (one.id, one.kind)
        history = run.world.engine.over(one, start_ms - DAY, run.now_ms + 1)
        assert {
            tuple(value for _, value in finding.group): {crossing.time_ms: crossing for crossing in finding.crossings}
            for finding in history.findings
        } == expected, (one.id, one.kind)
