"""An address noted down stays good for as long as it can."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.node.ports import Ports, choose, is_free, recall, remember


@contextmanager
def listening(port: int) -> Iterator[None]:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        yield


def test_two_different_free_ports_are_chosen(tmp_path: Path) -> None:
    chosen = choose(tmp_path, tmp_path / "ports.json")
    assert chosen.http != chosen.transport
    assert is_free(chosen.http)
    assert is_free(chosen.transport)
    assert chosen.http < 32_768  # below what Linux hands out to outgoing connections


def test_a_home_keeps_its_ports(tmp_path: Path) -> None:
    kept = choose(Path("/some/other/home"), tmp_path / "ports.json")
    remember(kept, tmp_path / "ports.json")
    assert choose(tmp_path, tmp_path / "ports.json") == kept


def test_a_port_that_is_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    kept = choose(tmp_path, tmp_path / "ports.json")
    remember(kept, tmp_path / "ports.json")
    with listening(kept.http):
        chosen = choose(tmp_path, tmp_path / "ports.json")
    assert chosen.http not in (kept.http, kept.transport)
    assert chosen.transport == kept.transport


def test_the_port_asked_for_is_used_even_where_it_was_the_other_one_last_time(tmp_path: Path) -> None:
    kept = choose(tmp_path, tmp_path / "ports.json")
    remember(kept, tmp_path / "ports.json")
    chosen = choose(tmp_path, tmp_path / "ports.json", http=kept.transport)
    assert chosen.http == kept.transport
    assert chosen.transport != chosen.http


def test_a_taken_port_that_was_asked_for_is_named(tmp_path: Path) -> None:
    port = choose(tmp_path, tmp_path / "ports.json").http
    with listening(port), pytest.raises(ConfigurationError, match=f"port {port} .* in use.*--port"):
        choose(tmp_path, tmp_path / "ports.json", http=port)


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "ports.json.new").symlink_to(tmp_path / "victim")
    remember(Ports(1, 2), tmp_path / "ports.json")
    assert (tmp_path / "victim").read_text() == "precious"
    assert recall(tmp_path / "ports.json") == Ports(1, 2)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"http": "x", "transport": 1}', '{"http": 1}', "null"])
def test_a_damaged_memory_is_no_obstacle(tmp_path: Path, damage: str) -> None:
    (tmp_path / "ports.json").write_text(damage)
    assert recall(tmp_path / "ports.json") is None
    assert isinstance(choose(tmp_path, tmp_path / "ports.json"), Ports)
