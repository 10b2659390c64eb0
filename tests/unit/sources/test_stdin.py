"""Reading a stream as it comes."""

import os
import threading

from pipeline.clock import SystemClock
from pipeline.sources.formats.format import format_factory
from pipeline.sources.stdin import StreamSource


def test_what_has_arrived_is_given_out_at_once_and_the_rest_at_the_end() -> None:
    reading, writing = os.pipe()
    stop = threading.Event()
    source = StreamSource(reading, format_factory("json"), stop, SystemClock())
    batches = source.batches()
    os.write(writing, b'{"message":"a"}\n\n{"message":"b"}\n{"mess')
    first = next(batches)
    assert [record.event["message"] for record in first.records] == ["a", "b"]
    assert [record.event_id for record in first.records] == [None, None]
    assert next(batches).records == ()
    os.write(writing, b'age":"c"}\n{"message":"d"}')
    assert [record.event["message"] for record in next(batches).records] == ["c"]
    os.close(writing)
    assert [record.event["message"] for batch in batches for record in batch.records] == ["d"]
    assert source.bytes_read == source.bytes_total == 64
    os.close(reading)


def test_it_ends_when_it_is_told_to_and_gives_out_what_it_has() -> None:
    reading, writing = os.pipe()
    stop = threading.Event()
    batches = StreamSource(reading, format_factory("json"), stop, SystemClock()).batches()
    os.write(writing, b'{"message":"a"}')
    assert next(batches).records == ()
    stop.set()
    assert [record.event["message"] for batch in batches for record in batch.records] == ["a"]
    os.close(writing)
    os.close(reading)


def test_a_file_as_standard_input_is_read_to_its_end(tmp_path: object) -> None:
    path = f"{tmp_path}/a.log"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.write(descriptor, b'{"message":"a"}\n' * 2_500)
    os.lseek(descriptor, 0, os.SEEK_SET)
    source = StreamSource(descriptor, format_factory("json"), threading.Event(), SystemClock())
    assert [len(batch.records) for batch in source.batches()] == [1_000, 1_000, 500]
    os.close(descriptor)
