"""Running a contender: what is counted, and that nothing is left behind."""

import os
import sys
from pathlib import Path

import pytest

from bench.measure import Command, RunFailedError, run
from tests.unit.waiting import until


class Shelf:
    """A place where files arrive, as events would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def indexed(self) -> int:
        return len(list(self.folder.glob("event*")))

    def searchable(self) -> int:
        return self.indexed()

    def cpu_seconds(self) -> float | None:
        return None


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "shelf").mkdir()
    return Shelf(tmp_path / "shelf")


def python(code: str, shelf: Shelf, *, daemon: bool = False) -> Command:
    return Command([sys.executable, "-c", code], {"SHELF": str(shelf.folder)}, daemon=daemon)


def put(count: int) -> str:
    return (
        "import os, pathlib, time\n"
        "shelf = pathlib.Path(os.environ['SHELF'])\n"
        f"for n in range({count}): (shelf / f'event{{n}}').touch()\n"
        "(shelf / 'new').write_text(str(os.getpid()))\n"
        "(shelf / 'new').rename(shelf / 'pid')\n"
    )


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def pid_of(shelf: Shelf) -> int:
    return int((shelf.folder / "pid").read_text())


def test_a_contender_that_ends_by_itself_is_measured_to_its_end(shelf: Shelf, tmp_path: Path) -> None:
    burn = "end = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"
    memory = "held = bytearray(80 * 1024 * 1024)\nheld[::4096] = bytes(len(held[::4096]))\n"
    measured = run(
        [python(memory + put(3) + burn, shelf)], shelf, 3, logs=tmp_path, seconds=30, progress=lambda _: None
    )
    assert measured.client_cpu >= 0.2
    assert measured.peak_bytes > 80 * 1024 * 1024
    assert measured.server_cpu is None


def test_a_daemon_is_asked_to_end_once_everything_arrived(shelf: Shelf, tmp_path: Path) -> None:
    run(
        [python(put(3) + "time.sleep(60)", shelf, daemon=True)],
        shelf,
        3,
        logs=tmp_path,
        seconds=30,
        progress=lambda _: None,
    )
    assert not is_alive(pid_of(shelf))


def test_a_contender_that_loses_events_fails_and_says_what_it_said(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(RunFailedError, match="1 events are missing: nothing left"):
        run(
            [python(put(2) + "print('nothing left')", shelf)],
            shelf,
            3,
            logs=tmp_path,
            seconds=30,
            progress=lambda _: None,
        )


def test_a_contender_that_stores_too_much_fails(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(RunFailedError, match="1 too many"):
        run([python(put(4), shelf)], shelf, 3, logs=tmp_path, seconds=30, progress=lambda _: None)


def test_a_contender_that_takes_too_long_is_ended_with_all_that_it_started(shelf: Shelf, tmp_path: Path) -> None:
    class Unhurried(Shelf):
        def indexed(self) -> int:
            until((self.folder / "pid").exists, 60)  # by then it runs, however slow the machine is
            return super().indexed()

    shelf = Unhurried(shelf.folder)
    code = "import os\nif os.fork(): os.wait()\n" + put(1) + "time.sleep(600)"
    with pytest.raises(RunFailedError, match="missing after"):
        run([python(code, shelf)], shelf, 3, logs=tmp_path, seconds=1, progress=lambda _: None)
    until(lambda: not is_alive(pid_of(shelf)))


def test_what_the_user_set_for_siemlite_does_not_reach_a_contender(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIEMLITE_CONSOLE", "1")
    code = "import os, sys\nif 'SIEMLITE_CONSOLE' in os.environ: sys.exit(3)\n" + put(1)
    run([python(code, shelf)], shelf, 1, logs=tmp_path, seconds=30, progress=lambda _: None)
