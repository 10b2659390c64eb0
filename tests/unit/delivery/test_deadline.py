"""How long an exchange with a receiver may take."""

import socket
import threading

import pytest

from pipeline.delivery.channels.deadline import Deadline, connected


def test_the_time_begins_with_the_connection_and_ends_with_its_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, Deadline(0.0) as deadline:
        assert not threading.Event().wait(0.05)
        assert not deadline.passed
        deadline.watch(ours)
        assert ours.recv(1) == b""
        assert deadline.passed
        with pytest.raises(TimeoutError):
            deadline.watch(ours)


def test_of_a_receivers_addresses_each_has_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    class Socket(socket.socket):
        def settimeout(self, value: float | None) -> None:
            given.append(value or 0.0)
            super().settimeout(value)

    with socket.create_server(("127.0.0.1", 0)) as server:
        answers = server.getsockname()
        refuses = ("127.0.0.1", 1)
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in (refuses, refuses, answers)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_given, **_named: found)
        monkeypatch.setattr(socket, "socket", Socket)
        with connected("mail.example", 25, 6.0) as connection:
            assert connection.getpeername() == answers
        assert given == [2.0, 2.0, 2.0]
        found.pop()
        with pytest.raises(ConnectionRefusedError):
            connected("mail.example", 25, 6.0)
