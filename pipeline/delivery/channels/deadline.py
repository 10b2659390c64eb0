"""One deadline for a whole exchange with a receiver, once there is a connection.

A time-out is for one read, and whatever comes begins it anew: a header line, an informational answer, the extension of
a chunk, a body that decodes to nothing, a line of a mail server's reply. Invariants: a receiver that sends drop by drop
is hung up on when the time is over, so that a message does not take longer than its claim lasts; addresses of it that
do not answer take nothing of that time.
"""

import socket
import threading
from contextlib import suppress
from types import TracebackType

EXCHANGE_S = 30.0
"""How long one message may take, from the connection to the end of the answer."""

CONNECT_S = 20.0
"""How long all addresses of a receiver together are tried."""


class Deadline:
    """Hangs up, `seconds` after it was shown the first connection, on the one that it watches then."""

    def __init__(self, seconds: float = EXCHANGE_S) -> None:
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._passed = False
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> "Deadline":
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
            if self._connection is None:
                self._timer.start()
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


def connected(host: str, port: int, seconds: float = CONNECT_S) -> socket.socket:
    """Return a connection with the first address of `host` that answers; each has its share of `seconds`.

    Raises `OSError` where none does.
    """
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in addresses:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(seconds / len(addresses))
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def _hang_up(connection: socket.socket) -> None:
    """Wake whoever reads or writes, and let them close it; TLS's own `shutdown` is not for two threads."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
