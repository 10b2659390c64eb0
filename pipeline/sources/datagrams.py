"""The UDP socket of a syslog listener.

Invariants: it never blocks; what the kernel had to drop because nobody read in time is counted where the
system tells (Linux, `SO_MEMINFO` of socket(7); its last figure is the socket's drops).
"""

import contextlib
import socket
import struct
import sys

RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024
"""What is asked for; without privileges the system may give less (`net.core.rmem_max`)."""

_DATAGRAM_MAX = 65_536
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("9I")


class Datagrams:
    """Reads datagrams from the bound socket `sock`."""

    __slots__ = ("sock",)

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)

    @property
    def dropped(self) -> int:
        """How many datagrams the kernel dropped so far; 0 where the system does not tell."""
        if sys.platform != "linux":
            return 0
        try:
            return int(_MEMINFO.unpack(self.sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[-1])
        except (OSError, struct.error):
            return 0

    def read(self) -> tuple[bytes, str] | None:
        """Return a datagram and the address that it came from; None where there is none."""
        try:
            data, peer = self.sock.recvfrom(_DATAGRAM_MAX)
        except OSError:
            return None
        return data, str(peer[0])
