"""More logs than may be open: all are read, none waits for ever, and descriptors stay few."""

import gzip
import os
import shutil
from pathlib import Path

import pytest

from pipeline.sources import openfiles
from pipeline.sources.lineage import Lineage, Part
from pipeline.sources.tail import Tail
from tests.unit.sources.clocks import StillClock
from tests.unit.sources.follower import Follower, append, held


def test_few_files_stay_open_and_none_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openfiles, "OPEN_MAX", 2)
    paths = [tmp_path / f"{number}.log" for number in range(6)]
    for path in paths:
        append(path, f"{path.name} a\nhalf")
    follower = Follower(tmp_path / "*.log")
    assert len(follower.settle()) == 6
    assert held(*paths) <= 2
    for path in paths:
        append(path, f" {path.name}\n")
    assert sorted(map(str, follower.settle())) == [f"half {path.name}" for path in paths]


def test_files_beyond_those_that_may_be_open_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openfiles, "OPEN_MAX", 3)
    paths = [tmp_path / f"{number:02}.log" for number in range(20)]
    for path in paths:
        append(path, f"{path.stem} 0\n")
    follower = Follower(tmp_path / "*.log")
    said: list[object] = []
    for turn in range(1, 60):
        said += follower.look()
        assert held(*paths) <= 3
        for path in paths[:5]:  # Those that come first have always something new, and the others their turn.
            append(path, f"{path.stem} {turn}\n")
    said += [message for _ in range(20) for message in follower.look(3.0)]
    assert sorted(map(str, said)) == sorted(
        [f"{path.stem} {turn}" for path in paths[:5] for turn in range(60)] + [f"{path.stem} 0" for path in paths[5:]]
    )
    first = {str(message).split()[0]: said.index(message) for message in reversed(said)}
    assert max(first.values()) < 40


class SlowClock(StillClock):
    """Time goes by at each look at the clock, as where each batch waits for a disk."""

    def monotonic(self) -> float:
        self.move(0.1)
        return super().monotonic()


def test_files_that_never_come_to_their_end_make_room_for_those_that_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openfiles, "OPEN_MAX", 3)
    paths = [tmp_path / f"{number}.log" for number in range(8)]
    for path in paths:
        append(path, f"{path.stem} 0\n")
    follower = Follower(tmp_path / "*.log")
    follower.clock = SlowClock()
    follower.restart()
    seen: set[str] = set()
    for turn in range(1, 80):
        for batch in follower.source.poll():
            follower.take(batch)
            for record in batch.records:
                seen.add(str(record.event["message"]).split()[0])
            for path in paths:  # Somebody writes all the time.
                append(path, f"{path.stem} {turn}\n")
    assert seen == {path.stem for path in paths}


@pytest.mark.parametrize("how", ["rename", "copytruncate", "gzip"])
def test_many_logs_that_rotate_at_once_are_read_whole_with_few_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(openfiles, "OPEN_MAX", 4)
    paths = [tmp_path / f"{number:02}.log" for number in range(40)]
    for path in paths:
        append(path, f"{path.stem} 0\n")
    others = len(list(Path("/proc/self/fd").iterdir()))
    follower = Follower(tmp_path / "*.log")
    said = [message for _ in range(30) for message in follower.look(0.25)]
    for turn in range(1, 4):
        for path in paths:
            append(path, f"{path.stem} {turn} a\n")
            old = path.with_name(f"{path.name}.{4 - turn}")
            if how == "copytruncate":
                shutil.copy2(path, old)
                os.truncate(path, 0)
            else:
                path.rename(old)
                if how == "gzip":
                    old.with_name(f"{old.name}.gz").write_bytes(gzip.compress(old.read_bytes()))
                    old.unlink()
            append(path, f"{path.stem} {turn} b\n")
        for _ in range(200):
            said += follower.look(0.25)
            assert len(list(Path("/proc/self/fd").iterdir())) - others < 20
            assert len(follower.source._files.tails()) <= 8
    said += [message for _ in range(60) for message in follower.look(3.0)]
    parts = [f"{turn} {part}" for turn in range(1, 4) for part in "ab"]
    assert sorted(map(str, said)) == sorted(f"{path.stem} {part}" for path in paths for part in ["0", *parts])


def test_a_file_that_is_rotated_while_it_waits_for_its_turn_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openfiles, "OPEN_MAX", 1)
    paths = [tmp_path / f"{number}.log" for number in range(4)]
    for path in paths:
        append(path, f"{path.stem} a\n")
    follower = Follower(tmp_path / "*.log")
    said = follower.look()
    for path in paths:
        path.rename(path.with_name(f"{path.name}.1"))
        append(path, f"{path.stem} b\n")
    said += [message for _ in range(30) for message in follower.look(3.0)]
    assert sorted(map(str, said)) == sorted(f"{path.stem} {part}" for path in paths for part in "ab")


def test_many_rotations_that_nobody_saw_are_read_with_few_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openfiles, "OPEN_MAX", 4)
    paths = [tmp_path / f"{number}.log" for number in range(3)]
    for path in paths:
        append(path, f"{path.stem} 0\n")
    follower = Follower(tmp_path / "*.log")
    said = follower.look()
    for turn in range(1, 21):
        for path in paths:
            path.rename(path.with_name(f"{path.name}.{30 - turn}"))
            append(path, f"{path.stem} {turn}\n")
    for _ in range(200):
        said += follower.look(1.0)
        assert len(follower.source._files.tails()) <= 8
    assert sorted(map(str, said)) == sorted(f"{path.stem} {turn}" for path in paths for turn in range(21))


def test_what_is_written_while_a_file_is_closed_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openfiles, "OPEN_MAX", 1)
    log, other = tmp_path / "app.log", tmp_path / "other.log"
    append(log, "a\n")
    append(other, "b\n")
    follower = Follower(log, other)
    rest = openfiles.OpenFiles.rest

    def late(files: openfiles.OpenFiles, tail: Tail) -> tuple[Lineage, Part]:
        append(tail.file.path, "late\n")
        return rest(files, tail)

    monkeypatch.setattr(openfiles.OpenFiles, "rest", late)
    said = follower.look()
    monkeypatch.setattr(openfiles.OpenFiles, "rest", rest)
    said += follower.settle()
    assert sorted(map(str, said))[:2] == ["a", "b"]
    assert said.count("late") == len(said) - 2 >= 1


def test_a_look_is_no_longer_for_the_logs_that_came_and_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = Follower(tmp_path / "*.log")
    gone = [tmp_path / f"{number}.log" for number in range(100)]
    for path in gone:
        append(path, "a\n")
    assert len(follower.settle()) == 100
    for path in gone:
        path.unlink()
    append(tmp_path / "here.log", "b\n")
    assert follower.settle() == ["b"]
    follower.look()
    asked: list[Lineage] = []
    tails = Lineage.tails

    def counted(lineage: Lineage) -> list[Tail]:
        asked.append(lineage)
        return tails(lineage)

    monkeypatch.setattr(Lineage, "tails", counted)
    append(tmp_path / "here.log", "c\n")
    assert follower.look() == ["c"]
    assert {lineage.stem for lineage in asked} == {str(tmp_path / "here.log")}
