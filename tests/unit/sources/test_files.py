"""Reading files once."""

import gzip
import os
import threading
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.sources.files import FileSource
from pipeline.sources.formats.format import TOO_LONG, FormatOptions, format_factory
from pipeline.sources.lines import LINE_MAX
from pipeline.sources.record import BATCH_RECORDS, Record

KEY = b"k" * 32


def source(*paths: Path, name: str = "json", positions: Mapping[str, str] | None = None) -> FileSource:
    return FileSource(paths, format_factory(name, FormatOptions(2015)), KEY, positions or {}, threading.Event())


def records(*paths: Path, name: str = "json") -> list[Record]:
    return [record for batch in source(*paths, name=name).batches() for record in batch.records]


def ids(*paths: Path) -> list[str | None]:
    return [record.event_id for record in records(*paths)]


def messages(found: Sequence[Record]) -> list[object]:
    return [record.event["message"] for record in found]


def numbered(count: int, start: int = 0) -> bytes:
    return b"".join(b'{"message":"line %d"}\n' % number for number in range(start, start + count))


def test_every_line_is_an_event_the_last_one_without_an_ending_too(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b'{"message":"a"}\r\n\n  \n{"message":"b"}\n{"message":"c"}')
    reader = source(path)
    found = [record for batch in reader.batches() for record in batch.records]
    assert messages(found) == ["a", "b", "c"]
    assert reader.bytes_read == reader.bytes_total == path.stat().st_size


def test_ids_are_the_same_again_under_other_names_and_compressed(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(numbered(50))
    first = ids(path)
    assert len(set(first)) == 50
    assert ids(path) == first
    assert ids(path.rename(tmp_path / "a.log.1")) == first
    packed = tmp_path / "a.log-20260101.gz"
    packed.write_bytes(gzip.compress(numbered(20)) + gzip.compress(numbered(30, 20)))
    assert ids(packed) == first


def test_ids_differ_by_home_file_offset_and_ordinal(tmp_path: Path) -> None:
    line = b'{"message":"same"}\n'
    path = tmp_path / "a.log"
    path.write_bytes(line * 3)
    first = ids(path)
    assert len(set(first)) == 3
    other = tmp_path / "b.log"
    other.write_bytes(line * 3)
    assert not set(ids(other)) & set(first)
    path.write_bytes(b'{"message":"other"}\n' + line)
    assert not set(ids(path)) & set(first)
    repeated = tmp_path / "auth.log"
    repeated.write_bytes(
        b"Dec 10 07:13:56 h sshd[2]: message repeated 5 times: [ Failed password for root from ::1 port 2 ssh2]\n"
    )
    assert len({record.event_id for record in records(repeated, name="authlog")}) == 5


def test_a_grown_file_gives_the_ids_it_gave(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(numbered(10))
    first = ids(path)
    path.write_bytes(numbered(12))
    assert ids(path)[:10] == first


def test_batches_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(numbered(5 * BATCH_RECORDS + 1))
    sizes = [len(batch.records) for batch in source(path).batches()]
    assert max(sizes) <= BATCH_RECORDS
    assert sum(sizes) == 5 * BATCH_RECORDS + 1


def test_an_interrupted_run_goes_on_where_it_was_and_a_finished_one_starts_again(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(numbered(3_000))
    whole = ids(path)
    for taken in range(1, 4):
        positions: dict[str, str] = {}
        seen = []
        batches = source(path).batches()
        for _ in range(taken):
            batch = next(batches)
            positions.update(batch.positions)
            seen += [record.event_id for record in batch.records]
        rest = [r.event_id for batch in source(path, positions=positions).batches() for r in batch.records]
        assert len(rest) < len(whole)
        assert seen + rest == whole
    for batch in source(path).batches():
        positions.update(batch.positions)
    again = [r.event_id for batch in source(path, positions=positions).batches() for r in batch.records]
    assert again == whole


def test_a_position_is_not_believed_of_a_file_that_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    header = b"# the same header in every file\n"
    path.write_bytes(header + numbered(3_000))
    batch = next(source(path).batches())
    path.write_bytes(header + numbered(3_000, 7))
    assert len([r for b in source(path, positions=batch.positions).batches() for r in b.records]) == 3_001
    path.write_bytes(header)
    assert len([r for b in source(path, positions=batch.positions).batches() for r in b.records]) == 1


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"first":1,"offset":"x"}', '{"offset":-1,"first":"a"}', "?"])
def test_a_senseless_position_is_ignored(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(numbered(3))
    positions = {f"read:{path.resolve()}": text}
    assert len([r for b in source(path, positions=positions).batches() for r in b.records]) == 3


def test_a_position_holds_nothing_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b'{"password":"hunter2"}\n' * 5)
    assert "hunter2" not in str([batch.positions for batch in source(path).batches()])


def test_a_line_that_is_too_long_is_one_event_and_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b'{"message":"a","x":"' + b"x" * LINE_MAX + b'"}\n{"message":"b"}\n')
    found = records(path)
    assert messages(found) == ["a", "b"]
    assert found[0].event["tags"] == [TOO_LONG]
    missing = found[0].event["bytes_left_out"]
    assert isinstance(missing, int)
    assert missing > LINE_MAX // 2


def test_length_is_no_way_for_a_line_to_escape_counting(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b'{"message":"' + b"x" * LINE_MAX + b'","event":"LOGIN_FAILURE","ip":"192.0.2.1"}\n')
    (found,) = records(path)
    assert (found.event["event"], found.event["ip"]) == ("LOGIN_FAILURE", "192.0.2.1")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with path.open("wb") as file:
        for start in range(0, 60_000, 1_000):
            file.write(numbered(1_000, start).replace(b"line", b"l" * 200))
        file.write(b"x" * 20_000_000)
    tracemalloc.start()
    try:
        for _ in source(path).batches():
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000


@pytest.mark.parametrize("damage", ["cut", "trash", "crc"])
def test_of_a_damaged_gzip_file_what_can_be_read_is_kept_and_the_rest_is_named(tmp_path: Path, damage: str) -> None:
    whole = gzip.compress(os.urandom(200_000).hex().encode() + b"\n" + numbered(1_000))
    broken = {
        "cut": whole[: len(whole) // 2],
        "trash": whole[: len(whole) // 2] + b"\xff" * 50 + whole[len(whole) // 2 + 50 :],
        "crc": whole[:-8] + bytes(8),
    }
    path, after = tmp_path / "a.log.1.gz", tmp_path / "b.log"
    path.write_bytes(broken[damage])
    after.write_bytes(numbered(1))
    reader = source(path, after)
    found = [record for batch in reader.batches() for record in batch.records]
    assert len(found) > 1
    assert messages(found)[-1] == "line 0"
    (problem,) = reader.problems
    assert str(path) in problem
    assert "damaged" in problem


def test_what_cannot_be_read_is_named_at_once(tmp_path: Path) -> None:
    missing, folder = tmp_path / "missing.log", tmp_path / "folder"
    folder.mkdir()
    packed = tmp_path / "a.log.xz"
    packed.write_bytes(b"\xfd7zXZ\x00rest")
    for path, why in ((missing, "No such file"), (folder, "is a directory"), (packed, "compressed with xz")):
        with pytest.raises(ConfigurationError, match=why) as caught:
            source(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigurationError):
        source(Path("a\0b"))


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.touch(mode=0o000)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        source(path)


def test_a_file_that_vanishes_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    gone, there = tmp_path / "a.log", tmp_path / "b.log"
    gone.write_bytes(numbered(1))
    there.write_bytes(numbered(2))
    reader = source(gone, there)
    gone.unlink()
    assert sum(len(batch.records) for batch in reader.batches()) == 2
    assert len(reader.problems) == 1
    assert str(gone) in reader.problems[0]


def test_a_pipe_is_read_to_its_end_and_numbered_by_the_shipper(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = source(path)
    writer = threading.Thread(target=path.write_bytes, args=(numbered(3_000),))
    writer.start()
    found = [record for batch in reader.batches() for record in batch.records]
    writer.join()
    assert reader.problems == []
    assert len(found) == 3_000
    assert {record.event_id for record in found} == {None}


def test_an_empty_file_is_no_event(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.touch()
    assert records(path) == []


def test_lines_without_a_year_are_dated_by_the_file(tmp_path: Path) -> None:
    path = tmp_path / "auth.log"
    path.write_bytes(b"Dec 31 07:13:56 h sshd[2]: a\nJan  1 07:13:56 h sshd[2]: b\n")
    os.utime(path, (1_767_300_000, 1_767_300_000))
    found = [
        record.event["timestamp"]
        for batch in FileSource([path], format_factory("authlog"), KEY, {}, threading.Event()).batches()
        for record in batch.records
    ]
    assert found == ["2025-12-31T07:13:56.000Z", "2026-01-01T07:13:56.000Z"]
