"""Security events of the shipper's own, which go into a spool like any other."""

import secrets
from collections.abc import Callable, Mapping

from pipeline.clock import Clock
from pipeline.events.encoder import Draft, Encoder
from pipeline.events.identity import WRITER_BYTES, WriterIds
from pipeline.shipping.spool import Chunk, Spool

_ERROR_RANK = 2


class OwnEvents:
    """Writes events into the spool that `open_spool` returns, which is asked for at the first one."""

    def __init__(self, open_spool: Callable[[], Spool], encoder: Callable[[], Encoder], clock: Clock) -> None:
        self._open_spool = open_spool
        self._encoder = encoder
        self._clock = clock
        self._spool: Spool | None = None
        self._ids = WriterIds(secrets.token_bytes(WRITER_BYTES))

    def log(self, fields: Mapping[str, object]) -> None:
        """Make an event with `fields` durable. Raises `SiemliteError`, `OSError` or `sqlite3.Error`."""
        if self._spool is None:
            self._spool = self._open_spool()
        now_ms = self._clock.now_ms()
        drafts = [Draft(fields, self._ids.next())]
        (encoded,) = self._encoder().encode(drafts, now_ms, live=True)
        self._spool.append([Chunk(encoded.lines(), 1, _ERROR_RANK)], {}, now_ms)
