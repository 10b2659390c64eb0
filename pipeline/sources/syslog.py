"""Listening for syslog: RFC 5424 and 3164 over UDP, TCP (RFC 6587) and TLS (RFC 5425).

One thread reads, and only when it is asked for more: while the spool is full, TCP peers are slowed down by
their own windows, which is not held against them, and UDP waits in the kernel's buffer until that overflows,
which is reported as a `LOG_GAP` event. Syslog has no ids, so a message is numbered when it is spooled; TCP
without TLS, and UDP, acknowledge nothing, and what a peer had sent but nobody had read is lost when this
process dies.

Invariants: at most `CONNECTIONS_MAX` connections, `PER_ADDRESS_MAX` of them from one address, each holding at
most one message; at most `_PENDING_BYTES` of messages of connections and one read wait to be parsed, and half as much
of datagrams from each of their sockets. Connections are read by turns and all that is ready is looked at each time, so
that neither a flood of datagrams nor a busy peer keeps others from being heard.
"""

import contextlib
import errno
import selectors
import socket
import ssl
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError
from pipeline.events.own import gap_event
from pipeline.sources.connection import Connection
from pipeline.sources.datagrams import Datagrams
from pipeline.sources.formats.format import TOO_LONG, FormatOptions
from pipeline.sources.formats.syslog import Syslog
from pipeline.sources.framing import Frame
from pipeline.sources.keyblocks import BEGIN, KeyBlocks
from pipeline.sources.reading import LEFT_OUT
from pipeline.sources.record import BATCH_RECORDS, Batch, Record

CONNECTIONS_MAX = 512
PER_ADDRESS_MAX = 256
EVICT_SECONDS = 60.0
"""A connection that has been silent for so long makes room for a new one where there is none."""

INCOMPLETE = "incomplete"
"""The tag of a message whose connection ended, or was ended, before it was complete."""

_POLL_SECONDS = 0.25
_SWEEP_SECONDS = 1.0
_GAP_SECONDS = 10.0
_PENDING_BYTES = 1024 * 1024
_STALL_SECONDS = 1.0
"""Time between two reads from which on a connection is excused."""

_FRAME_BYTES = 256
_DATAGRAMS_AT_ONCE = 500
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen; `kind` is `udp`, `tcp` or `tls`, the last with a `context`; port 0 takes a free one."""

    kind: str
    host: str
    port: int
    context: ssl.SSLContext | None = None


class SyslogSource:
    """Listens on `endpoints` until `stop`; `addresses` are those it got. Raises `ConfigurationError`."""

    def __init__(
        self,
        endpoints: Sequence[Listen],
        options: FormatOptions,
        *,
        clock: Clock,
        stop: threading.Event,
        notify: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._stop = stop
        self._notify = notify
        self._format = Syslog(options, clock.now_ms)
        self._keys = KeyBlocks()
        self._selector = selectors.DefaultSelector()
        self._pending: deque[tuple[Frame, str, bool]] = deque()
        self._pending_bytes = 0
        self._connections: dict[int, Connection] = {}
        self._senders: Counter[str] = Counter()
        self._datagrams: list[Datagrams] = []
        self._turn = 0
        self._read_at = clock.monotonic()
        self._swept_at = clock.monotonic()
        self._gap_at = clock.monotonic()
        self._reported = 0
        self._whole_ms = clock.now_ms()
        self.refused = 0
        self.bytes_read = 0
        self.bytes_total = 0
        self.addresses: list[tuple[str, int]] = []
        try:
            for endpoint in endpoints:
                self._listen(endpoint)
        except BaseException:
            self.close()
            raise

    @property
    def dropped(self) -> int:
        """The datagrams that the kernel dropped."""
        return sum(datagrams.dropped for datagrams in self._datagrams)

    def batches(self) -> Iterator[Batch]:
        """See `Source.batches`."""
        try:
            while not self._stop.is_set():
                self._wait_and_read()
                if not self._pending:
                    yield Batch(self._gap_records())
                while self._pending:
                    yield Batch([*self._parse(), *self._gap_records()])
            for connection in list(self._connections.values()):
                self._end(connection)
            self._gap_at = float("-inf")
            yield Batch(self._gap_records())
            while self._pending:
                yield Batch(self._parse())
        finally:
            self.close()

    def close(self) -> None:
        """Close all sockets."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        if self._selector.get_map() is not None:
            for key in list(self._selector.get_map().values()):
                with contextlib.suppress(OSError):
                    key.fileobj.close()  # type: ignore[union-attr]
            self._selector.close()

    def _listen(self, endpoint: Listen) -> None:
        udp = endpoint.kind == "udp"
        name = f"{endpoint.host}:{endpoint.port} ({endpoint.kind})"
        if endpoint.kind not in ("udp", "tcp", "tls") or (endpoint.kind == "tls") != (endpoint.context is not None):
            raise ConfigurationError(f"cannot listen on {name}: give udp, tcp, or tls with a certificate")
        try:
            kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
            family, _, _, _, address = socket.getaddrinfo(
                endpoint.host, endpoint.port, type=kind, flags=socket.AI_PASSIVE
            )[0]
            sock = socket.socket(family, kind)
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {name}: {error.strerror or error}") from None
        except UnicodeError:
            raise ConfigurationError(f"cannot listen on {name}: {endpoint.host!r} is no host name") from None
        try:
            sock.setblocking(False)
            if not udp:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            if not udp:
                sock.listen(_BACKLOG)
        except OSError as error:
            sock.close()
            raise ConfigurationError(f"cannot listen on {name}: {error.strerror or error}") from None
        self.addresses.append(sock.getsockname()[:2])
        if udp:
            datagrams = Datagrams(sock)
            self._datagrams.append(datagrams)
            self._selector.register(sock, selectors.EVENT_READ, datagrams)
        else:
            self._selector.register(sock, selectors.EVENT_READ, endpoint)

    def _wait_and_read(self) -> None:
        """Read from whatever is ready, until enough waits to be parsed."""
        buffered = [connection for connection in self._connections.values() if connection.buffered()]
        stalled = self._clock.monotonic() - self._read_at
        if stalled >= _STALL_SECONDS:
            for connection in self._connections.values():
                connection.excuse(stalled)
        ready = self._selector.select(0 if buffered else _POLL_SECONDS)
        now = self._clock.monotonic()
        peers = list(dict.fromkeys([*buffered, *(key.data for key, _ in ready if isinstance(key.data, Connection))]))
        unheard = set(self._read_by_turns(peers, now))
        for key, _ in ready:
            if isinstance(key.data, Datagrams):
                self._receive(key.data)
            elif isinstance(key.data, Listen) and isinstance(key.fileobj, socket.socket):
                self._accept(key.fileobj, key.data, now)
        if now - self._swept_at >= _SWEEP_SECONDS:
            self._swept_at = now
            for connection in [one for one in self._connections.values() if one.overdue(now) and one not in unheard]:
                self._end(connection)
        self._read_at = self._clock.monotonic()

    def _read_by_turns(self, peers: Sequence[Connection], now: float) -> Sequence[Connection]:
        """Read from `peers`, another one first each time; return those for which there was no room."""
        first = self._turn % len(peers) if peers else 0
        ordered = [*peers[first:], *peers[:first]]
        for number, connection in enumerate(ordered):
            if self._pending_bytes >= _PENDING_BYTES:
                self._turn += number
                return ordered[number:]
            if connection.open:
                self._read(connection, now)
        return ()

    def _read(self, connection: Connection, now: float) -> None:
        for frame in connection.read(now):
            self._add(frame, connection.sender)
        if not connection.open:
            self._end(connection)
            return
        events = selectors.EVENT_WRITE if connection.wants_write else selectors.EVENT_READ
        if self._selector.get_key(connection.sock).events != events:
            self._selector.modify(connection.sock, events, connection)

    def _receive(self, datagrams: Datagrams) -> None:
        most = self._pending_bytes + _PENDING_BYTES // 2
        for _ in range(_DATAGRAMS_AT_ONCE):
            received = datagrams.read() if self._pending_bytes < most else None
            if received is None:
                break
            data, sender = received
            self._add(Frame(data.rstrip(b"\r\n\0"), 0), _plain(sender))

    def _accept(self, listener: socket.socket, endpoint: Listen, now: float) -> None:
        try:
            sock, peer = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._evict(now, 0.0)
                self._clock.wait(self._stop, _POLL_SECONDS / 5)
            return
        sender = _plain(str(peer[0]))
        full = len(self._connections) >= CONNECTIONS_MAX and not self._evict(now, EVICT_SECONDS)
        if full or self._senders[sender] >= PER_ADDRESS_MAX:
            self.refused += 1
            if self.refused == 1:
                self._notify(f"syslog: too many connections; one from {sender} is refused")
            sock.close()
            return
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if endpoint.context is not None:
                sock = endpoint.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except OSError:
            sock.close()
            return
        connection = Connection(sock, sender, now)
        self._connections[sock.fileno()] = connection
        self._senders[sender] += 1
        self._selector.register(sock, selectors.EVENT_READ, connection)

    def _evict(self, now: float, silent: float) -> bool:
        """End the connection that has been silent longest, if for `silent` seconds; return whether one was."""
        oldest = min(self._connections.values(), key=lambda connection: connection.heard_at, default=None)
        if oldest is None or now - oldest.heard_at < silent:
            return False
        self._end(oldest)
        return True

    def _end(self, connection: Connection) -> None:
        """Close a connection; what it began to say is kept."""
        self._selector.unregister(connection.sock)
        del self._connections[connection.sock.fileno()]
        self._senders[connection.sender] -= 1
        if not self._senders[connection.sender]:
            del self._senders[connection.sender]
        rest = connection.close()
        if rest is not None:
            self._add(rest, connection.sender, incomplete=True)

    def _add(self, frame: Frame, sender: str, *, incomplete: bool = False) -> None:
        if frame.data:
            self._pending.append((frame, sender, incomplete))
            self._pending_bytes += len(frame.data) + _FRAME_BYTES
            self.bytes_read = self.bytes_total = self.bytes_read + len(frame.data)

    def _parse(self) -> list[Record]:
        """Return the records of the messages that wait, as many as make a batch."""
        records: list[Record] = []
        while self._pending and len(records) < BATCH_RECORDS:
            frame, sender, incomplete = self._pending.popleft()
            self._pending_bytes -= len(frame.data) + _FRAME_BYTES
            tags = [tag for tag, applies in ((TOO_LONG, frame.left_out), (INCOMPLETE, incomplete)) if applies]
            events = self._format.parse_from(frame.data, sender, *tags)
            if self._keys.left or BEGIN in frame.data:
                self._keys.hide(events)
            for event in events:
                if frame.left_out:
                    event[LEFT_OUT] = frame.left_out
                records.append(Record(event, None))
        return records

    def _gap_records(self) -> list[Record]:
        """Return an event that says what the kernel dropped since the last one, if anything."""
        now, now_ms = self._clock.monotonic(), self._clock.now_ms()
        lost = self.dropped - self._reported
        if not lost:
            self._whole_ms = now_ms
        if not lost or now - self._gap_at < _GAP_SECONDS:
            return []
        self._gap_at = now
        self._reported += lost
        gap = gap_event(
            "siemlite",
            lost,
            self._whole_ms,
            now_ms,
            message=f"{lost} syslog datagrams came faster than they were read and are lost",
            reason="udp_buffer_full",
        )
        self._whole_ms = now_ms
        return [Record(gap, None)]


def _plain(address: str) -> str:
    """Return an address without zone, an IPv4 one without its IPv6 coat."""
    return address.partition("%")[0].removeprefix("::ffff:")
