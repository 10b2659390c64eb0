"""Whose request is it? The client's address behind proxies, and the trace that the request belongs to.

Invariants: a forwarding header is believed only as far as it was written by trusted proxies, from the right;
what an untrusted client put into it is never taken for an address; one header is read, the configured one,
because a proxy that sets one passes the other through from its client. Sources: RFC 7239 (Forwarded), W3C
Trace Context 1 (traceparent).
"""

import ipaddress
import re
from collections.abc import Iterable

from pipeline.errors import ConfigurationError

FORWARDED = "forwarded"
X_FORWARDED_FOR = "x-forwarded-for"
_HOPS_MOST = 64
_UNIX = "unix"
_FOR = re.compile(r"""(?:^|;)\s*for\s*=\s*(?:"([^"\\]*)"|([^\s;"]*))\s*(?:;|$)""", re.IGNORECASE)
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
        words = list(trusted)
        self._unix = _UNIX in words
        self._networks = tuple(_network(word) for word in words if word != _UNIX)

    def client(self, peer: str | None, headers: Iterable[str]) -> str | None:
        """Return the address of the client, given the connection's `peer` and the header's lines in order."""
        address = _parsed(peer) if peer else None
        if not (self._trusts(address) if address is not None else self._unix and not peer):
            return peer or None
        nearest = str(address) if address is not None else None
        elements = ",".join(headers).rsplit(",", _HOPS_MOST)[-_HOPS_MOST:]
        for element in reversed(elements):
            hop = _parsed(self._node(element))
            if hop is None:
                return nearest  # The proxy did not say, or not what can be believed.
            nearest = str(hop)
            if not self._trusts(hop):
                return nearest
        return nearest

    def _node(self, element: str) -> str:
        if self.header == X_FORWARDED_FOR:
            return element.strip()
        match = _FOR.search(element)
        return "" if match is None else match[1] or match[2] or ""

    def _trusts(self, address: _Address) -> bool:
        return any(address.version == network.version and address in network for network in self._networks)


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
