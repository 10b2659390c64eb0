"""Bulk export at night or on a weekend.

Nights are from 20:00 to 06:00 UTC; copy this file and change `WORKDAY_HOURS` for another time zone.

Triage: is it a job that runs every night? Then exclude its account with `not_`. Else ask its owner what was
exported, to where, and for whom.
False positives: nightly jobs; colleagues in other time zones; the end of a quarter.
"""

from datetime import UTC, datetime

from pipeline.detection import Custom, Severity, Window, days, event, hours

WORKDAY_HOURS = range(6, 20)
WEEKEND = (5, 6)


def out_of_hours(window: Window) -> bool:
    """Judge the instant of the latest export."""
    moment = datetime.fromtimestamp(window.time_ms / 1000, UTC)
    return moment.hour not in WORKDAY_HOURS or moment.weekday() in WEEKEND


detection = Custom(
    severity=Severity.MEDIUM,
    attack=("T1213", "T1567"),
    where={"event.code": "BULK_DATA_EXPORT"},
    group_by="user.id",
    judge=out_of_hours,
    time_of_day=True,
    suppress_for=hours(12),
    fires=[
        event(at=hours(3)),
        event(at=hours(20)),
        event(at=days(5) + hours(12)),
    ],
    quiet=[
        event(at=hours(6)),
        event(at=hours(20) - 1),
        event({"event.code": "SENSITIVE_DATA_ACCESS"}, at=hours(3)),
    ],
)
