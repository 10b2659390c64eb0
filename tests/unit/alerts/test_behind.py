"""The query for the events behind an alert, and what is said of each."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.alerts.behind import conditions, lines, looked_at
from pipeline.detection.conditions import exists
from pipeline.detection.kind import Kind
from pipeline.detection.kinds.change import Change
from pipeline.detection.kinds.metric import Metric
from pipeline.detection.kinds.new_value import NewValue
from pipeline.detection.timeline import Severity
from pipeline.detection.where import raw
from tests.unit.alerts.memory_engine import detection


def stored(second: int, **fields: Any) -> dict[str, Any]:
    event = {"@timestamp": f"2026-01-05T12:00:0{second}.000Z", "event": {"code": "ADMIN_ACTION"}, **fields}
    return {"_index": "security-logs-2026.01.05", "_id": str(second), "_source": event}


def said(kind: Kind, *latest_first: dict[str, Any]) -> list[str]:
    return list(lines(replace(detection(), kind=kind), latest_first))


def test_a_new_value_is_named() -> None:
    kind = NewValue(severity=Severity.HIGH, group_by="user.id", fields="source.as.number")
    event = stored(1, user={"id": "kim"}, source={"address": "192.0.2.1", "as": {"number": 64500}})
    assert said(kind, event) == [
        "2026-01-05T12:00:01.000Z ADMIN_ACTION source.as.number=64500 source.address=192.0.2.1"
    ]


def test_a_place_is_told_where_the_detection_looks_at_it() -> None:
    kind = NewValue(
        severity=Severity.HIGH, where={"source.geo.location": exists()}, group_by="user.id", fields="host.id"
    )
    event = stored(1, host={"id": "a"}, source={"geo": {"location": {"lat": 52.5, "lon": -13.4}}})
    assert said(kind, event)[0].endswith(' host.id=a source.geo.location="52.5, -13.4"')


def test_a_change_is_told_in_the_order_of_time() -> None:
    kind = Change(severity=Severity.HIGH, group_by="session.id", field="user_agent.original")
    after, before = (stored(n, user_agent={"original": name}) for n, name in ((2, "curl"), (1, "Fire fox")))
    assert [line.partition("user_agent.original=")[2] for line in said(kind, after, before)] == ['"Fire fox"', "curl"]


def test_a_measure_is_told_as_a_number_that_people_write() -> None:
    kind = Metric(severity=Severity.HIGH, field="siemlite.number.rows", measure="sum", above=1.0, within=1000)
    assert said(kind, stored(1, siemlite={"number": {"rows": 250000.0}}))[0].endswith(" siemlite.number.rows=250000")


def test_a_value_neither_reads_like_another_nor_fills_the_line() -> None:
    [line] = said(
        detection(group_by="source.address").kind, stored(1, user={"id": "a host.name=x"}, host={"name": "y" * 999})
    )
    assert 'user.id="a host.name=x" host.name=yyy' in line
    assert len(line) < 250


@pytest.mark.parametrize("clause", [{"terms": {"user.id": {1, 2}}}, {"terms": {"user.id": ["x" * 9000]}}])
def test_a_query_that_cannot_be_carried_along_is_left_out(clause: dict[str, Any]) -> None:
    assert looked_at(raw(clause, "user.id")) == ""
    assert conditions("", None) == []


def test_a_drills_events_are_its_own() -> None:
    query = looked_at(detection().kind.clause)
    assert conditions(query, "drill-1.x") == [
        {"term": {"event.code": {"value": "LOGIN_FAILURE"}}},
        {"term": {"siemlite.drill.id": "drill-1.x"}},
    ]
