"""Random streams of events, and random detections of every kind to run over them."""

from random import Random
from typing import Any

from pipeline.detection import (
    Absence,
    Change,
    Custom,
    DistinctCount,
    Drop,
    Match,
    Metric,
    NewValue,
    Severity,
    Share,
    Spike,
    Threshold,
    Window,
    by_count,
    not_,
    stage,
)
from pipeline.detection import Sequence as Stages
from pipeline.detection.kind import Kind

HIGH = Severity.HIGH
CODES = ("LOGIN_FAILURE", "LOGIN_SUCCESS", "MFA_DISABLED")
NUMBER = "siemlite.number.n"
NUMBERS = "siemlite.number.m"
LIST = "siemlite.data.files"


def three_users(window: Window) -> bool:
    """Judge a window of a `Custom` detection."""
    return len({value for value in window.values("user.id") if value is not None}) >= 3


def more_files_than_events(window: Window) -> bool:
    """Judge a window whose events have several values."""
    return len({value for value in window.values(LIST) if value is not None}) > window.count


def kinds(random: Random) -> dict[str, Kind]:
    """Return one or more detections of every kind, with random parameters."""

    def within() -> int:
        return random.choice((1, 2, 5, 20, 60, 150))

    def group() -> str | tuple[str, ...]:
        return random.choice(("source.address", "source.address", ("source.address", "user.id"), ()))

    where = random.choice(({}, {"event.code": "LOGIN_FAILURE"}, {"event.code": not_("LOGIN_SUCCESS")}))
    n = random.randint(2, 5)
    limit: dict[str, Any] = random.choice(({"above": 3.5}, {"below": 2.5}, {"above": 9.0}))
    return {
        "threshold": Threshold(
            severity=HIGH, where=where, group_by=group(), at_least=random.randint(1, 6), within=within()
        ),
        "threshold_levels": Threshold(
            severity=by_count({n: HIGH, n + 2: Severity.CRITICAL}),
            where=where,
            group_by="source.address",
            at_least=n,
            within=within(),
        ),
        "distinct": DistinctCount(
            severity=HIGH,
            where=where,
            group_by=random.choice(("source.address", ())),
            field="user.id",
            at_least=random.randint(2, 4),
            within=within(),
        ),
        "distinct_levels": DistinctCount(
            severity=by_count({2: HIGH, 3: Severity.CRITICAL}),
            group_by="source.address",
            field="user.id",
            at_least=2,
            within=within(),
        ),
        "distinct_lists": DistinctCount(
            severity=HIGH,
            group_by=random.choice(("source.address", ("source.address", "user.id"), ())),
            field=LIST,
            at_least=random.randint(2, 4),
            within=within(),
        ),
        "match": Match(severity=HIGH, where={"event.code": "MFA_DISABLED"}, group_by=group()),
        "sequence": Stages(
            severity=HIGH,
            group_by="source.address",
            stages=(
                stage({"event.code": "LOGIN_FAILURE"}, random.randint(1, 3)),
                stage({"event.code": "LOGIN_SUCCESS"}),
                *((stage({"event.code": "MFA_DISABLED"}),) if random.random() < 0.5 else ()),
            ),
            within=within(),
        ),
        "share_levels": Share(
            severity=by_count({2: HIGH, 3: Severity.CRITICAL}),
            group_by=random.choice(("source.address", ())),
            of={"event.code": "LOGIN_FAILURE"},
            percent=random.choice((30, 50, 66.7)),
            of_at_least=2,
            at=random.choice((None, {"event.code": "LOGIN_SUCCESS"})),
            within=within(),
        ),
        "share": Share(
            severity=HIGH,
            group_by=random.choice(("source.address", ())),
            of={"event.code": "LOGIN_FAILURE"},
            percent=random.choice((30, 33.3, 50, 66.7, 75, 100)),
            at_least=random.randint(1, 5),
            of_at_least=random.choice((1, 1, 2, 3)),
            at=random.choice((None, None, {"event.code": "LOGIN_SUCCESS"})),
            within=within(),
        ),
        "metric": Metric(
            severity=HIGH,
            group_by=random.choice(("source.address", ())),
            field=NUMBER,
            measure=random.choice(("sum", "average", "minimum", "maximum", "percentile")),
            percent=random.choice((50.0, 90.0, 95.0)),
            **limit,
            at_least=random.randint(1, 3),
            within=within(),
        ),
        "metric_lists": Metric(
            severity=HIGH,
            group_by=random.choice(("source.address", ("source.address", "user.id"), ())),
            field=NUMBERS,
            measure=random.choice(("sum", "average", "minimum", "maximum", "percentile")),
            percent=random.choice((50.0, 90.0)),
            **limit,
            at_least=random.randint(1, 4),
            within=within(),
        ),
        "new_value": NewValue(
            severity=HIGH,
            group_by="source.address",
            fields=random.choice(("user.id", ("user.id", "event.code"))),
            over=within(),
            first_too=random.random() < 0.3,
        ),
        "change": Change(severity=HIGH, group_by="source.address", field="user.id", within=within()),
        "spike": Spike(
            severity=HIGH,
            group_by=random.choice(("source.address", ())),
            at_least=random.randint(1, 4),
            ratio=random.choice((1.5, 2, 3)),
            within=within(),
            compared_with=random.choice((0, 10, 60)),
            known_only=random.random() < 0.5,
        ),
        "drop": Drop(
            severity=HIGH,
            group_by=random.choice(("source.address", ())),
            at_least=random.randint(1, 4),
            ratio=random.choice((0, 0.2, 0.5)),
            within=within(),
            compared_with=random.choice((0, 10, 60)),
        ),
        "absence": Absence(
            severity=HIGH,
            group_by="source.address",
            within=within(),
            at_least=random.randint(1, 3),
            known_for=random.choice((0, 10, 60)),
        ),
        "custom": Custom(
            severity=HIGH, group_by="source.address", judge=three_users, fields=("user.id",), within=within()
        ),
        "custom_lists": Custom(
            severity=HIGH,
            group_by=random.choice(("source.address", ())),
            judge=more_files_than_events,
            fields=(LIST, *random.choice(((), ("user.id",), (NUMBERS,)))),
            at_least=random.randint(1, 4),
            within=within(),
        ),
    }


def events(random: Random, start_ms: int, length_ms: int, number: int, groups: int) -> list[dict[str, Any]]:
    """Return `number` events: bursts and quiet times, many ties, some fields missing."""
    found: list[dict[str, Any]] = []
    time_ms = start_ms
    while len(found) < number:
        if random.random() < 0.3:
            time_ms = start_ms + random.randrange(length_ms)
        time_ms = min(start_ms + length_ms - 1, time_ms + random.choice((0, 0, 1, 1, 2, 7, 30)))
        event: dict[str, Any] = {
            "@timestamp": time_ms,
            "event.code": random.choice(CODES),
            "source.address": f"a{random.randrange(groups)}",
        }
        if random.random() < 0.9:
            event["user.id"] = f"u{random.randrange(4)}"
        if random.random() < 0.8:
            event[NUMBER] = random.choice((0.5, 1.0, 2.25, 4.0, 7.5))
        if random.random() < 0.5:
            event[LIST] = random.sample("wxyz", random.choice((1, 1, 1, 2, 3)))
        if random.random() < 0.8:
            event[NUMBERS] = random.sample((0.5, 1.0, 2.25, 4.0, 7.5), random.choice((1, 1, 1, 2, 3)))
        found.append(event)
    return found
