"""From a source's records to chunks in the spool."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from pipeline.clock import SystemClock
from pipeline.events.document import Shaper
from pipeline.events.encoder import Encoder
from pipeline.events.redaction import Redactor
from pipeline.shipping.intake import Intake
from pipeline.shipping.spool import Spool
from pipeline.sources.files import FileSource
from pipeline.sources.formats.format import FormatOptions, format_factory
from pipeline.sources.record import Batch, Record, Source
from pipeline.sources.stdin import StreamSource
from pipeline.sources.syslog import Listen, SyslogSource
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
    assert intake.drain(
        FileSource([path], format_factory("json"), b"k" * 32, {}, threading.Event()).batches(), threading.Event()
    )
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


def read_until_stop(folder: Path, source: Source, stop: threading.Event, *, live: bool) -> tuple[int, set[str]]:
    """Return how many events are durable, and of what positions, where `stop` comes with the first of them."""
    spool = Spool(folder / "spool.db", max_bytes=2**26)
    intake = Intake(spool, Encoder(Redactor(), Shaper(90 * DAY)), ManualClock(WRITTEN), live=live)

    def batches() -> Iterator[Batch]:
        for batch in source.batches():
            if batch.records:
                stop.set()
            yield batch

    try:
        assert intake.drain(batches(), stop)
        return spool.depth().events, set(spool.positions())
    finally:
        spool.close()


def test_what_a_listener_has_read_when_it_is_told_to_end_is_durable(tmp_path: Path) -> None:
    stop = threading.Event()
    listen = [Listen("tcp", "127.0.0.1", 0)]
    source = SyslogSource(listen, FormatOptions(), clock=SystemClock(), stop=stop, notify=print)
    with socket.create_connection(source.addresses[0]) as peer:
        peer.sendall(b"<13>said\n" * 2_500 + b"<13>sai")
        events, _ = read_until_stop(tmp_path, source, stop, live=True)
    assert events == -(-source.bytes_read // len(b"<13>said"))
    assert events > 1


def stream(path: Path, stop: threading.Event) -> Source:
    return StreamSource(os.open(path, os.O_RDONLY), format_factory("json"), stop, SystemClock())


def file(path: Path, stop: threading.Event) -> Source:
    return FileSource([path], format_factory("json"), b"k" * 32, {}, stop)


@pytest.mark.parametrize("make", [stream, file])
def test_what_a_pipe_has_given_when_its_reader_is_told_to_end_is_durable(
    tmp_path: Path, make: Callable[[Path, threading.Event], Source]
) -> None:
    pipe, stop = tmp_path / "pipe", threading.Event()
    os.mkfifo(pipe)
    both = os.open(pipe, os.O_RDWR)
    os.write(both, b'{"message":"a"}\n' * 2_500 + b'{"message":"b"')
    events, _ = read_until_stop(tmp_path, make(pipe, stop), stop, live=False)
    os.close(both)
    assert events == 2_501


def test_a_file_whose_reader_is_told_to_end_is_read_on_from_there(tmp_path: Path) -> None:
    path, stop = tmp_path / "events.jsonl", threading.Event()
    path.write_bytes(b'{"message":"a"}\n' * 200_000)
    events, positions = read_until_stop(tmp_path, file(path, stop), stop, live=False)
    assert 0 < events < 200_000
    assert len(positions) == 1


def test_what_a_full_spool_loses_at_the_end_is_counted_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stop = threading.Event()
    spool = Spool(tmp_path / "spool.db", max_bytes=2**20)

    class EndsWhileItWaits(ManualClock):
        def wait(self, wake: threading.Event, seconds: float) -> bool:
            wake.set()
            return True

    intake = Intake(spool, Encoder(Redactor(), Shaper(90 * DAY)), EndsWhileItWaits(WRITTEN), live=True)
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"message":"%s"}\n' % (b"x" * 500) * 5_500)

    with path.open("rb") as file:
        source = StreamSource(file.fileno(), format_factory("json"), stop, SystemClock())
        assert not intake.drain(source.batches(), stop)
        read = source.bytes_read // (path.stat().st_size // 5_500)
    kept = spool.depth().events
    spool.close()
    assert 0 < kept < 5_500
    (said,) = [record.message for record in caplog.records if "are lost" in record.message]
    lost = int(said.split()[0])
    assert read <= kept + lost <= read + 1


def test_a_last_line_without_an_ending_goes_to_the_same_index_again_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.LINES", LINES + b'{"event":"LOGOUT","message":"cut"}')
    first = read(tmp_path, WRITTEN + 1000)
    assert first[-1][0] == "security-logs-2026.11.24"
    assert read(tmp_path, WRITTEN + 5 * DAY) == first


class Sending(ManualClock):
    """A clock by which all that a spool holds is sent while somebody waits; `waits` counts how often."""

    def __init__(self, spool: Spool) -> None:
        super().__init__()
        self.spool = spool
        self.waits = 0

    def wait(self, wake: threading.Event, seconds: float) -> bool:
        """See `Clock.wait`."""
        self.waits += 1
        self.spool.settle(self.spool.take(0, 2**24))
        return super().wait(wake, seconds)


def test_where_more_is_read_than_sent_it_is_told_once_that_reading_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path / "small.db", max_bytes=1_500_000)
    clock = Sending(spool)
    intake = Intake(spool, Encoder(Redactor(), Shaper(90 * DAY)), clock, live=True)
    event = {"event": "LOGOUT", "context": {f"n{number}": "x" * 1000 for number in range(20)}}
    batch = Batch([Record(event, None)] * 25)
    assert intake.drain([batch] * 50, threading.Event())
    assert clock.waits > 10
    clock.wait(threading.Event(), 60)
    assert intake.drain([batch], threading.Event())
    said = [record.message.partition(":")[0] for record in caplog.records]
    assert said == ["reading waits", "reading waits no more"]
    spool.close()
