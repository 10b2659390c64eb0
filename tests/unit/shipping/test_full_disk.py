"""A disk that is full: events are refused, none is lost, and what waits can be worked off."""

import shlex
import shutil
import subprocess
import sys
import textwrap

import pytest


def full_disk(size_mb: int, script: str) -> subprocess.CompletedProcess[str]:
    """Run `script` (Python) with its argument a folder on a file system of `size_mb` MB of its own."""
    python = f"{sys.executable} -c {shlex.quote(textwrap.dedent(script))}"
    return subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-ec",
            f"d=$(mktemp -d); mount -t tmpfs -o size={size_mb}m siemlite-test $d; {python} $d",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


own_disk = pytest.mark.skipif(
    subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "true"], capture_output=True, check=False
    ).returncode
    != 0
    if shutil.which("unshare")
    else True,
    reason="a small file system of one's own needs unshare(1) and user namespaces",
)


@own_disk
def test_a_full_disk_refuses_events_loses_none_and_can_be_worked_off() -> None:
    done = full_disk(
        80,
        """
        import os, sys
        from pathlib import Path
        from pipeline.shipping.spool import Chunk, SpoolFullError
        from pipeline.shipping.spools import Spools
        spool = Spools(Path(sys.argv[1]) / "spool", 10**9).for_writer().spool
        taken = 0
        try:
            while True:
                spool.append([Chunk(b"%08d" % taken + os.urandom(200_000), 1)], {"file": str(taken)}, 1)
                taken += 1
        except SpoolFullError:
            pass
        filler = os.open(Path(sys.argv[1]) / "filler", os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(filler, b"x" * 4096)
        except OSError:
            pass
        assert spool.positions()["file"][1] == str(taken - 1)
        seen = []
        while chunks := spool.take(0, 1):
            seen.append(int(chunks[0].body[:8]))
            spool.settle(chunks)
        assert seen == list(range(taken)), (taken, seen)
        print("worked off", taken)
        """,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("worked off")


@own_disk
@pytest.mark.parametrize("size_mb", [90, 110, 160])
def test_many_spools_on_a_full_disk_are_worked_off_though_who_does_it_is_killed_again_and_again(size_mb: int) -> None:
    done = full_disk(
        size_mb,
        f"""
        import os, random, signal, sys, threading, time
        from pathlib import Path
        from pipeline.shipping.spool import Chunk, SpoolFullError
        from pipeline.shipping.spools import Spools
        folder = Path(sys.argv[1]) / "spool"
        rng = random.Random({size_mb})
        writer = os.fork()
        if not writer:
            owned = [Spools(folder, 10**9).for_writer() for _ in range(8)]
            try:
                while True:
                    for each in owned:
                        each.spool.append([Chunk(os.urandom(20_000), 1)], {{}}, 1)
            except SpoolFullError:
                os._exit(0)  # Nothing is closed: the journals stay as they are.
        os.waitpid(writer, 0)
        filler = os.open(Path(sys.argv[1]) / "filler", os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(filler, b"x" * 4096)
        except OSError:
            pass

        def work(spools):
            while spools:
                for spool in list(spools):
                    try:
                        chunks = spool.take(0, 1)
                        if chunks:
                            spool.settle(chunks)
                        else:
                            spools.remove(spool)
                    except SpoolFullError:
                        time.sleep(0.001)

        for turn in range(60):
            child = os.fork()
            if not child:
                spools = Spools(folder, 10**9)
                adopted = [spools.adopt(path).spool for path in spools.paths()]
                threads = [threading.Thread(target=work, args=(adopted[n::2],)) for n in range(2)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                os._exit(0)
            pause = rng.uniform(0.05, 0.15) if turn < 40 else 30.0
            until = time.monotonic() + pause
            while time.monotonic() < until and not (ended := os.waitpid(child, os.WNOHANG)[0]):
                time.sleep(0.005)
            if ended:
                break
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        left = settled = 0
        for path in folder.glob("*.db"):
            with Spools(folder, 10**9).opened(path) as spool:
                left += spool.depth().events
                settled += spool.depth().settled
        print("left", left, "after", settled, "in", turn)
        """,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("left 0 after "), done.stdout
