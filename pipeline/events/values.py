"""Bringing single values into the form that their field's type accepts.

Invariant: what these functions return is never refused by the index; what cannot be brought into form
is answered with `None`, and the caller keeps the value as metadata.
"""

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import NamedTuple

import orjson

from pipeline.events.fields import KEYWORD_MAX

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CACHE_MAX = 20_000
_SECONDS_BELOW = 100_000_000_000
_FIRST = datetime(1, 1, 2, tzinfo=UTC)
_LAST = datetime(9999, 12, 30, tzinfo=UTC)
_IPV4 = re.compile(
    r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}"
)
_WITH_PORT = re.compile(r"(?:(?P<four>[0-9.]{7,15})|\[(?P<six>[^\[\]]{2,80})\]):(?P<port>[0-9]{1,5})")
_LAT_LON = re.compile(r"\s*(-?[0-9]{1,3}(?:\.[0-9]{1,17})?)\s*,\s*(-?[0-9]{1,3}(?:\.[0-9]{1,17})?)\s*")
_DIGITS = re.compile(r"[0-9]{9}")
"""How no date begins: without hyphens it has eight digits, and Python takes any ninth one for a separator."""

_NUMBER = re.compile(r"[0-9]{10}(?:\.[0-9]{1,9})?|[0-9]{13}(?:\.[0-9]{1,6})?")
"""Seconds and milliseconds since the epoch in text, from 2001 to 2286."""

_DECIMAL = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")
_SECONDS = re.compile(r"[0-5][0-9]\.[0-9]{3}Z")
_minutes: dict[str, int] = {}
_addresses: "dict[str, Address]" = {}


def shortened(text: str, limit: int = KEYWORD_MAX) -> str:
    """Return `text`, or its beginning and a hash of the whole where it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{text[: limit - 40]}…sha256:{digest}"


def keyword(value: object) -> str | list[str] | None:
    """Return a keyword, or a list of keywords for a list of scalars."""
    if type(value) is str:
        return value if len(value) <= KEYWORD_MAX else shortened(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list) and value:
        words = [keyword(item) for item in value]
        if all(isinstance(word, str) for word in words):
            return [word for word in words if isinstance(word, str)]
    return None


def text(value: object) -> str | None:
    """Return the text of a scalar, or compact JSON of a structure."""
    if type(value) is str:
        return value
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    word = keyword(value)
    return word if isinstance(word, str) else None


def whole_number(value: object) -> int | None:
    """Return an integer that a `long` field holds."""
    if isinstance(value, str) and len(value) <= 19 and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return value
    return None


def number(value: object) -> float | None:
    """Return a finite number, also one in decimal text, which is what a `Decimal` has become."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float) or (isinstance(value, str) and _DECIMAL.fullmatch(value)):
        found = float(value)
    else:
        return None
    return found if isfinite(found) else None


def geo_point(value: object) -> dict[str, float] | None:
    """Return `{"lat": …, "lon": …}` for a mapping, or for text `lat,lon`, that names a place on the globe.

    The numbers may be decimal text, which is what headers hold and what a `Decimal` has become.
    """
    lat: object = None
    lon: object = None
    if isinstance(value, dict):
        lat = value.get("lat", value.get("latitude"))
        lon = value.get("lon", value.get("lng", value.get("longitude")))
    elif isinstance(value, str) and (found := _LAT_LON.fullmatch(value)):
        lat, lon = found[1], found[2]
    north, east = number(lat), number(lon)
    if north is not None and east is not None and abs(north) <= 90 and abs(east) <= 180:
        return {"lat": north, "lon": east}
    return None


class Address(NamedTuple):
    """`text` is for `source.address`; `ip` is the same where it is one, `port` what stood behind it."""

    text: str
    ip: str | None
    port: int | None = None


def address(value: str) -> Address:
    """Return what `value` names: canonical and an IP, or as given.

    An IPv4 address mapped into IPv6 (`::ffff:192.0.2.1`) is unwrapped; a zone (`%eth0`) stays in the address and is
    left out of the IP. Of `192.0.2.1:50123` and `[::1]:50123`, which servers call the remote address, the port is
    another for each connection and no part of the address.
    """
    known = _addresses.get(value)
    if known is None:
        known = _address(value)
        if len(_addresses) >= _CACHE_MAX:
            _addresses.clear()
        _addresses[value] = known
    return known


def _address(value: str) -> Address:
    if _IPV4.fullmatch(value):
        return Address(value, value)
    stripped = value.strip()
    port: int | None = None
    match = _WITH_PORT.fullmatch(stripped)
    if match is not None and int(match["port"]) < 65_536:
        stripped, port = match["four"] or match["six"], int(match["port"])
    elif stripped.startswith("[") and stripped.endswith("]"):
        stripped = stripped[1:-1]
    try:
        parsed = ipaddress.ip_address(stripped)
    except ValueError:
        return Address(shortened(value), None)
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        elif parsed.scope_id is not None:
            return Address(shortened(str(parsed)), str(parsed).partition("%")[0], port)
    return Address(str(parsed), str(parsed), port)


class Instant(NamedTuple):
    """An instant in milliseconds since the epoch, and as RFC 3339 in UTC with milliseconds."""

    ms: int
    text: str


def instant(value: object) -> Instant | None:
    """Return the instant that `value` names, or `None`.

    Understood: RFC 3339 and ISO 8601 text (without an offset: UTC; a leap second is the last millisecond
    of its minute), and numbers of seconds or milliseconds since the epoch (below 10^11: seconds; as text,
    of ten or of thirteen digits).
    """
    if isinstance(value, str):
        minute_ms = _minutes.get(value[:17])
        if minute_ms is not None and _SECONDS.fullmatch(value, 17):
            return Instant(minute_ms + int(value[17:19]) * 1000 + int(value[20:23]), value)
        if _DIGITS.match(value):
            return instant(float(value)) if _NUMBER.fullmatch(value) else None
        time_ms = _text_ms(value)
        if time_ms is None:
            return None
        text = instant_text(time_ms)
        if text == value:
            _remember_minute(text, time_ms)
        return Instant(time_ms, text)
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = value * 1000 if abs(value) < _SECONDS_BELOW else value
        try:
            found = _EPOCH + timedelta(milliseconds=number)
        except (OverflowError, ValueError):
            return None
        return Instant(round(number), instant_text(round(number))) if _FIRST < found < _LAST else None
    return None


def _remember_minute(text: str, time_ms: int) -> None:
    if len(_minutes) >= _CACHE_MAX:
        _minutes.clear()
    _minutes[text[:17]] = time_ms // 60_000 * 60_000


def _text_ms(value: str) -> int | None:
    leap = value[17:19] == "60" and value[16:17] == ":"
    try:
        found = datetime.fromisoformat(f"{value[:17]}59{value[19:]}" if leap else value)
    except ValueError:
        return None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    if not _FIRST < found < _LAST:
        return None
    since = found - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    return seconds * 1000 + (999 if leap else since.microseconds // 1000)


def instant_of(time_ms: int) -> Instant:
    """Return the instant `time_ms`."""
    return Instant(time_ms, instant_text(time_ms))


def instant_text(time_ms: int) -> str:
    """Return `time_ms` as RFC 3339 in UTC with milliseconds, the form of every date in a document."""
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return f"{moment.isoformat(timespec='milliseconds')[:-6]}Z"


def counted(number: int, noun: str) -> str:
    """Return `1 event`, `2 events`: `noun` is the singular of a word that takes an s."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


INVISIBLE = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What steers a terminal, or hides what it shows, and may stand in JSON as it is: C1 controls and directions."""


_UNSEEN = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef]"
    r"|(?<![\u2190-\u2bff\U0001f000-\U0001faff])\ufe0f"
)
"""Letters and marks that show nothing: Unicode's Default_Ignorable_Code_Point, and the blank of braille; but what asks
for the coloured form of the symbol before it."""


def printable(text: str) -> str:
    """Return `text` with control characters and all that shows nothing but a blank as escapes, on one line."""
    if text.isprintable() and (text.isascii() or _UNSEEN.search(text) is None):
        return text
    seen = _UNSEEN.sub(lambda found: _escape(found[0]), text)
    return "".join(c if c.isprintable() else _escape(c) for c in seen)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode()


def unused(name: str, taken: Mapping[str, object]) -> str:
    """Return `name`, or where that is taken another made of it, at a cost that does not grow with those taken."""
    if name not in taken:
        return name
    other, number = f"{name}_", len(taken)
    while other in taken:
        other = f"{name}_{number}"
        number += 1
    return other
