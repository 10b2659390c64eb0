"""An account exported or read a great many rows.

More than 100,000 rows within an hour, by the number `rows` that the application gives with each export, and with each
access to sensitive data.

Triage: what was exported, to where? Is there an order for it? Stop the account's exports until that is known.
False positives: a migration; a nightly copy to a warehouse, which should have an account of its own.
"""

from pipeline.detection import Metric, Severity, burst, event, hours

ROWS = "siemlite.number.rows"

detection = Metric(
    severity=Severity.HIGH,
    attack=("T1213", "T1567"),
    where={"event.code": ["BULK_DATA_EXPORT", "SENSITIVE_DATA_ACCESS"]},
    group_by="user.id",
    field=ROWS,
    measure="sum",
    above=100_000,
    within=hours(1),
    suppress_for=hours(4),
    fires=[
        event({ROWS: 100_001}),
        burst(2, over=hours(1) - 1, fields={ROWS: 60_000}),
        event({ROWS: 100_001, "event.code": "SENSITIVE_DATA_ACCESS"}),
    ],
    quiet=[
        event({ROWS: 100_000}),
        burst(2, over=hours(1), fields={ROWS: 60_000}),
        event({ROWS: 1_000_000, "event.code": "ADMIN_ACTION"}),
    ],
)
