"""Following across rotation: by renaming, by copying and truncating, by inodes used again, while nobody looks."""

import gzip
import os
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.sources import openfiles
from pipeline.sources.discovery import Discovery
from tests.unit.sources.follower import Follower, append


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.touch()
    return path


def test_a_renamed_file_is_read_to_its_end_before_the_new_one(log: Path) -> None:
    follower = Follower(log)
    append(log, "a\n")
    follower.look()
    append(log, "b\n")
    old = log.rename(log.with_name("app.log.1"))
    append(log, "d\n")
    append(old, "c\n")
    assert follower.look() == ["b", "c", "d"]
    append(old, "late\n")
    assert follower.look() == ["late"]


def test_an_incomplete_line_of_a_renamed_file_is_given_out_when_nothing_more_comes(log: Path) -> None:
    follower = Follower(log)
    append(log, "a\nhalf")
    follower.look()
    log.rename(log.with_name("app.log.1"))
    assert follower.look(3.0) == []
    assert follower.settle() == ["half"]


def test_a_deleted_file_is_read_to_its_end(log: Path) -> None:
    follower = Follower(log)
    append(log, "a\n")
    follower.look()
    append(log, "b\nhalf")
    log.unlink()
    assert follower.settle() == ["b", "half"]


def test_a_truncated_file_is_read_from_its_beginning(log: Path) -> None:
    follower = Follower(log)
    append(log, "first\nhalf")
    follower.look()
    log.write_text("second\n")
    assert follower.settle() == ["half", "second"]


def test_truncation_is_noticed_though_the_file_has_grown_beyond_where_it_was(log: Path) -> None:
    follower = Follower(log)
    append(log, "one\n")
    follower.look()
    log.write_text("two\nthree\nfour\n")
    assert follower.settle() == ["two", "three", "four"]


def test_truncation_is_noticed_though_the_same_bytes_lie_where_it_was(log: Path) -> None:
    follower = Follower(log)
    append(log, "one\n" + "x" * 1_000 + "\n")
    follower.look()
    log.write_text("two\n" + "x" * 1_000 + "\nthree\n")
    assert follower.settle() == ["two", "x" * 1_000, "three"]


def test_of_a_line_that_copytruncate_found_incomplete_only_the_copy_counts(log: Path) -> None:
    follower = Follower(log)
    append(log, "a\nhalf")
    follower.look()
    append(log, " whole\n")
    shutil.copyfile(log, log.with_name("app.log.1"))
    log.write_text("b\n")
    assert sorted(map(str, follower.settle())) == ["b", "half whole"]


def test_a_file_moved_away_before_its_first_line_was_complete_is_not_forgotten(log: Path) -> None:
    follower = Follower(log)
    append(log, "half")
    follower.look()
    old = log.rename(log.with_name("app.log.1"))
    append(log, "b\n")
    assert follower.look() == ["b"]
    append(old, " whole\nlast")
    assert follower.settle() == ["half whole", "last"]


def test_what_was_written_before_copytruncate_is_found_in_the_copy(log: Path) -> None:
    follower = Follower(log)
    append(log, "a\n")
    follower.look()
    append(log, "b\nhalf")
    shutil.copyfile(log, log.with_name("app.log.1"))
    log.write_text("c\n")
    assert sorted(map(str, follower.settle())) == ["b", "c", "half"]


def test_a_restart_goes_on_where_it_was(log: Path) -> None:
    follower = Follower(log)
    append(log, "a\nb\n")
    follower.look()
    follower.restart()
    append(log, "c\n")
    assert follower.look() == ["c"]


def test_an_inode_that_is_used_again_is_another_file(log: Path) -> None:
    follower = Follower(log)
    append(log, "a\nb\n")
    follower.look()
    follower.source.close()
    log.unlink()
    append(log, "x\ny\nz\n")
    for key, text in follower.positions.items():
        known = orjson.loads(text)
        for part in known["parts"]:
            part["inode"] = log.stat().st_ino
        follower.positions[key] = orjson.dumps(known).decode()
    follower.restart()
    assert follower.settle() == ["x", "y", "z"]


@pytest.mark.parametrize("packed", [False, True])
def test_files_rotated_while_nobody_looked_are_found(log: Path, packed: bool) -> None:
    follower = Follower(log)
    append(log, "a\n")
    follower.look()
    append(log, "b\n")
    follower.source.close()
    second = log.rename(log.with_name("app.log.2"))
    if packed:
        log.with_name("app.log.2.gz").write_bytes(gzip.compress(second.read_bytes()))
        second.unlink()
    append(log, "c\n")
    log.rename(log.with_name("app.log.1"))
    append(log, "d\n")
    follower.restart()
    assert sorted(map(str, follower.settle())) == ["b", "c", "d"]
    assert len(follower.events) == 4


def test_files_that_came_and_went_between_two_looks_are_found(log: Path) -> None:
    follower = Follower(log)
    append(log, "a\n")
    follower.look()
    log.rename(log.with_name("app.log.2"))
    append(log, "b\n")
    log.rename(log.with_name("app.log.1"))
    append(log, "c\n")
    assert sorted(map(str, follower.settle())) == ["b", "c"]


def test_what_lay_beside_a_log_at_first_is_left_alone(log: Path) -> None:
    append(log.with_name("app.log.1"), "old\n")
    log.with_name("app.log.2.gz").write_bytes(gzip.compress(b"older\n"))
    append(log, "a\n")
    follower = Follower(log)
    assert follower.settle() == ["a"]
    log.with_name("app.log.1").rename(log.with_name("app.log.2"))
    log.rename(log.with_name("app.log.1"))
    append(log, "b\n")
    assert follower.settle() == ["b"]


def test_a_symlink_that_is_turned_leads_to_the_new_file(tmp_path: Path) -> None:
    old, new, link = tmp_path / "one.log", tmp_path / "two.log", tmp_path / "current"
    append(old, "a\n")
    append(new, "x\n")
    link.symlink_to(old)
    follower = Follower(link)
    assert follower.look() == ["a"]
    append(old, "b\n")
    link.unlink()
    link.symlink_to(new)
    append(old, "c\n")
    assert follower.look() == ["b", "c", "x"]


def test_the_year_goes_on_across_rotation_and_restart(log: Path) -> None:
    follower = Follower(log, name="authlog", year=2015)
    append(log, "Dec 31 23:00:00 h sshd[1]: a\n")
    follower.look()
    log.rename(log.with_name("app.log.1"))
    append(log, "Jan  1 01:00:00 h sshd[1]: b\n")
    follower.look()
    follower.restart()
    append(log, "Jan  2 01:00:00 h sshd[1]: c\n")
    follower.settle()
    times = [event["timestamp"] for event in follower.events.values()]
    assert times == ["2015-12-31T23:00:00.000Z", "2016-01-01T01:00:00.000Z", "2016-01-02T01:00:00.000Z"]


def test_a_log_that_is_gone_while_nobody_looks_is_found_by_its_path_alone(tmp_path: Path) -> None:
    log = tmp_path / "deep" / "er" / "app.log"
    log.parent.mkdir(parents=True)
    append(log, "a\n")
    follower = Follower(tmp_path / "**" / "*.log")
    assert follower.look() == ["a"]
    follower.source.close()
    append(log, "b\n")
    log.rename(log.with_name("app.log.1"))
    follower.restart()
    assert follower.settle() == ["b"]


def test_a_log_that_is_gone_for_long_is_forgotten(log: Path) -> None:
    append(log, "a\n")
    follower = Follower(log)
    follower.look()
    log.unlink()
    follower.settle()
    follower.look(openfiles.GONE_SECONDS / 2)
    assert any(follower.positions.values())
    follower.look(openfiles.GONE_SECONDS)
    follower.settle()
    assert not any(follower.positions.values())
    append(log, "b\n")
    assert follower.settle() == ["b"]


def test_a_log_that_is_gone_for_long_is_forgotten_however_often_the_follower_is_started_anew(log: Path) -> None:
    follower = Follower(log)
    append(log, '{"message": "1"}\n')
    follower.look()
    log.unlink()
    follower.settle()
    for _ in range(3):
        follower.restart()
        follower.look(openfiles.GONE_SECONDS / 3)
    assert any(follower.positions.values())
    follower.look(600)
    follower.look()
    assert not any(follower.positions.values())


@pytest.mark.parametrize(
    ("pattern", "path", "leads"),
    [
        ("/var/log/a.log", "/var/log/a.log", True),
        ("/var/log/a.log", "/var/log/b.log", False),
        ("/var/log/*.log", "/var/log/a.log", True),
        ("/var/log/*.log", "/var/log/deep/a.log", False),
        ("/var/*/a.log", "/var/log/a.log", True),
        ("/var/**/a.log", "/var/a.log", True),
        ("/var/**/a.log", "/var/x/y/a.log", True),
        ("/var/**/a.log", "/var/x/y/b.log", False),
        ("/var/log/**", "/var/log/x/y", True),
        ("/var/log/[ab].log", "/var/log/b.log", True),
        ("/var/log/[ab].log", "/var/log/c.log", False),
    ],
)
def test_a_pattern_leads_to_files_that_are_gone_as_to_those_that_are_there(
    pattern: str, path: str, *, leads: bool
) -> None:
    assert Discovery([pattern], print).leads_to(path) is leads


def test_a_copy_that_is_moved_on_while_it_is_looked_for_is_found_and_no_line_is_torn(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = Follower(log)
    append(log, '{"message":"first"}\n{"message":"sec')
    follower.look()
    append(log, 'ond"}\n')
    copy = log.with_name("app.log.1")
    shutil.copyfile(log, copy)
    os.truncate(log, 0)
    stat = Path.stat
    moved: list[Path] = []

    def moves_on(path: Path, **options: Any) -> os.stat_result:
        if path == copy and not moved:
            moved.append(copy.rename(log.with_name("app.log.2")))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", moves_on)
    follower.settle()
    assert [event["message"] for event in follower.events.values()] == ["first", "second"]


def test_the_year_goes_on_from_the_latest_of_several_rotated_files(log: Path) -> None:
    follower = Follower(log, name="authlog", year=2015)
    for number, line in enumerate(("Dec 31 23:00:00", "May  1 12:00:00", "Nov  1 12:00:00", "Jan  1 01:00:00")):
        append(log, f"{line} h sshd[1]: x\n")
        os.utime(log, ns=(number * 10**9 + 10**18,) * 2)
        follower.settle()
        log.rename(log.with_name(f"app.log.{9 - number}"))
    times = [event["timestamp"] for event in follower.events.values()]
    assert [str(time)[:10] for time in times] == ["2015-12-31", "2016-05-01", "2016-11-01", "2017-01-01"]


def test_a_link_beside_a_log_is_no_rotated_file(log: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    follower = Follower(log)
    append(log, '{"message":"a"}\n')
    follower.settle()
    append(secret, '{"message":"secret"}\n')
    log.with_name("app.log.1").symlink_to(secret)
    append(log, '{"message":"b"}\n')
    assert follower.settle() == ["b"]
