"""Writes MaxMind DB files, after the specification of their format 2.0, with IPv6 trees of 24-bit records."""

import ipaddress
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

_MARKER = b"\xab\xcd\xefMaxMind.com"
_SEPARATOR = bytes(16)


class _Number(NamedTuple):
    """An unsigned number and the number of its type: 5 for 16 bits, 6 for 32, 9 for 64."""

    value: int
    kind: int


def write_mmdb(path: Path, networks: Mapping[str, Any], kind: str = "GeoLite2-City") -> None:
    """Write a file in which the addresses of each of `networks` have its record."""
    nodes: list[list[int | None]] = [[None, None]]
    data = b""
    leaves: list[tuple[int, int, int]] = []  # (node, side, offset of the record)
    for text, record in networks.items():
        network = ipaddress.ip_network(text)
        bits, length = int(network.network_address), network.prefixlen + (96 if network.version == 4 else 0)
        node = 0
        for depth in range(length):
            side = bits >> (127 - depth) & 1
            if depth == length - 1:
                leaves.append((node, side, len(data)))
                break
            following = nodes[node][side]
            if following is None:
                following = nodes[node][side] = len(nodes)
                nodes.append([None, None])
            node = following
        data += _encoded(record)
    count = len(nodes)
    for node, side, offset in leaves:
        nodes[node][side] = count + len(_SEPARATOR) + offset
    tree = b"".join((count if value is None else value).to_bytes(3, "big") for node_ in nodes for value in node_)
    metadata = {
        "node_count": count,
        "record_size": _Number(24, 5),
        "ip_version": _Number(6, 5),
        "database_type": kind,
        "languages": ["en"],
        "binary_format_major_version": _Number(2, 5),
        "binary_format_minor_version": _Number(0, 5),
        "build_epoch": _Number(1_767_225_600, 9),
        "description": {"en": "Test data"},
    }
    path.write_bytes(tree + _SEPARATOR + data + _MARKER + _encoded(metadata))


def _encoded(value: Any) -> bytes:
    if isinstance(value, str):
        return _control(2, len(value.encode())) + value.encode()
    if isinstance(value, float):
        return _control(3, 8) + struct.pack(">d", value)
    if isinstance(value, int):
        value = _Number(value, 6 if value < 2**32 else 9)
    if isinstance(value, _Number):
        packed = value.value.to_bytes((value.value.bit_length() + 7) // 8, "big")
        return _control(value.kind, len(packed)) + packed
    if isinstance(value, dict):
        return _control(7, len(value)) + b"".join(_encoded(key) + _encoded(item) for key, item in value.items())
    if isinstance(value, list):
        return _control(11, len(value)) + b"".join(_encoded(item) for item in value)
    raise TypeError(f"no type of the format for {value!r}")


def _control(kind: int, size: int) -> bytes:
    assert size < 285
    low, rest = (size, b"") if size < 29 else (29, bytes([size - 29]))
    first = bytes([kind << 5 | low]) if kind <= 7 else bytes([low, kind - 7])
    return first + rest
