"""Where addresses are, by the user's MaxMind DB files (`SIEMLITE_GEOIP`), for events that do not say.

Invariants: a lookup never raises and never waits for a disk; a file that cannot be read, or is gone, is told of
once, until it changes, and what was loaded before is used on; a file may be replaced, overwritten or truncated at
any moment, because what is looked at is a copy of it that has no name.
"""

import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import maxminddb

from pipeline import threads
from pipeline.clock import Clock

LOOK_SECONDS = 10.0
"""How often the files are looked at for changes, while addresses are looked up."""

_CACHE_MAX = 20_000
_COPY_BYTES = 1024 * 1024
_WORD_MAX = 256
_log = logging.getLogger(__name__)

Place = Mapping[str, Any]
"""What is known of an address: `geo` and `as`, each as below `source` in an event document."""


@dataclass(slots=True)
class _Database:
    """One file: what of it is loaded, and which state of it was last looked at."""

    path: Path
    reader: maxminddb.Reader | None = None
    state: tuple[int, ...] | None = None
    told: str = ""

    def renew(self) -> bool:
        """Load the file if it has changed; return whether something else is loaded now."""
        try:
            state = _state(self.path)
            if state == self.state:
                return False
            self.state = state
            reader = _opened(self.path)
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
            if isinstance(error, FileNotFoundError):
                self.state = None
            self.tell(error)
            return False
        self.told, self.reader = "", reader
        return True

    def tell(self, error: Exception) -> None:
        """Tell of a trouble, unless it is the one that was told of last."""
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no MaxMind DB file"
        if reason != self.told:
            self.told = reason
            use = "what was loaded of it before is used on" if self.reader else "source.geo is not filled from it"
            _log.warning("SIEMLITE_GEOIP: %s cannot be used (%s); %s", self.path, reason, use)

    def get(self, address: str) -> Any:
        """Return the record of `address`; None where there is none, or the file proves to be broken."""
        reader = self.reader
        if reader is None:
            return None
        try:
            return reader.get(address)
        except ValueError:
            return None  # An IPv6 address, and the file knows none.
        except maxminddb.InvalidDatabaseError as error:
            if self.reader is reader:
                self.reader = None
            self.tell(error)
            return None


@dataclass(slots=True)
class GeoIp:
    """Looks addresses up in `paths`; safe to share between threads, and usable after a fork."""

    paths: Sequence[Path]
    clock: Clock
    _databases: tuple[_Database, ...] = field(init=False)
    _known: dict[str, Place | None] = field(init=False, default_factory=dict)
    _look_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._databases = tuple(_Database(path) for path in self.paths)
        self._renew()
        self._look_at = self.clock.monotonic() + LOOK_SECONDS

    @property
    def unusable(self) -> dict[Path, str]:
        """Return the files that cannot be used now, each with the reason."""
        return {database.path: database.told for database in self._databases if database.told}

    def locate(self, address: str) -> Place | None:
        """Return what the files know of an IP address, or None."""
        if self.clock.monotonic() >= self._look_at:
            self._look_at = self.clock.monotonic() + LOOK_SECONDS
            with suppress(RuntimeError):  # The interpreter ends and starts no more threads.
                threads.start(self._renew)
        known = self._known
        try:
            return known[address]
        except KeyError:
            pass
        found: dict[str, dict[str, Any]] = {}
        for database in self._databases:
            for branch, name, value in _facts(database.get(address)):
                found.setdefault(branch, {}).setdefault(name, value)
        if len(known) >= _CACHE_MAX:
            known.clear()
        known[address] = place = found or None
        return place

    def _renew(self) -> None:
        changed = [database for database in self._databases if database.renew()]
        if changed:
            self._known = {}


def _state(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _opened(path: Path) -> maxminddb.Reader:
    """Return a reader of a copy of `path`; the copy is gone when the reader is."""
    with path.open("rb") as source, tempfile.NamedTemporaryFile(prefix="siemlite-geoip-") as copy:
        shutil.copyfileobj(source, copy, _COPY_BYTES)
        copy.flush()
        return maxminddb.open_database(copy.name)


def _facts(record: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield the facts of a record of a City, Country or ASN file: the object below `source`, the field, the value.

    What has another form than MaxMind documents is passed over.
    """
    if not isinstance(record, dict):
        return
    country, city, location = (_dict(record.get(name)) for name in ("country", "city", "location"))
    subdivisions = record.get("subdivisions")
    region = _dict(subdivisions[0]) if isinstance(subdivisions, list) and subdivisions else {}
    lat, lon = location.get("latitude"), location.get("longitude")
    facts: tuple[tuple[str, str, object, type], ...] = (
        ("geo", "country_iso_code", country.get("iso_code"), str),
        ("geo", "country_name", _dict(country.get("names")).get("en"), str),
        ("geo", "region_name", _dict(region.get("names")).get("en"), str),
        ("geo", "city_name", _dict(city.get("names")).get("en"), str),
        ("as", "number", record.get("autonomous_system_number"), int),
    )
    yield from ((branch, name, value) for branch, name, value, kind in facts if type(value) is kind and _fits(value))
    if isinstance(lat, float) and isinstance(lon, float) and abs(lat) <= 90 and abs(lon) <= 180:
        yield "geo", "location", {"lat": lat, "lon": lon}
    organization = record.get("autonomous_system_organization")
    if isinstance(organization, str) and _fits(organization):
        yield "as", "organization", {"name": organization}


def _fits(value: object) -> bool:
    """Return whether the fields of an event document can hold `value`."""
    return len(value) <= _WORD_MAX if isinstance(value, str) else isinstance(value, int) and 0 <= value < 2**32


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


_shared: dict[tuple[Path, ...], GeoIp] = {}


def geoip(paths: Sequence[Path], clock: Clock) -> GeoIp:
    """Return what looks addresses up in `paths`, one for the whole process."""
    key = tuple(paths)
    return _shared.get(key) or _shared.setdefault(key, GeoIp(key, clock))
