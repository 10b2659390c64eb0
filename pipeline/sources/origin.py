"""Which file a line came from, however often the file was renamed, copied or compressed since.

The origin of a file is its stem (the real path without what rotation appends) and a hash of its first line,
of which `FIRST_LINE_MAX` bytes count. So `auth.log.2.gz` has the origin that `auth.log` had, its lines keep
their ids, and the file that takes its place has another. Limits: two files of one stem whose first lines are
the same (an unvarying header) share their origin, so that of two byte-identical lines at the same offset of
both only one is kept; a file whose first line is not complete yet has no origin; a file moved to another
folder, or under another name, is another file.
"""

import hashlib
import os
import re
from pathlib import Path

FIRST_LINE_MAX = 4096
_DIGEST_BYTES = 16
_PERSON = b"siemlite-mark"
_SUFFIX = re.compile(
    r"(?:\.gz"
    r"|[.-]\d{4}-?\d\d-?\d\d(?:[T_.-]?\d\d(?:[:_-]?\d\d){0,2})?"
    r"|-\d{10}"
    r"|\.\d{1,5}"
    r"|\.(?:old|bak|prev))$"
)


def stem_of(path: str) -> str:
    """Return `path` without the suffixes of rotation: numbers, dates, `.old`, `.gz`, in any combination."""
    folder, slash, name = path.rpartition("/")
    while True:
        match = _SUFFIX.search(name)
        if match is None or match.start() == 0:
            return folder + slash + name
        name = name[: match.start()]


def inodes_of(stem: str) -> dict[Path, int]:
    """Return the files beside `stem` that rotation may have made of it, and itself, with their inodes' numbers.

    Nothing where the folder cannot be read, as where nothing is there.
    """
    folder, _, name = stem.rpartition("/")
    try:
        with os.scandir(folder or "/") as entries:
            return {
                Path(folder or "/", entry.name): entry.inode()
                for entry in entries
                if entry.name.startswith(name) and stem_of(entry.name) == name
            }
    except OSError:
        return {}


class Folders:
    """What lies in the folders of logs; each is read once until `look_again`."""

    __slots__ = ("_read",)

    def __init__(self) -> None:
        self._read: dict[str, dict[str, list[Path]]] = {}

    def look_again(self) -> None:
        """Forget what was read."""
        self._read.clear()

    def siblings_of(self, stem: str) -> list[Path]:
        """Return the files beside `stem` that rotation may have made of it, and itself; none where unreadable."""
        folder, _, name = stem.rpartition("/")
        if folder not in self._read:
            self._read[folder] = _by_stem(folder or "/")
        return self._read[folder].get(name, [])


def _by_stem(folder: str) -> dict[str, list[Path]]:
    """Return the files in `folder` by stem; none where it cannot be read now."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except OSError:
        return {}
    found: dict[str, list[Path]] = {}
    for name in names:
        found.setdefault(stem_of(name), []).append(Path(folder, name))
    return found


def first_line(head: bytes, *, complete: bool = False) -> bytes | None:
    """Return the first line in `head`, the beginning of a file; None where it has not ended yet.

    `complete` says that the file ends where `head` ends.
    """
    line, newline, _ = head[: FIRST_LINE_MAX + 1].partition(b"\n")
    if newline or complete or len(line) > FIRST_LINE_MAX:
        return line[:FIRST_LINE_MAX]
    return None


class Fingerprints:
    """Hashes of pieces of a file that only this home can make: they stand where the bytes must not."""

    __slots__ = ("_seeded",)

    def __init__(self, key: bytes) -> None:
        self._seeded = hashlib.blake2b(key=key, digest_size=_DIGEST_BYTES, person=_PERSON)

    def of(self, piece: bytes) -> str:
        """Return the fingerprint of a piece."""
        digest = self._seeded.copy()
        digest.update(piece)
        return digest.hexdigest()


def source_name(stem: str, first_mark: str, format_name: str) -> str:
    """Return the name that the ids of a file's events hash.

    What a line is read as belongs to it: read again in the right format, its events are others than the wrong one's.
    """
    return f"{stem}\0{first_mark}\0{format_name}"
