"""The UDP socket of a syslog listener.

Invariants: it never blocks; what the kernel had to drop because nobody read in time is counted where the
system tells (Linux, `SO_RXQ_OVFL`).
"""

import contextlib
import socket
import struct
import sys

RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024
"""What is asked for; without privileges the system may give less (`net.core.rmem_max`)."""

_DATAGRAM_MAX = 65_536
_SO_RXQ_OVFL = 40
_SO_RCVBUFFORCE = 33
_COUNT = struct.Struct("I")


class Datagrams:
    """Reads datagrams from the bound socket `sock`; `dropped` is how many the kernel dropped so far."""

    __slots__ = ("dropped", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.dropped = 0
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)

    def read(self) -> tuple[bytes, str] | None:
        """Return a datagram and the address that it came from; None where there is none."""
        try:
            data, ancillary, _, peer = self.sock.recvmsg(_DATAGRAM_MAX, socket.CMSG_SPACE(_COUNT.size))
        except OSError:
            return None
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_RXQ_OVFL and len(content) >= _COUNT.size:
                self.dropped = max(self.dropped, _COUNT.unpack_from(content)[0])
        return data, str(peer[0])
