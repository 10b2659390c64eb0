"""An account exported or read a great many rows in a day.

More than 500,000 rows within 24 hours, by the number `rows` that the application gives with each export, and with each
access to sensitive data: rows_exported looks at an hour, and who knows that stays below its limit. Fewer than ten rows
at once are left out, because that is what everybody reads all day: who takes so many of those does it so often that
bulk_export_above_habit and sensitive_data_spike tell.

Triage: what was exported, to where? Is there an order for it? Even intervals are a program's. Stop the account's
exports until that is known.
False positives: a migration; a copy to a warehouse by day; the end of a quarter.
"""

from pipeline.detection import Metric, Severity, at_least, burst, event, hours

ROWS = "siemlite.number.rows"

detection = Metric(
    severity=Severity.MEDIUM,
    attack=("T1213", "T1567"),
    where={"event.code": ["BULK_DATA_EXPORT", "SENSITIVE_DATA_ACCESS"], ROWS: at_least(10)},
    group_by="user.id",
    field=ROWS,
    measure="sum",
    above=500_000,
    within=hours(24),
    suppress_for=hours(24),
    fires=[
        event({ROWS: 500_001}),
        burst(2, over=hours(24) - 1, fields={ROWS: 300_000}),
        event({ROWS: 499_991}) + event({ROWS: 10}, at=hours(1)),
        event({ROWS: 500_001, "event.code": "SENSITIVE_DATA_ACCESS"}),
    ],
    quiet=[
        event({ROWS: 500_000}),
        burst(2, over=hours(24), fields={ROWS: 300_000}),
        event({ROWS: 499_992}) + event({ROWS: 9}, at=hours(1)),
        event({ROWS: 1_000_000, "event.code": "ADMIN_ACTION"}),
    ],
)
