"""A disk that fills up: the reader waits, what is durable can be worked off, and every event arrives once."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.elastic.client import connect
from pipeline.settings import Settings
from tests.acceptance.crash import truth, worlds
from tests.command import COMMAND, environment
from tests.proxy import NOTHING, Fault, Kind, fault_proxy
from tests.unit.waiting import until

EVENTS = 60_000
NOW_MS = 1_795_500_000_000
_OWN_MOUNTS = ("unshare", "--user", "--map-root-user", "--mount")


def _can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_OWN_MOUNTS, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.long
@pytest.mark.skipif(not _can_mount(), reason="a small file system of one's own needs unshare(1) and user namespaces")
def test_a_file_larger_than_the_disk_is_stored_exactly_once(es_ready: str, tmp_path: Path) -> None:
    source = tmp_path / "events.jsonl"
    worlds.write_file(source, range(EVENTS), NOW_MS)
    client = connect(Settings(_env_file=None), es_ready)
    home = tmp_path / "home"
    home.mkdir()
    log = tmp_path / "log"
    refusals = [0]

    def refuse() -> Fault:
        refusals[0] += 1
        return Fault(Kind.STATUS, 503)

    with fault_proxy(es_ready) as proxy:
        proxy.choose = refuse
        env = environment(home, ELASTICSEARCH_URL=proxy.url)
        keep = f"cp -r {shlex.quote(str(home))}/keys {shlex.quote(str(tmp_path))}"
        ship = shlex.join([*COMMAND, "ship", str(source)])
        script = f"mount -t tmpfs -o size=56m siemlite-test {shlex.quote(str(home))}; {ship}; s=$?; {keep}; exit $s"
        with (
            log.open("wb") as output,
            subprocess.Popen(
                [*_OWN_MOUNTS, "sh", "-c", script],
                env=env,
                stdout=output,
                stderr=output,
                cwd="/",
                start_new_session=True,
            ) as process,
        ):
            try:
                inside = Path(f"/proc/{process.pid}/root{home}")
                until(lambda: _free_bytes(inside) < 1024 * 1024, 60)
                until(lambda: refusals[0] > 3, 60)
                assert process.poll() is None, log.read_text()
                proxy.choose = lambda: NOTHING
                assert process.wait(120) == 0, log.read_text()
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
    shutil.copytree(tmp_path / "keys", home / "keys", dirs_exist_ok=True)
    expected = truth.of_file(source, home)
    assert len(expected) == EVENTS
    truth.same(expected, truth.found(client))


def _free_bytes(folder: Path) -> int:
    """Return the room on the file system of `folder`; before it is mounted that is much."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return sys.maxsize
