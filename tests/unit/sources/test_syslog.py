"""The syslog listener, over real sockets."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
import trustme

from pipeline.errors import ConfigurationError
from pipeline.logger.gaps import Gap
from pipeline.sources import connection, syslog
from pipeline.sources.formats.format import TOO_LONG, FormatOptions
from pipeline.sources.framing import MESSAGE_MAX
from pipeline.sources.syslog import INCOMPLETE, Listen, SyslogSource
from pipeline.sources.tls import tls_context
from tests.unit.sources.clocks import StillClock


class Listener:
    """A listener and what it gave out."""

    def __init__(self, *endpoints: Listen) -> None:
        self.clock = StillClock()
        self.stop = threading.Event()
        self.said: list[str] = []
        self.source = SyslogSource(
            endpoints, FormatOptions(), clock=self.clock, stop=self.stop, notify=self.said.append
        )
        self.batches = self.source.batches()
        self.events: list[dict[str, object]] = []

    def take(self, count: int) -> list[object]:
        """Return the next messages, at least `count`."""
        known = len(self.events)
        for _ in range(200):
            if len(self.events) - known >= count:
                break
            self.step()
        return [event["message"] for event in self.events[known:]]

    def step(self) -> None:
        self.events += [dict(record.event) for record in next(self.batches).records]

    def idle(self, seconds: float) -> None:
        """Let time pass in which the listener is asked for more all along."""
        with patch.object(syslog, "_POLL_SECONDS", 0.001):
            while seconds > 0:
                self.clock.move(min(0.9, seconds))
                seconds -= 0.9
                self.step()

    def connect(self, number: int = 0) -> socket.socket:
        return socket.create_connection(self.source.addresses[number], timeout=10)


@pytest.fixture
def listeners() -> Iterator[list[Listener]]:
    """Close what a test opens."""
    opened: list[Listener] = []
    yield opened
    for listener in opened:
        listener.batches.close()  # type: ignore[attr-defined]
        listener.source.close()


@pytest.fixture
def tcp(listeners: list[Listener]) -> Listener:
    listeners.append(Listener(Listen("tcp", "127.0.0.1", 0)))
    return listeners[0]


def test_datagrams_are_messages(listeners: list[Listener]) -> None:
    listener = Listener(Listen("udp", "127.0.0.1", 0), Listen("udp", "::1", 0))
    listeners.append(listener)
    for number, family in enumerate((socket.AF_INET, socket.AF_INET6)):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"<13>prog: one\n", listener.source.addresses[number])
            sock.sendto(b"<13>prog: two\nlines", listener.source.addresses[number])
            sock.sendto(b"", listener.source.addresses[number])
            assert listener.take(2) == ["one", "two\nlines"]
    assert [event["sender"] for event in listener.events] == ["127.0.0.1"] * 2 + ["::1"] * 2


def test_a_connection_may_count_or_end_its_messages(tcp: Listener) -> None:
    with tcp.connect() as sock:
        sock.sendall(b"<13>prog: one\n14 <13>prog: two\n<13>prog: three\n")
        assert tcp.take(3) == ["one", "two", "three"]
        sock.sendall(b"<13>prog: fo")
        tcp.step()
        sock.sendall(b"ur\n<13>prog: last")
        assert tcp.take(1) == ["four"]
    assert tcp.take(1) == ["last"]
    assert tcp.events[-1]["tags"] == [INCOMPLETE]


def test_many_messages_come_in_bounded_batches_and_none_is_missing(tcp: Listener) -> None:
    total = 30_000

    def send() -> None:
        with tcp.connect() as sock:
            for start in range(0, total, 1_000):
                sock.sendall(b"".join(b"<13>prog: %d\n" % number for number in range(start, start + 1_000)))

    sender = threading.Thread(target=send)
    sender.start()
    seen: list[object] = []
    while len(seen) < total:
        records = next(tcp.batches).records
        assert len(records) <= 1_000
        seen += [record.event["message"] for record in records]
    sender.join()
    assert seen == [str(number) for number in range(total)]


def test_while_nobody_asks_nothing_is_read_and_the_peer_must_wait(tcp: Listener) -> None:
    with tcp.connect() as sock:
        sock.sendall(b"<13>prog: one\n")
        assert tcp.take(1) == ["one"]
        sock.settimeout(0.2)
        sent = 0
        with contextlib.suppress(TimeoutError):
            for _ in range(1_000):
                sock.sendall(b"<13>prog: " + b"x" * 100_000 + b"\n")
                sent += 1
        assert sent < 1_000


def test_a_long_message_is_cut_and_says_so(tcp: Listener) -> None:
    with tcp.connect() as sock:
        sock.sendall(b"<13>prog: " + b"x" * MESSAGE_MAX + b"\n<13>prog: next\n")
        tcp.take(2)
    assert tcp.events[0]["tags"] == [TOO_LONG]
    assert tcp.events[0]["bytes_left_out"] == 10
    assert tcp.events[1]["message"] == "next"


def test_who_is_too_slow_is_let_go_and_what_was_said_is_kept(tcp: Listener) -> None:
    with tcp.connect() as slow, tcp.connect() as quiet:
        slow.sendall(b"<13>prog: hal")
        quiet.sendall(b"<13>prog: whole\n")
        assert tcp.take(1) == ["whole"]
        tcp.idle(connection.FRAME_SECONDS / 2)
        slow.sendall(b"f")
        tcp.step()
        tcp.idle(connection.FRAME_SECONDS / 2 + 1)
        assert tcp.events[-1]["message"] == "half"
        assert slow.recv(10) == b""
        quiet.sendall(b"<13>prog: still here\n")
        assert tcp.take(1) == ["still here"]


def test_time_in_which_nobody_read_is_not_held_against_peers(tcp: Listener) -> None:
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(tcp.connect()) for _ in range(20)]
        for number, peer in enumerate(peers):
            peer.sendall(b"<13>prog: hal")
            while len(tcp.source._connections) <= number:
                tcp.step()
        for _ in range(3):
            tcp.step()
        for peer in peers:
            peer.sendall(b"f\n" + b"<13>prog: " + b"x" * 100_000 + b"\n")
        tcp.clock.move(10 * connection.FRAME_SECONDS)
        assert tcp.take(40).count("half") == 20
    assert not any("incomplete" in str(event.get("tags")) for event in tcp.events)


def test_a_flood_of_datagrams_keeps_no_connection_from_being_heard(listeners: list[Listener]) -> None:
    listener = Listener(Listen("udp", "127.0.0.1", 0), Listen("tcp", "127.0.0.1", 0))
    listeners.append(listener)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood, listener.connect(1) as peer:
        peer.sendall(b"<13>prog: heard\n")
        for _ in range(30):
            for _ in range(100):
                flood.sendto(b"<13>prog: " + b"x" * 8_000, listener.source.addresses[0])
            listener.step()
    assert "heard" in [event["message"] for event in listener.events]


def test_busy_connections_are_read_by_turns(tcp: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog, "_PENDING_BYTES", 1)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(tcp.connect()) for _ in range(5)]
        while len(tcp.source._connections) < 5:
            tcp.step()
        for _ in range(4):
            for number, peer in enumerate(peers):
                peer.sendall(b"<13>prog: %d\n" % number)
            tcp.take(1)
        assert len({event["message"] for event in tcp.events}) == 4


def test_connections_are_bounded_and_a_silent_one_makes_room(tcp: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog, "CONNECTIONS_MAX", 2)
    with tcp.connect() as first, tcp.connect() as second:
        for sock in (first, second):
            sock.sendall(b"<13>prog: hello\n")
        tcp.take(2)
        with tcp.connect() as third:
            for _ in range(3):
                tcp.step()
            assert third.recv(10) == b""
        assert (tcp.source.refused, len(tcp.said)) == (1, 1)
        tcp.idle(syslog.EVICT_SECONDS)
        second.sendall(b"<13>prog: busy\n")
        assert tcp.take(1) == ["busy"]
        with tcp.connect() as fourth:
            fourth.sendall(b"<13>prog: new\n")
            assert tcp.take(1) == ["new"]
        assert first.recv(10) == b""


def test_one_address_cannot_take_all_connections(tcp: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog, "PER_ADDRESS_MAX", 1)
    with tcp.connect() as first:
        first.sendall(b"<13>prog: a\n")
        tcp.take(1)
        with tcp.connect() as second:
            for _ in range(3):
                tcp.step()
            assert second.recv(10) == b""
    for _ in range(3):
        tcp.step()
    with tcp.connect() as third:
        third.sendall(b"<13>prog: b\n")
        assert tcp.take(1) == ["b"]


def test_what_was_said_before_the_end_is_given_out(tcp: Listener) -> None:
    with tcp.connect() as sock:
        sock.sendall(b"<13>prog: one\n<13>prog: ha")
        assert tcp.take(1) == ["one"]
        tcp.stop.set()
        assert [record.event["message"] for batch in tcp.batches for record in batch.records] == ["ha"]


def test_lost_datagrams_are_reported_as_a_gap(listeners: list[Listener]) -> None:
    listener = Listener(Listen("udp", "127.0.0.1", 0))
    listeners.append(listener)
    (datagrams,) = listener.source._datagrams
    datagrams.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(500):
            sock.sendto(b"<13>prog: " + b"x" * 1_000, listener.source.addresses[0])
        received = len(listener.take(1))
        listener.clock.move(11)
        for _ in range(3):
            listener.step()
        gap = next(event for event in listener.events if event.get("event.code") == "LOG_GAP")
        assert gap["numbers"] == {"shed": 500 - received}
        assert set(gap) == set(Gap().raw("shop")), "as the gap of an application"
        assert str(gap["event.start"]) <= str(gap["event.end"])
        for _ in range(500):
            sock.sendto(b"<13>prog: " + b"x" * 1_000, listener.source.addresses[0])
        listener.stop.set()
        listener.events += [dict(record.event) for batch in listener.batches for record in batch.records]
    gaps = [event["numbers"] for event in listener.events if event.get("event.code") == "LOG_GAP"]
    lost = [numbers["shed"] for numbers in gaps if isinstance(numbers, dict)]
    assert len(lost) == 2, "said at the end as well, though the last ones were said a moment ago"


def test_tls_needs_nothing_more_than_a_certificate(listeners: list[Listener], tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, key, pem = (tmp_path / name for name in ("cert.pem", "key.pem", "ca.pem"))
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(pem)
    listener = Listener(Listen("tls", "127.0.0.1", 0, tls_context(certificate, key)))
    listeners.append(listener)
    client = ssl.create_default_context(cafile=str(pem))
    done = threading.Event()

    def send() -> None:
        with client.wrap_socket(listener.connect(), server_hostname="localhost") as sock:
            sock.sendall(b"<13>prog: one\n" + b"".join(b"<13>prog: %d\n" % number for number in range(5_000)))
            done.wait(30)

    sender = threading.Thread(target=send)
    sender.start()
    assert listener.take(5_001) == ["one", *map(str, range(5_000))]
    done.set()
    sender.join()


def test_a_peer_that_never_shakes_hands_is_let_go(listeners: list[Listener], tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("localhost")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    listener = Listener(Listen("tls", "127.0.0.1", 0, tls_context(certificate, key)))
    listeners.append(listener)
    with listener.connect() as silent, listener.connect() as wrong:
        wrong.sendall(b"<13>prog: this is no TLS\n")
        for _ in range(3):
            listener.step()
        listener.idle(connection.HANDSHAKE_SECONDS + 2)
        assert silent.recv(10) == b""
    assert listener.events == []


def test_what_cannot_be_listened_on_is_named(tcp: Listener, tmp_path: Path) -> None:
    host, port = tcp.source.addresses[0]
    for endpoint, why in (
        (Listen("tcp", host, port), f"{host}:{port} .tcp.: Address already in use"),
        (Listen("tcp", "no.such.host.invalid", 514), r"no\.such\.host\.invalid:514"),
        (Listen("udp", ".example.com", 514), r"'\.example\.com' is no host name"),
        (Listen("tls", host, 0), "give udp, tcp, or tls with a certificate"),
        (Listen("quic", host, 0), "give udp, tcp, or tls with a certificate"),
    ):
        with pytest.raises(ConfigurationError, match=why):
            Listener(endpoint)
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(ConfigurationError, match=r"missing\.pem cannot be read"):
        tls_context(tmp_path / "missing.pem", empty)
    with pytest.raises(ConfigurationError, match=r"empty\.pem .* not a certificate"):
        tls_context(empty, empty)
