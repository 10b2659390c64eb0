"""Whatever a writer, a rotation and a crash do, following gives out every line exactly once, by id."""

import gzip
import os
import random
import shutil
import tempfile
import threading
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.follow import FollowSource
from pipeline.sources.formats.format import format_factory
from tests.unit.sources.clocks import StillClock

KEY = b"k" * 32


class World:
    """A log that is written and rotated, and a follower of it that is killed now and then."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.glob = self.random.random() < 0.2
        self.header = "# the same first line in every file\n" if self.random.random() < 0.2 else ""
        self.optional: set[str] = {self.header.strip()}
        self.path = folder / "app.log"
        self.path.touch()
        self.clock = StillClock()
        self.written = 0
        self.rotations = 0
        self.expected: list[str] = []
        self.partial: dict[int, str] = {}
        self.writer = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        self.by_id: dict[str, str] = {}
        self.positions: dict[str, str] = {}
        self.follower = self.start()
        self.poll(crash=False)

    def start(self) -> FollowSource:
        return FollowSource(
            [f"{self.path}*" if self.glob else str(self.path)],
            format_factory("json"),
            KEY,
            self.positions,
            clock=self.clock,
            stop=threading.Event(),
            notify=lambda _text: None,
        )

    def write(self) -> None:
        """Write some lines, the last of them perhaps not to its end."""
        inode = os.fstat(self.writer).st_ino
        text = "" if os.fstat(self.writer).st_size else self.header
        for _ in range(self.random.randrange(1, 5)):
            self.written += 1
            text += f"line {self.written} " + f"{self.written}x" * self.random.choice((0, 10, 2_000)) + "\n"
        cut = self.random.randrange(len(text)) if self.random.random() < 0.5 else len(text)
        start = text.rfind("\n", 0, cut) + 1
        if cut - start < len("line 9999") or text.startswith("#", start):
            cut = start  # incomplete lines that are the same in alike files are one, as documented
        whole = self.partial.pop(inode, "") + text[:cut]
        *lines, rest = whole.split("\n")
        self.expected += lines
        if rest:
            self.partial[inode] = rest
        os.write(self.writer, text[:cut].encode())

    def shift(self) -> None:
        """Make room for `app.log.1`, and compress what is old; nothing is thrown away."""
        self.rotations += 1
        for number in range(self.rotations, 0, -1):
            for suffix in ("", ".gz"):
                old = self.path.with_name(f"app.log.{number}{suffix}")
                if old.exists():
                    old.rename(self.path.with_name(f"app.log.{number + 1}{suffix}"))
        plain = self.path.with_name("app.log.2")
        if plain.exists() and self.random.random() < 0.7:
            packed = self.path.with_name("app.log.2.gz")
            packed.write_bytes(gzip.compress(plain.read_bytes()))
            status = plain.stat()
            os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
            plain.unlink()

    def give_up_partial(self, inode: int) -> None:
        rest = self.partial.pop(inode, "")
        if rest and self.glob:
            self.optional.add(rest)
        elif rest:
            self.expected.append(rest)

    def rotate(self) -> None:
        """Rotate by renaming; the writer may go on for a while before it opens the new file."""
        self.shift()
        self.path.rename(self.path.with_name("app.log.1"))
        old = os.fstat(self.writer).st_ino
        for _ in range(self.random.randrange(3)):
            if self.random.random() < 0.5:
                self.poll(crash=False)
            self.write()
        self.give_up_partial(old)
        os.close(self.writer)
        self.writer = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def copytruncate(self) -> None:
        """Rotate by copying and cutting off."""
        self.shift()
        shutil.copyfile(self.path, self.path.with_name("app.log.1"))
        if self.random.random() < 0.3:
            self.poll(crash=False)
        self.give_up_partial(os.fstat(self.writer).st_ino)
        os.truncate(self.path, 0)

    def poll(self, *, crash: bool) -> None:
        """Let the follower look; where it is killed, what it had not committed is gone."""
        survives = self.random.randrange(4) if crash else 10**9
        for batch in self.follower.poll():
            if survives == 0:
                break
            survives -= 1
            self.positions.update(batch.positions)
            for record in batch.records:
                assert record.event_id is not None
                message = str(record.event["message"])
                assert self.by_id.setdefault(record.event_id, message) == message
        if crash:
            self.follower.close()
            self.follower = self.start()

    def finish(self) -> None:
        """Let everything come to rest."""
        os.write(self.writer, b"\n")
        self.expected += [rest for rest in self.partial.values() if rest]
        for _ in range(30):
            self.poll(crash=False)
            self.clock.move(3.0)
        self.follower.close()
        os.close(self.writer)

    def step(self) -> None:
        """Do one thing at random."""
        what = self.random.random()
        if what < 0.45:
            self.write()
        elif what < 0.8:
            self.poll(crash=False)
            self.clock.move(self.random.choice((0.25, 0.25, 3.0, 11.0)))
        elif what < 0.88:
            self.poll(crash=True)
        elif what < 0.95:
            self.rotate()
        else:
            self.copytruncate()


def run(seed: int, steps: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), seed)
        for _ in range(steps):
            world.step()
        world.finish()
        found = Counter(text for text in world.by_id.values() if text not in world.optional)
        assert found == Counter(text for text in world.expected if text not in world.optional)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 60))
def test_every_line_is_given_out_exactly_once(seed: int, steps: int) -> None:
    run(seed, steps)
