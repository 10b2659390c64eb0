"""One TCP connection that sends syslog, plain or in TLS.

Invariants: it never blocks; it reads at most `READ_BYTES` at a time and holds at most one message; whoever is
slow has `FRAME_SECONDS` to complete a message, and a TLS handshake `HANDSHAKE_SECONDS`.
"""

import contextlib
import socket
import ssl

from pipeline.sources.framing import Deframer, Frame

READ_BYTES = 64 * 1024
FRAME_SECONDS = 30.0
HANDSHAKE_SECONDS = 10.0


class Connection:
    """A connection from `sender`, made at the monotonic second `now`."""

    __slots__ = ("_deframer", "_shaking", "_since", "heard_at", "open", "sender", "sock", "wants_write")

    def __init__(self, sock: socket.socket, sender: str, now: float) -> None:
        self.sock = sock
        self.sender = sender
        self.heard_at = now
        self.open = True
        self.wants_write = False
        self._deframer = Deframer()
        self._shaking = isinstance(sock, ssl.SSLSocket)
        self._since = now

    def buffered(self) -> bool:
        """Return whether TLS holds bytes already that the system does not know of."""
        return isinstance(self.sock, ssl.SSLSocket) and not self._shaking and self.sock.pending() > 0

    def overdue(self, now: float) -> bool:
        """Return whether the peer has taken too long for what it began."""
        if self._shaking:
            return now - self._since > HANDSHAKE_SECONDS
        return self._deframer.waiting > 0 and now - self._since > FRAME_SECONDS

    def excuse(self, seconds: float) -> None:
        """Do not hold time against the peer in which nobody read."""
        self._since += seconds
        self.heard_at += seconds

    def read(self, now: float) -> list[Frame]:
        """Return the messages that what has arrived completes; `open` is False once there will be no more."""
        self.wants_write = False
        try:
            if self._shaking and isinstance(self.sock, ssl.SSLSocket):
                self.sock.do_handshake()
                self._shaking = False
                self._since = now
            block = self.sock.recv(READ_BYTES)
        except (ssl.SSLWantReadError, BlockingIOError, InterruptedError):
            return []
        except ssl.SSLWantWriteError:
            self.wants_write = True
            return []
        except OSError:
            self.open = False
            return []
        if not block:
            self.open = False
            return []
        self.heard_at = now
        began = self._deframer.waiting == 0
        frames = self._deframer.feed(block)
        if began or frames:
            self._since = now
        return frames

    def close(self) -> Frame | None:
        """End the connection; return what is left of a message that was never completed."""
        self.open = False
        with contextlib.suppress(OSError):
            self.sock.close()
        return self._deframer.finish()
