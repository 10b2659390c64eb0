"""From a source's records to chunks in the spool."""

import os
import threading
from pathlib import Path

import orjson

from pipeline.events.document import Shaper
from pipeline.events.encoder import Encoder
from pipeline.events.redaction import Redactor
from pipeline.shipping.intake import Intake
from pipeline.shipping.spool import Spool
from pipeline.sources.files import FileSource
from pipeline.sources.formats.format import format_factory
from tests.unit.clocks import ManualClock

DAY = 86_400_000
WRITTEN = 1_795_485_600_000
"""2026-11-24T02:00:00Z."""

LINES = (
    b'{"event":"LOGOUT"}\n'
    b'{"event":"LOGOUT","timestamp":"2026-11-23T12:00:00Z"}\n'
    b'{"event":"LOGOUT","timestamp":"2026-11-27T12:00:00Z"}\n'
)


def read(folder: Path, now_ms: int, changed_ms: int = WRITTEN) -> list[tuple[str, str, str]]:
    """Return index, id and time of the events of a file that was changed at `changed_ms`, read at `now_ms`."""
    path = folder / "events.jsonl"
    path.write_bytes(LINES)
    os.utime(path, ns=(changed_ms * 1_000_000,) * 2)
    spool = Spool(folder / f"{now_ms}-{changed_ms}.db", max_bytes=2**20)
    intake = Intake(spool, Encoder(Redactor(), Shaper(90 * DAY)), ManualClock(now_ms), live=False)
    assert intake.drain(FileSource([path], format_factory("json"), b"k" * 32, {}).batches(), threading.Event())
    (chunk,) = spool.take(0, 2**20)
    spool.close()
    lines = [orjson.loads(line) for line in chunk.body.splitlines()]
    return [
        (action["create"]["_index"], action["create"]["_id"], body["@timestamp"])
        for action, body in zip(lines[::2], lines[1::2], strict=True)
    ]


def test_a_file_that_is_read_again_on_another_day_gives_the_same_events_in_the_same_indices(tmp_path: Path) -> None:
    first = read(tmp_path, WRITTEN + 1000)
    assert [(index, time) for index, _, time in first] == [
        ("security-logs-2026.11.24", "2026-11-24T02:00:00.000Z"),
        ("security-logs-2026.11.23", "2026-11-23T12:00:00.000Z"),
        ("security-logs-2026.11.24", "2026-11-24T02:00:00.000Z"),
    ]
    for later in (-3 * DAY, DAY, 5 * DAY, 80 * DAY):
        assert read(tmp_path, WRITTEN + later) == first


def test_a_files_last_change_is_not_believed_where_it_is_far_from_now(tmp_path: Path) -> None:
    found = read(tmp_path, WRITTEN, changed_ms=0)
    assert [index for index, _, _ in found] == [
        "security-logs-2026.11.24",
        "security-logs-2026.11.23",
        "security-logs-2026.11.24",
    ]
