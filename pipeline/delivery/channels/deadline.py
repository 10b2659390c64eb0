"""One deadline for a whole exchange with a receiver.

A time-out is for one read, and whatever comes begins it anew: a header line, an informational answer, the extension of
a chunk, a body that decodes to nothing, a line of a mail server's reply. Invariant: a receiver that sends drop by drop
is hung up on when the time is over, so that no message takes longer than its claim lasts.
"""

import socket
import threading
from contextlib import suppress
from types import TracebackType

EXCHANGE_S = 30.0
"""How long one message may take, from the connection to the end of the answer."""


class Deadline:
    """Hangs up, `seconds` after it was entered, on the connection that it watches then."""

    def __init__(self, seconds: float = EXCHANGE_S) -> None:
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._passed = False
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> "Deadline":
        self._timer.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    @property
    def passed(self) -> bool:
        """Return whether the time is over."""
        return self._passed

    def watch(self, connection: socket.socket) -> None:
        """Hang up on `connection` once the time is over. Raises `TimeoutError` where it is already."""
        with self._lock:
            self._connection = connection
            passed = self._passed
        if passed:
            _hang_up(connection)
            raise TimeoutError("the time for the exchange is over")

    def _end(self) -> None:
        with self._lock:
            self._passed = True
            connection = self._connection
        if connection is not None:
            _hang_up(connection)


def _hang_up(connection: socket.socket) -> None:
    """Wake whoever reads or writes, and let them close it; TLS's own `shutdown` is not for two threads."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
