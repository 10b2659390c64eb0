"""Following files: patterns, lines, other followers, and what goes wrong on the way."""

import glob
import gzip
import os
import threading
from pathlib import Path

import orjson
import pytest

from pipeline.clock import SystemClock
from pipeline.errors import ConfigurationError
from pipeline.sources.discovery import Discovery
from pipeline.sources.follow import FollowSource
from pipeline.sources.formats.format import TOO_LONG, format_factory
from pipeline.sources.formats.json_lines import JsonLines
from pipeline.sources.lines import LINE_MAX
from pipeline.sources.logfile import LogFile, UnreadableError
from tests.unit.sources.follower import KEY, Follower, append, held


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.touch()
    return path


def test_lines_are_given_out_as_they_are_written(log: Path) -> None:
    append(log, "a\nb\n")
    follower = Follower(log)
    assert follower.look() == ["a", "b"]
    assert follower.look() == []
    append(log, "c\n")
    assert follower.look() == ["c"]


def test_an_incomplete_line_waits_for_its_end(log: Path) -> None:
    follower = Follower(log)
    append(log, "a\nhalf")
    assert follower.look(60.0) == ["a"]
    assert follower.look() == []
    append(log, " whole\n")
    assert follower.look() == ["half whole"]


def test_a_file_that_does_not_exist_yet_is_waited_for_and_said_once(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    follower = Follower(path)
    for _ in range(3):
        assert follower.look() == []
    assert follower.said == [f"{path} does not exist yet; waiting for it"]
    append(path, "a\n")
    assert follower.look() == ["a"]


def test_a_pattern_that_matches_no_file_is_waited_for_and_said_once(tmp_path: Path) -> None:
    pattern = tmp_path / "*.log"
    (tmp_path / "folder.log").mkdir()
    follower = Follower(pattern)
    for _ in range(3):
        assert follower.look(2.0) == []
    assert follower.said == [f"no file matches {pattern} yet; waiting for one"]
    path = tmp_path / "app.log"
    append(path, "a\n")
    assert follower.look(2.0) == ["a"]
    path.unlink()
    assert follower.look(2.0) == follower.look(2.0) == []
    assert len(follower.said) == 1


def test_new_files_that_match_a_glob_are_followed(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "*.log")
    assert follower.look() == []
    append(tmp_path / "a.log", "a\n")
    assert follower.settle() == ["a"]
    append(tmp_path / "b.log", "b\n")
    append(tmp_path / "c.txt", "c\n")
    assert follower.settle() == ["b"]


def test_a_gzip_file_that_matches_a_glob_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(b"a\nb\nhalf"))
    follower = Follower(tmp_path / "a.log*")
    assert follower.settle() == ["a", "b", "half"]
    follower.restart()
    assert follower.settle() == []


def test_a_gzip_file_in_the_making_is_read_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.log.gz"
    whole = gzip.compress(os.urandom(100_000).hex().encode() + b"\nb\nc\n")
    path.write_bytes(whole[: len(whole) // 2])
    follower = Follower(tmp_path / "a.log*")
    follower.look()
    path.write_bytes(whole)
    assert follower.settle()[-2:] == ["b", "c"]
    assert follower.said == []


def test_a_damaged_gzip_file_is_given_up_and_named_once(tmp_path: Path) -> None:
    path = tmp_path / "a.log.gz"
    whole = gzip.compress(b"a\n" + os.urandom(100_000).hex().encode() + b"\nb\nc\n")
    path.write_bytes(whole[: len(whole) // 2])
    follower = Follower(tmp_path / "a.log*")
    found = follower.settle()
    assert found[0] == "a"
    assert len(found) == 2
    assert len(follower.said) == 1
    assert "damaged" in follower.said[0]


def test_two_paths_to_one_file_give_its_lines_once(log: Path) -> None:
    link = log.with_name("link.log")
    link.symlink_to(log)
    append(log, "a\n")
    follower = Follower(log, link)
    assert follower.settle() == ["a"]


def test_a_folder_or_device_is_named_and_not_read(tmp_path: Path) -> None:
    follower = Follower(tmp_path, Path("/dev/null"))
    for _ in range(3):
        assert follower.look() == []
    assert follower.said == [f"{path} is not a file that can be followed" for path in (tmp_path, "/dev/null")]


def test_a_pipe_in_the_place_of_a_file_stops_nothing(log: Path) -> None:
    follower = Follower(log)
    append(log, "a\n")
    follower.look()
    log.unlink()
    os.mkfifo(log)
    os.mkfifo(log.with_name("app.log.1"))
    assert follower.settle() == []
    with pytest.raises(UnreadableError, match="not a file that can be followed"):
        LogFile(log, only_regular=True)


def test_what_is_no_path_is_refused() -> None:
    for pattern in ("", "a\0b"):
        with pytest.raises(ConfigurationError, match="is no path"):
            Discovery([pattern], print)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
def test_a_file_without_permission_is_said_once_and_tried_again(log: Path) -> None:
    append(log, "a\n")
    log.chmod(0o000)
    follower = Follower(log)
    for _ in range(5):
        assert follower.look() == []
    assert len(follower.said) == 1
    log.chmod(0o600)
    assert follower.look() == ["a"]


def test_a_line_that_is_too_long_is_one_event_though_it_comes_in_pieces(log: Path) -> None:
    follower = Follower(log)
    append(log, "a\n")
    for _ in range(4):
        append(log, "x" * (LINE_MAX // 2))
        follower.look()
    append(log, "\nb\n")
    follower.settle()
    assert [event.get("tags") for event in follower.events.values()][1] == ["json_parse_failure", TOO_LONG]
    assert [event["message"] for event in follower.events.values()][2] == "b"


def test_ids_are_those_of_reading_once(log: Path) -> None:
    from pipeline.sources.files import FileSource

    append(log, "a\nb\nc\n")
    follower = Follower(log)
    follower.settle()
    once = FileSource([log], format_factory("json"), KEY, {}, threading.Event())
    assert list(follower.events) == [record.event_id for batch in once.batches() for record in batch.records]


def test_the_logs_of_another_follower_of_the_home_are_left_to_it(tmp_path: Path) -> None:
    events, auth = tmp_path / "events" / "app.log", tmp_path / "auth" / "auth.log"
    for path in (events, auth):
        path.parent.mkdir()
    append(events, '{"message":"a"}\n')
    append(auth, "Jan  1 00:00:00 h sshd[1]: first\n")
    one, other = Follower(events), Follower(auth, name="authlog", year=2015)
    one.settle()
    other.settle()
    one.positions.update(other.positions)
    other.source.close()
    append(auth, "Jan  1 00:00:01 h sshd[1]: second\n")
    auth.rename(auth.with_name("auth.log.1"))
    append(auth, "Jan  1 00:00:02 h sshd[1]: third\n")
    append(events, '{"message":"b"}\n')
    one.restart()
    assert one.settle() == ["b"]
    other.source = other._new()
    assert other.settle() == ["second", "third"]


def test_the_logs_of_another_follower_with_the_same_format_are_left_to_it_too(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine.log", tmp_path / "other.log"
    for path in (mine, other):
        append(path, "a\n")
    one, two = Follower(mine), Follower(other)
    one.settle()
    two.settle()
    one.positions.update(two.positions)
    append(other, "b\n")
    other.rename(other.with_name("other.log.1"))
    one.restart()
    assert one.settle() == []


def test_a_log_goes_on_whoever_followed_it_with_another_format(log: Path) -> None:
    append(log, "Jan  1 00:00:00 h sshd[1]: first\n")
    wrong, right = Follower(log), Follower(log, name="authlog", year=2015)
    wrong.settle()
    right.positions.update(wrong.positions)
    right.restart()
    assert right.settle() == ["first"]
    assert not wrong.events.keys() & right.events.keys()


def test_a_senseless_position_is_ignored(log: Path) -> None:
    append(log, "a\n")
    path = orjson.dumps(str(log)).decode()
    for text in (
        "",
        "[]",
        "{}",
        f'{{"since":"x","path":{path},"parts":[]}}',
        f'{{"since":0,"path":{path},"parts":[1,{{"offset":3}}]}}',
        '{"since":0,"path":1,"parts":[]}',
        "?",
    ):
        follower = Follower(log)
        follower.positions[f"follow:json:{log.resolve()}"] = text
        follower.restart()
        assert follower.settle() == ["a"]


def test_a_position_holds_nothing_of_the_file(log: Path) -> None:
    append(log, '{"password":"hunter2"}\n')
    follower = Follower(log)
    for batch in follower.source.poll():
        follower.positions.update(batch.positions)
    assert follower.positions
    assert "hunter2" not in str(follower.positions)


def test_progress_counts_what_is_read_and_what_is_there(log: Path) -> None:
    append(log, "a\n" * 1_000)
    follower = Follower(log)
    follower.look()
    follower.look()
    assert (follower.source.bytes_read, follower.source.bytes_total) == (2_000, 2_000)


def test_it_ends_soon_after_it_is_told_to_and_gives_the_files_back(log: Path) -> None:
    append(log, "a\n")
    stop = threading.Event()
    source = FollowSource([str(log)], format_factory("json"), KEY, {}, clock=SystemClock(), stop=stop, notify=print)
    batches = source.batches()
    assert [record.event["message"] for record in next(batches).records] == ["a"]
    assert next(batches).records == ()
    stop.set()
    assert list(batches) == []
    assert held(log) == 0


def test_a_folder_is_entered_once_whatever_links_lead_to_it(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    (loop / "deep" / ".hidden").mkdir(parents=True)
    for name in ("a", "b"):
        (loop / name).symlink_to(".")
    append(loop / "x.log", "1\n")
    append(loop / "deep" / "y.log", "2\n")
    append(loop / "deep" / ".hidden" / "z.log", "3\n")
    append(loop / "deep" / ".w.log", "4\n")
    (tmp_path / "elsewhere").mkdir()
    append(tmp_path / "elsewhere" / "v.log", "5\n")
    (loop / "deep" / "link").symlink_to(tmp_path / "elsewhere")
    follower = Follower(loop / "**" / "*.log")
    assert sorted(map(str, follower.settle())) == ["1", "2", "5"]


@pytest.mark.parametrize("pattern", ["**/*.log", "*/**/*.log", "**", "**/d*/**/x.log", "d1/**", "d1/**/d2/*"])
def test_stars_that_stand_for_any_folders_find_what_glob_finds(tmp_path: Path, pattern: str) -> None:
    for folder in ("", "d1", "d1/d2", "d1/d2/d3", "e", "d1/.h"):
        (tmp_path / folder).mkdir(exist_ok=True)
        for name in ("x.log", "y.txt", ".z.log"):
            (tmp_path / folder / name).touch()
    found = glob.glob(str(tmp_path / pattern), recursive=True)  # noqa: PTH207 - what is to be held against
    expected = {path for path in found if Path(path).is_file()}
    assert {str(path) for path, _ in Discovery([str(tmp_path / pattern)], print).files(0.0)} == expected


def test_a_log_that_is_followed_by_another_path_goes_on_where_it_was(log: Path) -> None:
    link = log.with_name("current")
    link.symlink_to(log)
    append(log, "a\n")
    by_link = Follower(link)
    assert by_link.look() == ["a"]
    by_link.source.close()
    append(log, "b\n")
    log.rename(log.with_name("app.log.1"))
    append(log, "c\n")
    by_name = Follower(log)
    by_name.positions.update(by_link.positions)
    by_name.restart()
    assert by_name.settle() == ["b", "c"]


def test_a_defect_met_in_one_file_does_not_end_the_reading_of_the_others(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = log.with_name("other.log")
    append(log, "poison\n")
    append(other, "a\n")
    parse = JsonLines.parse

    def failing(self: JsonLines, line: bytes) -> object:
        if line == b"poison":
            raise TypeError("Integer exceeds 64-bit range")
        return parse(self, line)

    monkeypatch.setattr(JsonLines, "parse", failing)
    follower = Follower(log, other)
    assert follower.settle() == ["a"]
    assert follower.said == [f"{log} cannot be read on: TypeError: Integer exceeds 64-bit range; trying again"]
    monkeypatch.setattr(JsonLines, "parse", parse)
    assert follower.settle() == ["poison"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a link that is somebody else's")
@pytest.mark.parametrize("pattern", ["*.log", "**/*.log"])
def test_a_link_that_somebody_put_into_a_folder_of_logs_leads_nowhere(tmp_path: Path, pattern: str) -> None:
    secret = tmp_path / "secret"
    append(secret, '{"message":"secret"}\n')
    folder, elsewhere = tmp_path / "logs", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    append(elsewhere / "c.log", '{"message":"c"}\n')
    append(folder / "a.log", '{"message":"a"}\n')
    for link, target in (("evil.log", secret), ("ours.log", folder / "b"), ("sub", elsewhere)):
        (folder / link).symlink_to(target)
    append(folder / "b", '{"message":"b"}\n')
    for link in ("evil.log", "sub"):
        os.chown(folder / link, 12_345, 12_345, follow_symlinks=False)
    follower = Follower(folder / pattern)
    assert sorted(map(str, follower.settle())) == ["a", "b"]
    assert any("evil.log is a link that somebody else made; name it whole" in text for text in follower.said)
    (folder / "chain.log").symlink_to("../elsewhere/next.log")  # ours, and leads to another's
    (elsewhere / "next.log").symlink_to(secret)
    os.chown(elsewhere / "next.log", 12_345, 12_345, follow_symlinks=False)
    (folder / "up.log").symlink_to("../logs/./b")
    assert follower.settle() == []
    assert any("chain.log is a link that somebody else made" in text for text in follower.said)
    named = Follower(folder / "evil.log")
    assert named.settle() == ["secret"]


def test_a_log_in_another_format_is_told_of_once(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    append(log, "Dec 10 06:55:46 h sshd[1]: hello\n" * 19)
    follower = Follower(log)
    follower.settle()
    assert follower.said == []
    append(log, "Dec 10 06:55:46 h sshd[1]: hello\n" * 40)
    follower.settle()
    assert follower.said == [f"{log}: none of its lines so far is json; is it --format authlog?"]
    other = tmp_path / "mixed.log"
    append(other, '{"message":"x"}\n' + "no\n" * 60)
    follower = Follower(other)
    follower.settle()
    assert follower.said == []
