"""Single values in the form of their fields."""

import pytest

from pipeline.events.values import address, counted, geo_point, instant, keyword, printable, shortened, whole_number


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2015-12-10T06:55:46Z", "2015-12-10T06:55:46.000Z"),
        ("2015-12-10T06:55:46.123456789+01:00", "2015-12-10T05:55:46.123Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999Z"),
        ("2015-12-10 06:55:46", "2015-12-10T06:55:46.000Z"),
        ("2015-W50-4T06:55:46.123Z", "2015-12-10T06:55:46.123Z"),
        ("2015-12-10", "2015-12-10T00:00:00.000Z"),
        ("1449730546", "2015-12-10T06:55:46.000Z"),
        ("1780051212345", "2026-05-29T10:40:12.345Z"),
        ("1449730546.25", "2015-12-10T06:55:46.250Z"),
        ("20151210T065546Z", "2015-12-10T06:55:46.000Z"),
        (1_449_730_546, "2015-12-10T06:55:46.000Z"),
        (1_449_730_546_123, "2015-12-10T06:55:46.123Z"),
        (1_449_730_546.5, "2015-12-10T06:55:46.500Z"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
    ],
)
def test_instants_are_understood_in_their_usual_forms(given: object, expected: str) -> None:
    found = instant(given)
    assert found is not None
    assert found.text == expected
    assert instant(found.ms if abs(found.ms) > 10**11 else expected) == found


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "now",
        "0000-00-00",
        "2015-13-01",
        "178005121",
        "178005121234",
        "20260529101112",
        "20260529010203000",
        "1449730546x",
        True,
        None,
        [],
        1e300,
        float("nan"),
        float("inf"),
        "9999-12-31T23:59:59-23:00",
    ],
)
def test_garbage_is_no_instant(garbage: object) -> None:
    assert instant(garbage) is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("192.0.2.1", ("192.0.2.1", "192.0.2.1")),
        (" 192.0.2.1 ", ("192.0.2.1", "192.0.2.1")),
        ("::ffff:192.0.2.1", ("192.0.2.1", "192.0.2.1")),
        ("[2001:DB8:0::1]", ("2001:db8::1", "2001:db8::1")),
        ("fe80::1%eth0", ("fe80::1%eth0", "fe80::1")),
        ("192.0.2.01", ("192.0.2.01", None)),
        ("host.example", ("host.example", None)),
    ],
)
def test_addresses_are_canonical_where_they_are_addresses(given: str, expected: tuple[str, str | None]) -> None:
    assert address(given)[:2] == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("192.0.2.1:50123", ("192.0.2.1", "192.0.2.1", 50123)),
        ("[2001:DB8::1]:443", ("2001:db8::1", "2001:db8::1", 443)),
        ("[::ffff:192.0.2.1]:1", ("192.0.2.1", "192.0.2.1", 1)),
        ("192.0.2.1:65536", ("192.0.2.1:65536", None, None)),
        ("::1:80", ("::1:80", "::1:80", None)),
        ("host.example:80", ("host.example:80", None, None)),
        ("192.0.2.1", ("192.0.2.1", "192.0.2.1", None)),
    ],
)
def test_the_port_of_a_connection_is_no_part_of_its_address(
    given: str, expected: tuple[str, str | None, int | None]
) -> None:
    assert address(given) == expected


def test_keywords_are_text_or_lists_of_text() -> None:
    assert keyword(True) == "true"
    assert keyword(5) == "5"
    assert keyword(["a", 1]) == ["a", "1"]
    assert keyword({"a": 1}) is None
    assert keyword([{"a": 1}]) is None


def test_a_shortened_text_fits_and_tells_apart() -> None:
    assert len(shortened("x" * 2000, 100)) <= 100
    assert shortened("x" * 2000 + "a", 100) != shortened("x" * 2000 + "b", 100)


@pytest.mark.parametrize("value", [True, "1.5", "９", 1.5, 2**63, "9" * 30, None])
def test_what_a_long_cannot_hold_is_refused(value: object) -> None:
    assert whole_number(value) is None


def test_a_place_may_be_text() -> None:
    assert geo_point("52.5, -13.4") == {"lat": 52.5, "lon": -13.4}
    assert geo_point({"latitude": "52.52", "longitude": "-13.4"}) == {"lat": 52.52, "lon": -13.4}
    assert geo_point({"lat": "x", "lon": "13"}) is None
    assert geo_point({"lat": True, "lon": False}) is None
    assert geo_point("95,13") is None
    assert geo_point("52.5") is None


@pytest.mark.parametrize("unseen", ["\u200b", "\u202e", "\u3164", "\uffa0", "\u2800", "\ufe0f", "\u034f", "\U000e0100"])
def test_a_name_that_looks_like_another_is_shown_with_what_it_hides(unseen: str) -> None:
    shown = printable(f"root{unseen}")
    assert shown.startswith("root\\")
    assert shown.isascii()
    assert printable("\u26a0\ufe0f \U0001f6a8\ufe0f root\ufe0f") == "\u26a0\ufe0f \U0001f6a8\ufe0f root\\ufe0f"
    assert printable("root Jürgen 名前 e\u0301") == "root Jürgen 名前 e\u0301"


def test_one_is_not_told_as_many() -> None:
    assert [counted(number, "event") for number in (0, 1, 2)] == ["0 events", "1 event", "2 events"]
