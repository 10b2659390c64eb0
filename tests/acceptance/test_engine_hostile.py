"""The engine where events, indices and their changes are hostile: exact, or it says that it did not evaluate."""

import pytest

from pipeline.detection import Detection, DistinctCount, NewValue, Severity, Threshold, minutes, not_, prefix
from pipeline.elastic.client import connect
from pipeline.engine.engine import Engine, Limits
from pipeline.engine.finding import Finding
from pipeline.engine.result import Wanted
from pipeline.errors import RetryableError
from pipeline.settings import load_settings
from tests.acceptance.engine_world import DAY, HOUR, MINUTE, NOON, World, detection, failure, index_of, instants
from tests.proxy import DROP_ANSWER, GARBAGE, HALF_ANSWER, NOTHING, Fault, Kind, fault_proxy

LOW = Severity.LOW
ODD = (
    "",
    " ",
    "ä",
    "a\u0308",
    "\U0001f600",
    "a\0b",
    "null",
    "*",
    '"]}',
    "0",
    "00",
    "x" * 8_000,
    "\u202e1.2.3.4",
    "\ufeff",
)


@pytest.fixture
def world(es_ready: str) -> World:
    return World(es_ready)


def three(name: str = "three", **fields: object) -> Detection:
    kind = Threshold(**{"severity": LOW, "group_by": "source.address", "at_least": 3, "within": minutes(5), **fields})  # type: ignore[arg-type]
    return detection(kind, name)


def test_odd_values_are_groups_of_their_own(world: World) -> None:
    world.write(failure(NOON + n, address, user) for n in range(3) for address in ODD for user in ("u", ""))
    pairs = three("pairs", group_by=("source.address", "user.id"))
    results = {result.detection.id: result for result in world.step([three(), pairs], NOON + MINUTE)}
    assert instants(results["three"].findings) == {(address,): [NOON + 1, NOON + 2] for address in sorted(ODD)}
    assert instants(results["pairs"].findings) == {
        (address, user): [NOON + 2] for address in sorted(ODD) for user in ("", "u")
    }
    history = world.engine.over(pairs, NOON - HOUR, NOON + HOUR)
    assert len(history.findings) == 2 * len(ODD)
    group = (("source.address", ""), ("user.id", "u"))
    (found,) = world.engine.evidence(pairs, [Wanted(group, NOON, NOON + HOUR)])
    assert found.count == 3


def test_an_event_with_several_values_belongs_to_each_of_their_groups(world: World) -> None:
    world.write(failure(NOON + n, ["a", "b"]) for n in range(2))  # type: ignore[arg-type]
    world.write([failure(NOON + 2, "b")])
    assert instants(world.findings([three()], NOON + MINUTE)) == {("b",): [NOON + 2]}


def families_world(es_ready: str) -> tuple[World, list[Detection]]:
    """Return a world and detections that ask for their arrivals in common, by each kind of condition."""
    detections = [
        three("code", where={"event.code": "LOGIN_FAILURE"}),
        three("codes", where={"event.code": ["LOGIN_FAILURE", "LOGOUT"]}),
        three("no_code", where={"event.code": not_("LOGOUT")}),
        three("prefix", where={"event.code": prefix("LOGIN_")}),
        three("user", where={"event.code": "LOGIN_FAILURE", "user.id": not_("u1")}),
        three("other", where={"event.code": "LOGOUT", "user.id": "u1"}),
        detection(
            DistinctCount(
                severity=LOW,
                where={"event.code": not_("LOGOUT")},
                group_by="source.address",
                field="user.id",
                at_least=2,
                within=minutes(9),
            ),
            "users",
        ),
    ]
    return World(es_ready), detections


def test_detections_that_ask_in_common_find_what_each_finds_alone(es_ready: str) -> None:
    world, detections = families_world(es_ready)
    codes = ("LOGIN_FAILURE", "LOGOUT", "LOGIN_SUCCESS", ["LOGIN_FAILURE", "LOGOUT"], None)
    world.write(
        failure(NOON + n * 100, f"a{n % 5}", f"u{n % 3}" if n % 4 else None, **{"event.code": codes[n % 7 % 5]})
        for n in range(90)
    )
    together = world.step(detections, NOON + HOUR)
    assert len(together) == len(detections)
    for result in together:
        assert result.complete
        assert result.findings
        alone = World(es_ready).step([result.detection], NOON + HOUR)
        assert instants(result.findings) == instants(alone[0].findings), result.detection.id


def test_asking_in_common_spares_requests(es_ready: str) -> None:
    with fault_proxy(es_ready, "/_msearch") as proxy:
        world, detections = families_world(proxy.url)
        searches: list[int] = []
        send = type(world.engine._sight.searcher).many

        def counted(searcher, asked):  # type: ignore[no-untyped-def]
            searches.append(len(asked))
            return send(searcher, asked)

        world.write(failure(NOON + n, f"a{n}") for n in range(50))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(world.engine._sight.searcher), "many", counted)
            world.step(detections, NOON + MINUTE)
    # The marks, one search for each of the two families, and the totals of each detection.
    assert sum(searches) <= 1 + 2 + len(detections)


def test_a_mapping_that_conflicts_in_one_day_is_not_evaluated_and_costs_no_other(world: World) -> None:
    mappings = {"properties": {"event": {"properties": {"code": {"type": "long"}}}}}
    world.client.indices.create(index=index_of(NOON - DAY), mappings=mappings)
    world.client.index(
        index=index_of(NOON - DAY), document={"@timestamp": NOON - HOUR * 20, "event.code": 7, "source.address": "a"}
    )
    world.write(failure(NOON + n) for n in range(3))
    coded = [three(f"coded{n}", where={"event.code": "LOGIN_FAILURE"}) for n in range(3)]
    results = {result.detection.id: result for result in world.step([*coded, three()], NOON + MINUTE)}
    assert instants(results["three"].findings) == {("203.0.113.7",): [NOON + 2]}
    assert results["three"].complete
    for one in coded:
        result = results[one.id]
        assert not result.complete
        assert result.findings == ()
        assert "LOGIN_FAILURE" in str(result.error)


def test_an_index_that_retention_deletes_during_a_pass_costs_a_pass_and_nothing_else(es_ready: str) -> None:
    direct = World(es_ready)
    direct.write(failure(NOON - DAY + n * MINUTE, "old") for n in range(3))
    direct.write(failure(NOON + n, "new") for n in range(3))
    late_start = NOON - HOUR

    def deletes() -> Fault:
        if len(proxy.requests) > 1:  # the first reads the marks
            direct.client.indices.delete(index=index_of(NOON - DAY), ignore_unavailable=True)
        return NOTHING

    with fault_proxy(es_ready, "/_msearch") as proxy:
        world = World(proxy.url)
        proxy.choose = deletes
        (result,) = world.step([three()], late_start)
        assert not result.complete
        assert "no such index" in str(result.error)
        assert result.findings == ()
        found: list[Finding] = []
        while not found:  # what failed is evaluated beside the passes
            found = [finding for each in world.step([three()], NOON + MINUTE) for finding in each.findings]
        assert instants(found) == {("new",): [NOON + 2]}


@pytest.mark.parametrize("path", ["/security-logs-", "/_cluster", "/_msearch"])
@pytest.mark.parametrize("fault", [GARBAGE, HALF_ANSWER, DROP_ANSWER, Fault(Kind.STATUS, 503)], ids=str)
def test_an_answer_that_is_not_elasticsearchs_is_an_error_that_passes(es_ready: str, path: str, fault: Fault) -> None:
    World(es_ready).write(failure(NOON + n) for n in range(3))
    with fault_proxy(es_ready, path) as proxy:
        engine = Engine(connect(load_settings(None), proxy.url), verify_mark=lambda *_: False)
        proxy.choose = lambda: fault
        with pytest.raises(RetryableError):
            list(engine.evaluate([three()], {}, NOON + MINUTE))
        proxy.choose = None
        (result,) = engine.evaluate([three()], {}, NOON + MINUTE)
    assert instants(result.findings) == {("203.0.113.7",): [NOON + 2]}


def test_an_alias_counts_nothing_twice_and_leads_to_what_has_another_name(world: World) -> None:
    world.write(failure(NOON + n) for n in range(2))
    world.client.indices.put_alias(index=index_of(NOON), name="security-logs-all")
    assert world.findings([three()], NOON + MINUTE) == []
    world.client.indices.create(index="restored", aliases={"security-logs-restored": {}}, mappings=_mappings(world))
    try:
        document = {"@timestamp": NOON + 2, "event.code": "LOGIN_FAILURE", "source.address": "203.0.113.7"}
        world.client.index(index="restored", document=document)
        assert instants(world.findings([three()], NOON + MINUTE)) == {("203.0.113.7",): [NOON + 2]}
    finally:
        world.client.indices.delete(index="restored")


def _mappings(world: World) -> dict[str, object]:
    found: dict[str, object] = world.client.indices.get_mapping(index=index_of(NOON))[index_of(NOON)]["mappings"]
    return found


def test_an_event_at_either_edge_of_a_window_across_midnight(world: World) -> None:
    midnight = NOON + DAY // 2
    world.write(failure(t, "inside") for t in (midnight - minutes(5) + 1, midnight - 1, midnight))
    world.write(failure(t, "outside") for t in (midnight - minutes(5), midnight - 1, midnight))
    assert instants(world.findings([three()], midnight + 1)) == {("inside",): [midnight]}


def test_a_field_that_is_missing_is_a_group_of_nobody_and_is_counted(world: World) -> None:
    world.write([failure(NOON + n, user=None) for n in range(9)])
    world.write([failure(NOON + n, user="") for n in range(2)])
    by_user = three("by_user", group_by="user.id")
    (result,) = world.step([by_user], NOON + MINUTE)
    assert (result.findings, result.coverage.ungrouped, result.coverage.touched) == ((), 9, 1)


@pytest.mark.parametrize("shards", [1, 4])
def test_a_group_among_very_many_is_found_by_pass_and_history_alike(es_ready: str, shards: int) -> None:
    world = World(es_ready, limits=Limits(page=1_000))
    world.client.indices.create(index=index_of(NOON), settings={"number_of_shards": shards})
    world.write({"@timestamp": NOON + n, "source.address": f"g{n:05d}"} for n in range(6_000))
    world.write({"@timestamp": NOON + n, "source.address": f"g{n:05d}"} for n in range(0, 6_000, 1_499) for _ in "ab")
    expected = {(f"g{n:05d}",): [NOON + n] for n in range(0, 6_000, 1_499)}
    assert instants(world.findings([three()], NOON + HOUR)) == expected
    assert instants(world.engine.over(three(), NOON - HOUR, NOON + HOUR).findings) == expected


@pytest.mark.long
@pytest.mark.parametrize("shards", [1, 5])
def test_two_hundred_thousand_groups_are_looked_at_to_the_last(es_ready: str, shards: int) -> None:
    world = World(es_ready)
    for time_ms in (NOON, NOON + DAY):
        world.client.indices.create(index=index_of(time_ms), settings={"number_of_shards": shards})
    midnight = NOON + DAY // 2
    world.write({"@timestamp": midnight - 100_000 + n, "source.address": f"g{n}"} for n in range(200_000))
    twice = range(0, 200_000, 13_331)
    world.write(
        {"@timestamp": midnight - 100_000 + n + more, "source.address": f"g{n}"} for n in twice for more in (1, 2)
    )
    expected = {(f"g{n}",): [midnight - 100_000 + n + 2] for n in twice}
    assert instants(world.findings([three()], midnight + HOUR)) == dict(sorted(expected.items()))
    new = detection(NewValue(severity=LOW, fields="source.address", over=minutes(60)), "new")
    found = [one for finding in world.findings([new], midnight + HOUR) for one in finding.crossings]
    assert sum(one.count for one in found) == 200_000 - 1
