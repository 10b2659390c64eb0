"""A real SMTP server, small: STARTTLS, login, and answers as a test tells it."""

import base64
import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class MailServer:
    """What the server was told. `answers` replaces the answer to a command or a line: `{"RCPT": b"550 no"}`."""

    port: int = 0
    answers: Mapping[str, bytes] = field(default_factory=dict)
    offers_tls: bool = True
    mails: list[bytes] = field(default_factory=list)
    clear: bytes = b""
    logins: list[str] = field(default_factory=list)


@contextmanager
def mail_server(context: ssl.SSLContext, **given: Any) -> Iterator[MailServer]:
    """Run a server on a free port of the loopback interface."""
    state = MailServer(**given)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                _converse(self.request, state, context)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()


def _converse(connection: socket.socket, state: MailServer, context: ssl.SSLContext) -> None:
    connection.sendall(b"220 test\r\n")
    secure = False
    stream = connection.makefile("rb")
    while line := stream.readline():
        command = line.split()[0].decode().upper()
        if not secure:
            state.clear += line
        told = {key.casefold(): answer for key, answer in state.answers.items()}
        answer = told.get(line.decode().strip().casefold(), told.get(command.casefold()))
        if answer is not None:
            connection.sendall(answer + b"\r\n")
            continue
        if command == "EHLO":
            offers = [b"test"] + ([b"AUTH PLAIN"] if secure else [b"STARTTLS"] * state.offers_tls)
            lines = [b"250-" + offer for offer in offers[:-1]] + [b"250 " + offers[-1]]
            connection.sendall(b"\r\n".join(lines) + b"\r\n")
        elif command == "STARTTLS":
            connection.sendall(b"220 go\r\n")
            connection = context.wrap_socket(connection, server_side=True)
            stream = connection.makefile("rb")
            secure = True
        elif command == "AUTH":
            state.logins.append(base64.b64decode(line.split()[2]).decode())
            connection.sendall(b"235 ok\r\n")
        elif command == "DATA":
            connection.sendall(b"354 go\r\n")
            mail = b""
            while (part := stream.readline()) not in (b".\r\n", b""):
                mail += part
            state.mails.append(mail)
            connection.sendall(b"250 ok\r\n")
        elif command == "QUIT":
            connection.sendall(b"221 bye\r\n")
            return
        else:
            connection.sendall(b"250 ok\r\n")
