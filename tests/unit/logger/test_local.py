"""The local `security.log` and the console."""

import fcntl
import io
import json
import logging
import multiprocessing
import os
import resource
import signal
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.events.catalogue import SecurityEvent
from pipeline.logger import echo, local
from pipeline.logger.echo import readable
from pipeline.logger.handler import SecurityHandler
from pipeline.logger.local import RotatingFile
from pipeline.logger.security import SecurityLogger
from tests.unit.logger.support import broken, codes, run_application, spooled, until

Make = Callable[..., SecurityLogger]


def rotating(path: Path, max_bytes: int = 1_000, backups: int = 3) -> RotatingFile:
    return RotatingFile(path, max_bytes=max_bytes, backups=backups, clock=SystemClock())


def lines_in(*paths: Path) -> list[bytes]:
    return [line for path in paths for line in path.read_bytes().splitlines()]


def test_the_local_file_holds_the_documents_that_are_spooled(make: Make, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "security.log"
    security = make(siemlite_security_log=path)
    security.log(SecurityEvent.LOGIN_FAILURE, password="hunter2", user_id="ü")
    security.log(SecurityEvent.LOGOUT)
    security.flush()
    documents = [json.loads(line) for line in lines_in(path)]
    stored = [{key: value for key, value in event.items() if key != "event.ingested"} for event in spooled(home)]
    assert documents == stored
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_local_file_is_written_once_even_when_the_spool_must_be_tried_again(
    make: Make, home: Path, tmp_path: Path
) -> None:
    obstacle = broken(home)
    security = make(siemlite_security_log=tmp_path / "security.log")
    security.log(SecurityEvent.LOGOUT)
    assert until((tmp_path / "security.log").exists)
    assert not security.flush(timeout=0.5)
    assert len(lines_in(tmp_path / "security.log")) == 1
    obstacle.unlink()
    assert security.flush(timeout=20)
    assert len(lines_in(tmp_path / "security.log")) == 1


def test_a_local_file_that_cannot_be_written_is_told_once_and_keeps_nothing_from_the_spool(
    make: Make, home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "security.log"
    path.mkdir()
    security = make(siemlite_security_log=path)
    for _ in range(3):
        security.log(SecurityEvent.LOGOUT)
        security.flush()
    assert len(spooled(home)) == 3
    told = [record.message for record in caplog.records]
    assert told == [f"SIEMLITE_SECURITY_LOG {path} cannot be written: Is a directory; let this user write there"]
    path.rmdir()
    security.log(SecurityEvent.LOGOUT)
    security.flush()
    assert caplog.records[-1].message == "SIEMLITE_SECURITY_LOG is written again; 3 lines missing in it"
    assert len(lines_in(path)) == 1


def test_a_file_is_rotated_before_it_grows_beyond_its_size_and_the_oldest_goes(tmp_path: Path) -> None:
    file = rotating(tmp_path / "a.log", max_bytes=100, backups=2)
    for n in range(40):
        file.write([b"line %04d\n" % n])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2"]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())
    found = lines_in(tmp_path / "a.log.2", tmp_path / "a.log.1", tmp_path / "a.log")
    assert found == [b"line %04d" % n for n in range(40)][-len(found) :]
    assert len(found) == 30


def test_many_lines_at_once_are_rotated_between_lines(tmp_path: Path) -> None:
    file = rotating(tmp_path / "a.log", max_bytes=100, backups=50)
    file.write([b"line %04d\n" % n for n in range(95)])
    paths = sorted(tmp_path.glob("a.log.*"), key=lambda path: -int(path.suffix[1:]))
    assert lines_in(*paths, tmp_path / "a.log") == [b"line %04d" % n for n in range(95)]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())


def test_a_line_larger_than_the_size_is_written_whole(tmp_path: Path) -> None:
    file = rotating(tmp_path / "a.log", max_bytes=100)
    file.write([b"a\n", b"x" * 500 + b"\n", b"b\n"])
    assert lines_in(tmp_path / "a.log.2", tmp_path / "a.log.1", tmp_path / "a.log") == [b"a", b"x" * 500, b"b"]


def test_a_file_that_somebody_else_moves_or_removes_is_opened_again(tmp_path: Path) -> None:
    file = rotating(tmp_path / "a.log")
    file.write([b"1\n"])
    (tmp_path / "a.log").rename(tmp_path / "moved")
    file.write([b"2\n"])
    (tmp_path / "a.log").unlink()
    file.write([b"3\n"])
    (tmp_path / "a.log").rename(tmp_path / "moved too")
    (tmp_path / "a.log").touch()
    file.write([b"4\n"])
    assert lines_in(tmp_path / "moved") == [b"1"]
    assert lines_in(tmp_path / "moved too") == [b"3"]
    assert lines_in(tmp_path / "a.log") == [b"4"]


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.touch(mode=0o644)
    rotating(path).write([b"1\n"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def _write_many(path: Path, writer: int) -> None:
    file = rotating(path, max_bytes=2_000, backups=1_000)
    for n in range(300):
        file.write([b"%d %d %s\n" % (writer, n, b"x" * 40)])


def test_several_processes_write_and_rotate_one_file_without_losing_or_mixing_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_many, args=(path, writer)) for writer in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    found = [tuple(line.split(b" ")) for line in lines_in(*tmp_path.iterdir())]
    assert sorted((int(writer), int(n)) for writer, n, _ in found) == [(w, n) for w in range(4) for n in range(300)]
    assert all(filler == b"x" * 40 for _, _, filler in found)
    assert all(file.stat().st_size <= 2_000 for file in tmp_path.iterdir())


def test_a_process_that_keeps_the_lock_keeps_others_from_their_spools_once_only(
    make: Make, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local, "_LOCK_SECONDS", 0.2)
    tries: list[int] = []
    write = RotatingFile.write

    def counted(file: RotatingFile, lines: Sequence[bytes]) -> None:
        tries.append(len(lines))
        write(file, lines)

    monkeypatch.setattr(RotatingFile, "write", counted)
    path = tmp_path / "security.log"
    with path.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        security = make(siemlite_security_log=path)
        for _ in range(20):
            security.log(SecurityEvent.LOGOUT, durable=True)
    assert len(spooled(home)) == 20
    assert lines_in(path) == []
    assert len(tries) == 1  # Then it is left alone for a minute.
    assert "Resource temporarily unavailable" in caplog.text


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (250, resource.RLIM_INFINITY))
        file = rotating(path, max_bytes=10_000)
        try:
            for _ in range(10):
                file.write([b"x" * 99 + b"\n"])
        except OSError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert path.read_bytes() == (b"x" * 99 + b"\n") * 2


def test_what_is_no_regular_file_is_written_and_not_rotated(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    file = rotating(tmp_path / "pipe", max_bytes=10)
    file.write([b"first line\n", b"second line\n"])
    assert os.read(reader, 100) == b"first line\nsecond line\n"
    os.close(reader)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_the_console_gets_json_lines_where_it_is_no_terminal(tmp_path: Path) -> None:
    result = run_application(
        tmp_path,
        """
        from pipeline import SecurityEvent, SecurityLogger
        SecurityLogger("a").log(SecurityEvent.LOGIN_FAILURE, password="hunter2", user_id=1)
        """,
        SIEMLITE_CONSOLE="true",
    )
    (line,) = result.stderr.splitlines()
    assert json.loads(line)["siemlite"]["data"] == {"password": "[REDACTED]"}
    assert result.stdout == ""


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_console_gets_one_readable_line_where_it_is_a_terminal(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    security = make(siemlite_console=True)
    security.log(SecurityEvent.LOGIN_FAILURE, user_id=7, ip="192.0.2.1", message="wrong", reason="invalid_password")
    security.flush()
    (line,) = terminal.getvalue().splitlines()
    assert line.split(" ", 1)[1] == (
        "WARN  LOGIN_FAILURE service=auth-api user=7 from=192.0.2.1 reason=invalid_password wrong"
    )


def test_a_line_cannot_steer_the_terminal() -> None:
    document = {"@timestamp": "t", "event": {"code": "X"}, "message": "a\x1b[2Jb\nc\x9b\u202ed"}
    assert readable(document) == "t       X a\\u001b[2Jb\\u000ac\\u009b\\u202ed"


def test_the_local_file_steers_no_terminal_and_says_the_same(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "security.log"
    security = make(siemlite_security_log=path)
    security.log(SecurityEvent.LOGOUT, message="c\x9b\u202ed\x7f\u00e4")
    security.flush()
    (line,) = lines_in(path)
    assert json.loads(line)["message"] == "c\x9b\u202ed\x7f\u00e4"
    assert not set(line.decode()) & set("\x9b\u202e\x7f")


def test_a_console_that_fails_keeps_nothing_from_the_spool(
    make: Make, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("gone")

    security = make(siemlite_console=True)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Broken())
        security.log(SecurityEvent.LOGOUT)
        assert security.flush()
    assert len(spooled(home)) == 1
    assert "SIEMLITE_CONSOLE" in caplog.text


def test_a_console_that_nobody_reads_keeps_nothing_from_the_spool(
    make: Make, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(echo, "_ROOM_SECONDS", 0.01)
    monkeypatch.setattr(echo, "_UNREAD_SECONDS", 0.0)
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    security = make(siemlite_console=True)
    with monkeypatch.context() as patch, os.fdopen(writer, "w") as stream:
        patch.setattr(sys, "stderr", stream)
        for _ in range(500):
            security.log(SecurityEvent.LOGOUT, message="x" * 500)
        assert security.flush()
        assert len(spooled(home)) == 500
        while _read(reader):
            pass
        security.log(SecurityEvent.LOGOUT, message="read again")
        assert security.flush()
        assert b"read again" in _read(reader)
    os.close(reader)
    assert "standard error was not read; " in caplog.text


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 20)
    except BlockingIOError:
        return b""


def test_a_standard_error_that_is_logged_makes_no_event_of_a_copy(
    make: Make, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Celery's workers do with it."""

    class Redirected(io.StringIO):
        def write(self, text: str) -> int:
            logger.error(text)
            return len(text)

    security = make(siemlite_console=True)
    logger = logging.Logger("redirected")
    logger.addHandler(SecurityHandler(security))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Redirected())
        security.log(SecurityEvent.LOGOUT)
        for _ in range(3):
            assert security.flush()
        sys.stderr.write("said by the application")
        assert security.flush()
    assert codes(spooled(home)) == ["LOGOUT", "LOG_RECORD"]
