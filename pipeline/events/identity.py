"""How an event gets the name that makes writing it twice harmless.

Invariants: an id is fixed before the event is spooled; the same bytes at the same place of the same file
give the same id in the same home; nobody who lacks the home's key or the writer's random part can guess
an id, so nobody can occupy one before its event arrives. Ids are 20 to 32 characters of URL-safe base64.
"""

import hashlib
from base64 import urlsafe_b64encode

_DIGEST_BYTES = 15
WRITER_BYTES = 12


class FileIdentity:
    """Ids for the events of one file, by keyed BLAKE2b of source, offset, repeat ordinal and line bytes."""

    __slots__ = ("_seeded",)

    def __init__(self, key: bytes, source: str) -> None:
        self._seeded = hashlib.blake2b(key=key, digest_size=_DIGEST_BYTES, person=b"siemlite-file")
        self._seeded.update(source.encode("utf-8", "surrogatepass") + b"\0")

    def event_id(self, offset: int, line: bytes, ordinal: int = 0) -> str:
        """Return the id of the `ordinal`-th event of the line that starts at byte `offset`."""
        digest = self._seeded.copy()
        digest.update(b"%d:%d:" % (offset, ordinal))
        digest.update(line)
        return urlsafe_b64encode(digest.digest()).decode("ascii")


class WriterIdentity:
    """Ids for the events that one writer makes: its random part and a sequence number.

    `random_part` has `WRITER_BYTES` bytes and must be new for each process and after each fork.
    """

    __slots__ = ("_prefix",)

    def __init__(self, random_part: bytes) -> None:
        if len(random_part) != WRITER_BYTES:
            raise ValueError(f"a writer's random part has {WRITER_BYTES} bytes")
        self._prefix = urlsafe_b64encode(random_part).decode("ascii")

    def event_id(self, sequence: int) -> str:
        """Return the id of this writer's event number `sequence`."""
        return f"{self._prefix}{sequence:06x}"
