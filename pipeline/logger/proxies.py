"""Whose request is it? The client's address behind proxies, and the trace that the request belongs to.

Invariants: a forwarding header is believed only as far as it was written by trusted proxies, from the right;
what an untrusted client put into it is never taken for an address; one header is read, the configured one,
because a proxy that sets one passes the other through from its client. Sources: RFC 7239 (Forwarded), W3C
Trace Context 1 (traceparent).
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator

from pipeline.errors import ConfigurationError

FORWARDED = "forwarded"
X_FORWARDED_FOR = "x-forwarded-for"
_HOPS_MOST = 64
_UNIX = "unix"
_SPACE = r"[ \t]*+"
_PAIR = rf"""{_SPACE}([\w!#$%&'*+.^`|~-]++){_SPACE}={_SPACE}("(?:[^"\\]|\\.)*+"|[^\s;,"\\]*+){_SPACE}"""
_PAIRS = re.compile(_PAIR, re.ASCII)
_ELEMENT = re.compile(rf"{_PAIR}(?:;{_PAIR})*+;?{_SPACE}", re.ASCII)
_COMMAS_MOST = 16
"""Commas within the quoted values of one element."""

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedProxies:
    """The proxies whose word is taken for who their client is.

    `trusted` holds addresses, networks in CIDR form and `unix` for a server behind a local socket; `header` is
    `x-forwarded-for` or `forwarded`. Raises `ConfigurationError` for anything else.
    """

    def __init__(self, trusted: Iterable[str] = (), header: str = X_FORWARDED_FOR) -> None:
        self.header = header.lower()
        if self.header not in (X_FORWARDED_FOR, FORWARDED):
            raise ConfigurationError(f"the forwarding header is {X_FORWARDED_FOR} or {FORWARDED}, not {header!r}")
        words = [trusted] if isinstance(trusted, str) else list(trusted)
        self._unix = _UNIX in words
        self._networks = tuple(_network(word) for word in words if word != _UNIX)

    def client(self, peer: str | None, headers: Iterable[str]) -> str | None:
        """Return the address of the client, given the connection's `peer` and the header's lines in order."""
        address = _parsed(peer) if peer else None
        if not (self._trusts(address) if address is not None else self._unix and not peer):
            return peer or None
        nearest = str(address) if address is not None else None
        line = ",".join(headers)
        for node in _addresses(line) if self.header == X_FORWARDED_FOR else _nodes(line):
            hop = _parsed(node)
            if hop is None:
                return nearest  # The proxy did not say, or not what can be believed.
            nearest = str(hop)
            if not self._trusts(hop):
                return nearest
        return nearest

    def _trusts(self, address: _Address) -> bool:
        return any(address.version == network.version and address in network for network in self._networks)


def _addresses(line: str) -> Iterator[str]:
    """Yield the addresses of an `X-Forwarded-For` header, the last one first."""
    for element in reversed(line.rsplit(",", _HOPS_MOST)[-_HOPS_MOST:]):
        yield element.strip()


def _nodes(line: str) -> Iterator[str]:
    """Yield the `for` of each element of a `Forwarded` header, the last one first, empty where there is not just one.

    What a client sent may hold half a quoted value, and what a proxy added may quote what a client said, commas
    included. So an element is the shortest end of the line that is well-formed and begins behind a comma.
    """
    end = len(line)
    for _ in range(_HOPS_MOST):
        start = end
        for _ in range(_COMMAS_MOST):
            start = line.rfind(",", 0, start)
            if _ELEMENT.fullmatch(line, start + 1, end):
                break
            if start < 0:
                return
        else:
            yield ""
            return
        found = [value for name, value in _PAIRS.findall(line, start + 1, end) if name.lower() == "for"]
        yield _unquoted(found[0]) if len(found) == 1 else ""
        if start < 0:
            return
        end = start


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def trace_id_of(traceparent: str | None) -> str | None:
    """Return the trace id of a valid `traceparent` header."""
    if not traceparent or len(traceparent) > 512:
        return None
    match = _TRACEPARENT.fullmatch(traceparent.strip())
    if match is None:
        return None
    version, trace_id, parent_id, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    return trace_id


def _network(word: str) -> _Network:
    try:
        return ipaddress.ip_network(word)
    except ValueError:
        raise ConfigurationError(
            f"SIEMLITE_TRUSTED_PROXIES: {word!r} is not an address or a network such as 10.0.0.0/8"
        ) from None


def _parsed(text: str) -> _Address | None:
    """Read `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
