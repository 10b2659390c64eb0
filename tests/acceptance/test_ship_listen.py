"""`siemlite ship --listen`: syslog that a sender pushes becomes events."""

import socket
from pathlib import Path

import pytest

from pipeline.elastic.client import connect
from pipeline.settings import Settings
from tests.command import environment, running, siemlite
from tests.node import free_ports

FAILED = "<38>Nov 24 02:00:00 host sshd[7]: Failed password for root from 192.0.2.7 port 22 ssh2"


def test_what_is_sent_over_udp_and_tcp_is_indexed_and_understood(es_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, ELASTICSEARCH_URL=es_url)
    assert siemlite(env, "setup").returncode == 0
    [port] = free_ports(1)
    client = connect(Settings(_env_file=None), es_url)
    with running(env, "ship", "--listen", f"udp://127.0.0.1:{port}", "--listen", f"tcp://127.0.0.1:{port}") as ship:

        def connected() -> bool:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as stream:
                    stream.sendall(f"{FAILED}\n".encode())
            except OSError:
                return False
            return True

        ship.until(connected, "the listener takes a connection")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(FAILED.encode(), ("127.0.0.1", port))

        def arrived() -> bool:
            query = {
                "bool": {"filter": [{"term": {"event.code": "LOGIN_FAILURE"}}, {"term": {"source.ip": "192.0.2.7"}}]}
            }
            answer = client.options(ignore_status=[404, 503]).count(index="security-logs-*", query=query)
            return bool(answer.get("count", 0) == 2)

        ship.until(arrived, "both events are searchable")
        ship.process.terminate()
        assert ship.ends() == 0


@pytest.mark.parametrize("address", ["5514", "udp://[::1:5514", "quic://127.0.0.1:5514", "udp://127.0.0.1:99999"])
def test_a_wrong_address_is_one_line_that_shows_a_right_one(tmp_path: Path, address: str) -> None:
    done = siemlite(environment(tmp_path), "ship", "--listen", address)
    assert done.returncode == 2
    assert "udp://127.0.0.1:5514" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("-", "events.jsonl"), "- is standard input"),
        (("events.jsonl", "--tls-cert", "cert.pem"), "--tls-cert"),
        (("events.jsonl", "--year", "2026"), "--year"),
    ],
)
def test_what_does_not_go_together_is_one_line(tmp_path: Path, arguments: tuple[str, ...], named: str) -> None:
    done = siemlite(environment(tmp_path, ELASTICSEARCH_URL="http://127.0.0.1:9"), "ship", *arguments)
    assert done.returncode == 2
    assert named in done.stderr
    assert done.stderr.count("\n") == 1
