"""Places of addresses from MaxMind DB files that come, change, break and go."""

import logging
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
import pytest

from pipeline import threads
from pipeline.app.shipping import encoder_of
from pipeline.clock import SystemClock
from pipeline.events.document import Shaper
from pipeline.events.encoder import Draft
from pipeline.geoip import LOOK_SECONDS, GeoIp
from pipeline.logger.encoding import TwoSteps
from pipeline.settings import load_settings
from pipeline.shipping.home import load_keys
from tests.mmdb import write_mmdb
from tests.unit.clocks import ManualClock

NOW = 1_750_000_000_000
BERLIN = {
    "country": {"iso_code": "DE", "names": {"en": "Germany", "de": "Deutschland"}},
    "subdivisions": [{"iso_code": "BE", "names": {"en": "Land Berlin"}}],
    "city": {"names": {"en": "Berlin"}},
    "location": {"latitude": 52.52, "longitude": 13.4, "accuracy_radius": 20},
}
GEO = {
    "country_iso_code": "DE",
    "country_name": "Germany",
    "region_name": "Land Berlin",
    "city_name": "Berlin",
    "location": {"lat": 52.52, "lon": 13.4},
}
OPERATOR = {"autonomous_system_number": 64496, "autonomous_system_organization": "Example"}
AS = {"number": 64496, "organization": {"name": "Example"}}


def renewed(geoip: GeoIp, clock: ManualClock, address: str, wanted: object) -> bool:
    """Let the files be looked at; return whether `address` then is where `wanted` says."""
    clock.advance(LOOK_SECONDS)
    until = time.monotonic() + 60
    while geoip.locate(address) != wanted and time.monotonic() < until:
        time.sleep(0.005)
    return geoip.locate(address) == wanted


def looked_at(geoip: GeoIp, clock: ManualClock) -> None:
    """Let the files be looked at, and wait until they were."""
    clock.advance(LOOK_SECONDS)
    with patch.object(threads, "start", lambda run: run()):
        geoip.locate("192.0.2.1")


def test_an_address_is_where_the_files_say_together(tmp_path: Path) -> None:
    city, asn = tmp_path / "city.mmdb", tmp_path / "asn.mmdb"
    write_mmdb(city, {"203.0.113.0/24": BERLIN, "2001:db8::/32": {"country": {"iso_code": "FR"}}})
    write_mmdb(asn, {"203.0.113.0/25": OPERATOR}, "GeoLite2-ASN")
    geoip = GeoIp((city, asn), ManualClock())
    assert geoip.locate("203.0.113.7") == {"geo": GEO, "as": AS}
    assert geoip.locate("203.0.113.200") == {"geo": GEO}
    assert geoip.locate("2001:db8::7") == {"geo": {"country_iso_code": "FR"}}
    assert geoip.locate("198.51.100.1") is None


def test_a_replaced_file_is_loaded_without_a_restart(tmp_path: Path) -> None:
    path, fresh = tmp_path / "city.mmdb", tmp_path / "fresh"
    write_mmdb(path, {"203.0.113.0/24": {"country": {"iso_code": "DE"}}})
    clock = ManualClock()
    geoip = GeoIp((path,), clock)
    assert geoip.locate("203.0.113.7") == {"geo": {"country_iso_code": "DE"}}
    write_mmdb(fresh, {"203.0.113.0/24": {"country": {"iso_code": "FR"}}})
    fresh.rename(path)
    assert geoip.locate("203.0.113.7") == {"geo": {"country_iso_code": "DE"}}
    assert renewed(geoip, clock, "203.0.113.7", {"geo": {"country_iso_code": "FR"}})


def test_a_file_that_is_truncated_where_it_lies_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "city.mmdb"
    write_mmdb(path, {f"10.{n}.0.0/16": BERLIN for n in range(250)})
    geoip = GeoIp((path,), ManualClock())
    path.write_bytes(b"")
    assert {orjson.dumps(geoip.locate(f"10.{n}.0.1")) for n in range(250)} == {orjson.dumps({"geo": GEO})}


@pytest.mark.parametrize("content", [b"", b"no such thing", None])
def test_a_broken_or_missing_file_is_told_of_once_and_used_once_it_is_well(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    path = tmp_path / "city.mmdb"
    if content is not None:
        path.write_bytes(content)
    clock = ManualClock()
    with caplog.at_level(logging.WARNING):
        geoip = GeoIp((path,), clock)
        for _ in range(3):
            looked_at(geoip, clock)
            assert geoip.locate("203.0.113.7") is None
    assert list(geoip.unusable) == [path]
    (record,) = caplog.records
    assert record.getMessage().startswith(f"SIEMLITE_GEOIP: {path} cannot be used (")
    write_mmdb(path, {"203.0.113.0/24": BERLIN})
    assert renewed(geoip, clock, "203.0.113.7", {"geo": GEO})
    assert geoip.unusable == {}


def test_a_file_that_vanishes_is_told_of_once_and_what_was_loaded_is_used_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "city.mmdb"
    write_mmdb(path, {"203.0.113.0/24": BERLIN})
    clock = ManualClock()
    geoip = GeoIp((path,), clock)
    path.unlink()
    for _ in range(3):
        looked_at(geoip, clock)
    assert geoip.locate("203.0.113.7") == {"geo": GEO}
    (record,) = caplog.records
    assert "No such file or directory" in record.getMessage()
    assert "is used on" in record.getMessage()


def test_a_file_whose_tree_leads_nowhere_does_not_stop_an_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "city.mmdb"
    write_mmdb(path, {"203.0.113.0/24": BERLIN})
    whole = path.read_bytes()
    tree = whole.index(bytes(16))
    path.write_bytes(b"\xff" * tree + whole[tree:])
    geoip = GeoIp((path,), ManualClock())
    assert geoip.locate("203.0.113.7") is None
    assert len(caplog.records) == 1


def test_values_that_an_event_cannot_hold_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "odd.mmdb"
    odd: dict[str, Any] = {
        "country": {"iso_code": 49, "names": "Germany"},
        "subdivisions": [],
        "city": {"names": {"en": ["Berlin"]}},
        "location": {"latitude": 952.5, "longitude": 13.4},
        "autonomous_system_number": 2**40,
        "autonomous_system_organization": "x" * 257,
    }
    write_mmdb(path, {"203.0.113.0/24": odd, "198.51.100.0/24": ["no", "map"]})
    geoip = GeoIp((path,), ManualClock())
    assert geoip.locate("203.0.113.7") is None
    assert geoip.locate("198.51.100.7") is None


def shaped(path: Path, **event: object) -> dict[str, Any]:
    shaper = Shaper(90 * 86_400_000, locate=GeoIp((path,), SystemClock()).locate)
    source: dict[str, Any] = shaper.shape(event, "id", NOW, live=True).body.get("source", {})
    return source


def test_what_an_event_itself_says_of_its_place_stands(tmp_path: Path) -> None:
    path = tmp_path / "city.mmdb"
    write_mmdb(path, {"203.0.113.0/24": {**BERLIN, **OPERATOR}})
    assert shaped(path, ip="203.0.113.7")["geo"] == GEO
    assert shaped(path, ip="::ffff:203.0.113.7")["as"] == AS
    assert shaped(path, ip="203.0.113.7", geoLocation="the office")["geo"] == {**GEO, "name": "the office"}
    assert shaped(path, ip="203.0.113.7", geoLocation={"countryCode": "FR"})["geo"] == {"country_iso_code": "FR"}
    assert "geo" not in shaped(path, ip="host.example.org")
    assert shaped(path, message="no address") == {}


def test_shipped_and_logged_events_get_their_place_from_the_setting(tmp_path: Path) -> None:
    path = tmp_path / "city.mmdb"
    write_mmdb(path, {"203.0.113.0/24": BERLIN})
    settings = load_settings(None, siemlite_home=tmp_path / "home", siemlite_geoip=(str(path),))
    raw = {"event": "LOGIN_SUCCESS", "ip": "203.0.113.7", "userId": "u1"}
    (shipped,) = encoder_of(settings, load_keys(settings.keys_folder)).encode([Draft(raw, "a")], NOW, live=True)
    logged = TwoSteps(settings).both(dict(raw), "b", NOW)
    for event in (shipped, logged):
        assert orjson.loads(event.body)["source"] == {"address": "203.0.113.7", "ip": "203.0.113.7", "geo": GEO}
    unset = load_settings(None, siemlite_home=tmp_path / "home")
    assert TwoSteps(unset)._shaper.locate is None
