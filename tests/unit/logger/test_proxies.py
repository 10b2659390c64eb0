"""Whose request it is: forwarding headers, trace ids, bodies."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigurationError
from pipeline.logger.body import BodyCopy
from pipeline.logger.proxies import TrustedProxies, trace_id_of

PROXIES = TrustedProxies(["10.0.0.0/8", "2001:db8:1::/48", "192.0.2.1"])
FORWARDED = TrustedProxies(["10.0.0.0/8"], "Forwarded")


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # not from a trusted proxy: not believed
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # what the client claims is left of it
        ("10.0.0.1", ["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1, 192.0.2.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),  # several lines are one list
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),  # a client inside
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.0.0.1", ["2001:DB8::7"], "2001:db8::7"),
        ("2001:db8:1::5", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),  # the nearest address that is known for certain
        ("10.0.0.1", ["198.51.100.1, <script>, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [",,,"], "10.0.0.1"),
        ("testclient", ["198.51.100.1"], "testclient"),
        (None, ["198.51.100.1"], None),
    ],
)
def test_a_forwarding_header_is_believed_from_the_right_as_far_as_proxies_are_trusted(
    peer: str | None, headers: list[str], client: str | None
) -> None:
    assert PROXIES.client(peer, headers) == client


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        (["for=198.51.100.1"], "198.51.100.1"),
        (['For="[2001:db8::7]:4711";proto=https;by=10.0.0.1'], "2001:db8::7"),
        (["proto=https; for=198.51.100.1 ;host=a"], "198.51.100.1"),
        (["for=6.6.6.6, for=198.51.100.1, for=10.0.0.2"], "198.51.100.1"),
        (['for="6.6.6.6, for=198.51.100.1'], "198.51.100.1"),  # an open quote swallows nothing
        (["for=_hidden"], "10.0.0.1"),
        (["for=unknown"], "10.0.0.1"),
        (["by=198.51.100.1"], "10.0.0.1"),
        (["xfor=198.51.100.1"], "10.0.0.1"),
        (['host="a;for=6.6.6.6;b";for=198.51.100.1'], "198.51.100.1"),
        (['host="a, for=6.6.6.6;b";for=198.51.100.1'], "198.51.100.1"),
        (['host="a\\";for=6.6.6.6;\\"";for=198.51.100.1'], "198.51.100.1"),
        (['for=198.51.100.1;host=",";x=y'], "198.51.100.1"),
        (['for="', 'for=198.51.100.1;host="a,b,c"'], "198.51.100.1"),
        (["for=6.6.6.6;for=198.51.100.1"], "10.0.0.1"),  # which of them is meant?
        (['host="' + "," * 50 + '";for=198.51.100.1'], "10.0.0.1"),
        (["for=198.51.100.1:4711"], "198.51.100.1"),
    ],
)
def test_the_standard_header_is_read_alike(headers: list[str], client: str) -> None:
    assert FORWARDED.client("10.0.0.1", headers) == client


def test_nothing_is_trusted_by_default() -> None:
    assert TrustedProxies().client("127.0.0.1", ["198.51.100.1"]) == "127.0.0.1"


def test_a_server_behind_a_local_socket_is_trusted_when_said_so() -> None:
    proxies = TrustedProxies(["unix"])
    assert proxies.client("", ["198.51.100.1"]) == "198.51.100.1"
    assert proxies.client(None, ["198.51.100.1"]) == "198.51.100.1"
    assert proxies.client(None, []) is None
    assert proxies.client("203.0.113.9", ["198.51.100.1"]) == "203.0.113.9"


def test_a_header_of_any_length_is_read_in_bounded_steps() -> None:
    chain = ", ".join(["198.51.100.1"] + ["10.0.0.2"] * 100_000)
    assert PROXIES.client("10.0.0.1", [chain]) == "10.0.0.2"


@pytest.mark.parametrize("wrong", ["10.0.0.0/33", "10.0.0.1/8", "proxy.example.org", ""])
def test_a_wrong_network_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="SIEMLITE_TRUSTED_PROXIES"):
        TrustedProxies([wrong])


def test_only_the_two_headers_are_known() -> None:
    with pytest.raises(ConfigurationError, match="x-real-ip"):
        TrustedProxies([], "x-real-ip")


@given(st.lists(st.text(max_size=60), max_size=4), st.sampled_from([PROXIES, FORWARDED]))
def test_no_header_can_make_it_raise(headers: list[str], proxies: TrustedProxies) -> None:
    assert proxies.client("10.0.0.1", headers)


TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "trace_id"),
    [
        (f"00-{TRACE}-{PARENT}-01", TRACE),
        (f" 00-{TRACE}-{PARENT}-00 ", TRACE),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like", TRACE),
        (f"00-{TRACE}-{PARENT}-01-more", None),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{PARENT}-01", None),
        (f"00-{TRACE[:-1]}-{PARENT}-01", None),
        (f"00-{TRACE}-{PARENT}", None),
        (f"00-{TRACE}-{PARENT}-01\n", TRACE),
        ("", None),
        (None, None),
        ("x" * 10_000, None),
    ],
)
def test_a_trace_id_is_taken_from_a_valid_traceparent_only(header: str | None, trace_id: str | None) -> None:
    assert trace_id_of(header) == trace_id


def kept(data: bytes, content_type: str, *, limit: int = 100, announced: str = "") -> dict[str, Any]:
    copy = BodyCopy(limit)
    for start in range(0, len(data), 7):
        copy.feed(data[start : start + 7])
    return copy.fields(content_type, announced)


def test_json_and_forms_are_kept_as_structures_that_keys_can_be_redacted_in() -> None:
    assert kept(b'{"a":[1]}', "application/json; charset=utf-8")["http.request.body.content"] == {"a": [1]}
    assert kept(b"[]", "application/problem+json")["http.request.body.content"] == []
    form = kept(b"a=1&a=2&b=%C3%BC&c=", "application/x-www-form-urlencoded")
    assert form["http.request.body.content"] == {"a": ["1", "2"], "b": "ü", "c": ""}


@pytest.mark.parametrize(
    ("data", "content_type", "announced", "why"),
    [
        (b'{"password":"hunter2"' + b" " * 100 + b"}", "application/json", "", "larger than 100 bytes"),
        (b'{"password":"hunter2"', "application/json", "", "not valid JSON"),
        (b'{"password":"hunter2"}', "application/json", "9999", "not read to its end"),
        (b"password hunter2", "text/plain", "", "neither JSON nor a form"),
        (b"hunter2", "", "", "neither JSON nor a form"),
        (b"&".join([b"hunter2=1"] * 1_200), "application/x-www-form-urlencoded", "", "larger than 100 bytes"),
    ],
)
def test_what_cannot_be_redacted_for_certain_is_left_out_and_said_so(
    data: bytes, content_type: str, announced: str, why: str
) -> None:
    fields = kept(data, content_type, announced=announced)
    assert fields["http.request.body.left_out"] == why
    assert fields["http.request.body.bytes"] == len(data)
    assert "hunter2" not in str(fields)


def test_too_many_fields_are_left_out() -> None:
    fields = kept(b"&".join([b"a=1"] * 1_200), "application/x-www-form-urlencoded", limit=10_000)
    assert "left_out" in str(fields)


def test_no_body_says_nothing() -> None:
    assert kept(b"", "application/json") == {}
