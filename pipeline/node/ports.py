"""Choosing the loopback ports of a node.

Invariant: a home keeps its ports for as long as they are free, so that an address noted down stays good. A
home's first ports follow from its path and lie below the range that systems hand out to outgoing connections.
"""

import hashlib
import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.node.configuration import LOOPBACK

_LOWEST = 20_000
_HIGHEST = 32_000


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports for HTTP and for the nodes' own protocol."""

    http: int
    transport: int


def choose(home: Path, remembered: Path, http: int | None = None, transport: int | None = None) -> Ports:
    """Return free ports: those asked for, else those in the file `remembered`, else others.

    Raises `ConfigurationError` when a port that was asked for is taken.
    """
    last = recall(remembered)
    chosen: list[int] = []
    for wanted, kept in ((http, last.http if last else None), (transport, last.transport if last else None)):
        if wanted is not None:
            _insist(wanted)
            chosen.append(wanted)
        elif kept is not None and kept not in chosen and kept != transport and is_free(kept):
            chosen.append(kept)
        else:
            kept_ports = {last.http, last.transport} if last else set()
            chosen.append(_free_port(home, {*chosen, *kept_ports, http, transport}))
    return Ports(chosen[0], chosen[1])


def remember(ports: Ports, file: Path) -> None:
    """Keep `ports` for the next start."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with fresh.open("x", encoding="utf-8") as out:  # never through a link that somebody left there
        json.dump(asdict(ports), out)
    fresh.replace(file)


def recall(file: Path) -> Ports | None:
    """Return the ports used last, or None; a damaged file is as good as none, since it is only a preference."""
    try:
        return Ports(**{name: int(port) for name, port in json.loads(file.read_text(encoding="utf-8")).items()})
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return None


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the loopback `port` now."""
    try:
        _try_bind(port)
    except OSError:
        return False
    return True


def _insist(port: int) -> None:
    try:
        _try_bind(port)
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a port"
        raise ConfigurationError(
            f"port {port} on {LOOPBACK} cannot be used ({why}): name another one with --port, or none"
        ) from error


def _try_bind(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port with only closed connections in their last minute counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, port))


def _free_port(home: Path, taken: set[int | None]) -> int:
    span = _HIGHEST - _LOWEST
    start = int.from_bytes(hashlib.sha256(os.fsencode(home)).digest()[:4]) % span
    for step in range(span):
        port = _LOWEST + (start + step) % span
        if port not in taken and is_free(port):
            return port
    raise ConfigurationError(f"no free port between {_LOWEST} and {_HIGHEST} on {LOOPBACK}: name one with --port")
