"""How an event gets the name that makes writing it twice harmless.

Invariants: an id is fixed before the event is spooled; the same bytes at the same place of the same file
give the same id in the same home; nobody who lacks the home's key or the writer's random part can guess
an id, so nobody can occupy one before its event arrives. Ids are 24 or 28 characters of URL-safe base64.

Elasticsearch keeps such an id as the bytes it stands for, and must find out for each new event that its id is new.
Ids therefore ascend, as bytes, in the order in which a file is read and a writer writes: most new ones lie beyond
all that a segment holds, which is answered without a search.
"""

import hashlib
from base64 import urlsafe_b64encode
from binascii import b2a_base64
from itertools import count

_OFFSET_BYTES = 6
_DIGEST_BYTES = 15
WRITER_BYTES = 12
_OFFSETS = 1 << (8 * _OFFSET_BYTES)
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_PAIRS = tuple(urlsafe_b64encode(bits.to_bytes(3, "big"))[2:].decode("ascii") for bits in range(4096))
"""Twelve bits each, as two characters of base64."""


class FileIdentity:
    """Ids for the events of one file: the offset, then keyed BLAKE2b of source, offset, repeat ordinal and line."""

    __slots__ = ("_seeded",)

    def __init__(self, key: bytes, source: str) -> None:
        self._seeded = hashlib.blake2b(key=key, digest_size=_DIGEST_BYTES, person=b"siemlite-file")
        self._seeded.update(source.encode("utf-8", "surrogatepass") + b"\0")

    def event_id(self, offset: int, line: bytes, ordinal: int = 0) -> str:
        """Return the id of the `ordinal`-th event of the line that starts at byte `offset`."""
        digest = self._seeded.copy()
        digest.update(b"%d:%d:%b" % (offset, ordinal, line))
        place = (offset % _OFFSETS).to_bytes(_OFFSET_BYTES, "big")
        return b2a_base64(place + digest.digest(), newline=False).translate(_URL_SAFE).decode("ascii")


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
        """Return the id of this writer's event number `sequence`, which is below 2^48."""
        high = sequence >> 24
        return (
            f"{self._prefix}{_PAIRS[high >> 12]}{_PAIRS[high & 4095]}"
            f"{_PAIRS[sequence >> 12 & 4095]}{_PAIRS[sequence & 4095]}"
        )


class WriterIds:
    """The ids of the events that one writer makes, one after the other; `random_part` as of `WriterIdentity`.

    Safe in threads, and in signal handlers.
    """

    __slots__ = ("_identity", "_sequence")

    def __init__(self, random_part: bytes) -> None:
        self._identity = WriterIdentity(random_part)
        self._sequence = count()

    def next(self) -> str:
        """Return the id of the next event."""
        return self._identity.event_id(next(self._sequence))
