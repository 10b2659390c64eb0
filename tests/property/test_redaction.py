"""Redaction against generated events: nothing planted gets through, nothing else is touched, work stays linear."""

import copy
import re
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.events.leaks import find_leaks
from pipeline.events.redaction import MARKER, Redactor
from tests.property.planted import planted_events

redactor = Redactor()
extended = Redactor(["zip", "internal_ref"])

PIECES = (
    *(
        "password",
        "secret",
        "token",
        "api key",
        "api_key",
        "session id",
        "Authorization",
        "cookie",
        "Set-Cookie",
        "pin",
    ),
    *(
        "ssn",
        "pass",
        "pw",
        "Bearer",
        "bearer",
        "Basic",
        "X-Api-Key",
        "zip",
        "internal_ref",
        "ｐｉｎ",
        "class_name",
        "user",
    ),
    *(
        "=",
        ":",
        ": ",
        " = ",
        ":=",
        "=>",
        "==",
        ";",
        ",",
        "&",
        "?",
        '"',
        "'",
        '\\"',
        '\\\\"',
        "\\'",
        "`",
        "{",
        "}",
        "[",
        "]",
    ),
    *(
        "(",
        ")",
        "<",
        ">",
        "/",
        "://",
        "@",
        "%",
        "%3D",
        "%26",
        "%20",
        "|",
        "+",
        "-",
        "--",
        " --",
        ".",
        "_",
        "#",
        "~",
        "\\",
    ),
    *("\\n", "\\u0070", "&quot;", "\n", "\r\n", "\t", "\0", " ", "  ", "é", "\xa0", "\u2028", "😀", "\x1f", "\\t"),
    *("hunter2", "a", "x1", "abcDEF123", "4111111111111111", "4111 1111 1111 1111", "3782-822463-10005", "123-45-6789"),
    *("123456789", "123 45 6789", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefghijk", "eyJ", "AKIAIOSFODNN7EXAMPLE"),
    *(
        "AIzaSy" + "a" * 33,
        "ghp_" + "b1" * 18,
        "xoxb-123456789012-abcdef",
        "sk_live_abcdefghijklmnop",
        "whsec_" + "c2" * 12,
    ),
    *("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "https", "name", "value", "12", "T12", "02:00:00"),
    *("2026-11-24T02:00:00Z", "Ym9iOmh1bnRlcjI=", "social security number", "is", "expired", MARKER, "null", "12345"),
    *(
        'name="password"',
        "value=",
        "https://hooks.slack.com/services/T00/B00/xyzxyzxyz",
        "abc8Q~" + "d" * 34,
        "ya29." + "e" * 20,
    ),
    *("<password>", "</password>", "<![CDATA[", "identified by ", "PWD=/home/x ;", "InvalidTokenError: "),
    *(
        "sk-proj-abcdefghijABCDEFGHIJ12",
        "GOCSPX-" + "f" * 24,
        "glpat-" + "g" * 20,
        "550e8400-e29b-41d4-a716-446655440000",
    ),
)
NUMERIC = (
    *(
        "ssn ",
        "SSN",
        "social security ",
        "number ",
        "no. ",
        " is ",
        "#",
        ":",
        "'",
        '"',
        "\\",
        " ",
        "-",
        "+",
        ".",
        "_",
        ",",
    ),
    *(
        "1",
        "12",
        "123",
        "45",
        "1234",
        "6789",
        "12345",
        "123456789",
        "4111",
        "1111",
        "4111111111111111",
        "3782",
        "822463",
    ),
    *(
        "10005",
        "378282246310005",
        "6205500000000000004",
        "123-45-6789",
        "1795485600000",
        "\xa0",
        "\0",
        "x",
        "\\n",
        "blk_",
        "\n",
    ),
)
numeric = st.lists(st.sampled_from(NUMERIC), min_size=1, max_size=9).map("".join)
dangerous = st.lists(st.sampled_from(PIECES), min_size=1, max_size=9).map("".join)

SAFE_KEYS = st.sampled_from(
    ("user", "class_name", "process_name", "shipping", "api_key_id", "attempt", "a.b", "größe", "-")
)
SAFE_TEXTS = st.one_of(
    st.sampled_from(
        (
            *(
                "password changed",
                "token expired",
                "LOGIN_FAILURE",
                "203.0.113.7",
                "2001:db8::1",
                "größe",
            ),
            *("4bf92f3577b34da6a3ce929d0e0e4736", "550e8400-e29b-41d4-a716-446655440000", "2026-11-24T02:00:00.000Z"),
            *(
                "https://example.org/a?b=c",
                "Mozilla/5.0 (X11; Linux x86_64)",
                "a@example.org",
                "sshd[7]: check pass; user x",
            ),
        )
    ),
    st.text("abcdefghij ABC.,!?()é\n", max_size=40),
)
safe_trees: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        SAFE_TEXTS,
        st.integers(-(2**40), 2**40),
        st.booleans(),
        st.none(),
        st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not 1e12 <= abs(number) < 1e20),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(SAFE_KEYS, inner, max_size=4)),
    max_leaves=20,
)
any_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        *(st.text(), st.binary(), st.integers(), st.floats(), st.booleans(), st.none(), st.datetimes(), st.decimals()),
        *(st.uuids(), st.timedeltas(), st.dates(), st.times(), st.complex_numbers(), st.fractions(), dangerous),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(st.text(), st.integers(), st.binary(), st.none(), dangerous), inner, max_size=4),
        inner.map(ValueError),
    ),
    max_leaves=15,
)
DRAWN = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def redacted(event: object, using: Redactor = redactor) -> bytes:
    """Take `event` along the way that events go, and return its bytes."""
    tree = using.keys(event)
    body = orjson.dumps(tree)
    return orjson.dumps(using.values(tree)) if using.suspects([body]) else body


@pytest.mark.parametrize("seed", range(4))
def test_no_planted_secret_gets_through(seed: int) -> None:
    for number, (event, secrets) in enumerate(planted_events(seed, 500)):
        body = redacted(event)
        left = [secret for secret in secrets if secret.encode() in body]
        assert not left, f"event {number} of seed {seed}: {left} in {body!r}"
        assert find_leaks(body) == (), f"event {number} of seed {seed}: {body!r}"


def test_no_planted_secret_gets_through_a_whole_line_that_is_no_json() -> None:
    for number, (event, secrets) in enumerate(planted_events(7, 500, json_only=True)):
        line = orjson.dumps(event).decode()
        for cut in (line[:-1], f"prefix {line}", line[: len(line) * 3 // 4]):
            left = [secret for secret in secrets if secret in redactor.text(cut)]
            assert not left, f"event {number}: {left} in {redactor.text(cut)}"


def test_the_second_opinion_finds_most_of_what_is_planted() -> None:
    found = [bool(find_leaks(orjson.dumps(event))) for event, _ in planted_events(3, 500, json_only=True)]
    assert sum(found) > 0.9 * len(found)


def test_redacting_twice_changes_nothing_more() -> None:
    for event, _ in planted_events(11, 300):
        body = redacted(event)
        assert redacted(orjson.loads(body)) == body


@DRAWN
@given(st.one_of(dangerous, numeric), st.sampled_from(("value", "key", "list", "json")))
def test_what_values_would_change_is_always_suspected(text: str, where: str) -> None:
    forms: dict[str, object] = {
        "value": {"m": text},
        "key": {text: 1},
        "list": ["a", text, 3],
        "json": {"m": f'{{"x":"{text}"}}'},
    }
    tree = extended.keys({"d": forms[where]})
    body = orjson.dumps(tree)
    if orjson.dumps(extended.values(tree)) != body:
        assert list(extended.suspects([b'{"a":"b"}', body, b'{"a":"b"}'])) == [1]


@DRAWN
@given(safe_trees)
def test_a_tree_without_secrets_stays_as_it_is(tree: Any) -> None:
    before = copy.deepcopy(tree)
    assert redactor.keys(tree) is tree
    assert redactor.values(tree) is tree
    assert orjson.dumps(tree) == orjson.dumps(before)


@DRAWN
@given(any_values)
def test_whatever_it_is_given_keys_gives_json_and_changes_nothing(value: Any) -> None:
    before = repr(value)
    tree = redactor.keys(value)
    orjson.loads(orjson.dumps(tree))
    orjson.dumps(redactor.values(tree))
    assert repr(value) == before


@DRAWN
@given(st.text(max_size=200), dangerous)
def test_any_line_is_answered_with_text_and_marked_at_most(text: str, danger: str) -> None:
    for line in (text, danger, text + danger):
        assert isinstance(redactor.text(line), str)
        assert find_leaks(line.encode("utf-8", "replace")) is not None


ADVERSARIAL = (
    *(
        "curl ",
        "curl -u ",
        'curl -u "',
        "mysql -p;",
        "[parameters: ",
        "parameters: $1 = ",
        "Failing row contains (",
        "Key (",
        "Key (pin)=(",
        "%61=",
        "pin%3D%2525",
        "pin=f(",
        'pin=f("',
        "pin=[]a{",
        "x[0]",
        "/pin: ",
    ),
    *(
        "a",
        "=",
        "a=",
        "password=",
        "password",
        '"',
        "\\",
        '\\"',
        'password="',
        '"password":"',
        "{",
        '{"a":',
        "[",
        "<",
        "<a",
    ),
    *(
        "<password>",
        "</",
        "://",
        "://a:b",
        "://a@",
        "a@",
        "eyJ",
        "eyJa.",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN ",
        "4",
    ),
    *("4 ", "41111 ", "1-", "bearer ", "Bearer a", "cookie: a=b;", "cookie: a;", "authorization: digest a=b,", "a b:"),
    *(
        "authorization: a ",
        "name=password ",
        'name="password"\r\n',
        'name="password"\r\na:b\r\n',
        "('token', '",
        "--a",
        "-a ",
    ),
    *(
        "--password ",
        "password '",
        "\\u0070",
        "%3D",
        "a%3D",
        "&quot;",
        "a&quot;:",
        "password=a,",
        "password=a&",
        "password=(",
    ),
    *(
        "password={",
        "password=[",
        'password={"',
        '"password":{"a":\'',
        "ssn ",
        "ssn 1",
        "api key:",
        "\0",
        "é",
        "ｐ",
        "sk-a",
    ),
    *(
        "ghp_a",
        "xoxb-",
        "AKIA",
        "a8Q~",
        "k_live_",
        "s://hooks.slack.com/services/",
        "\n",
        " ",
        "password= ",
        "password :",
    ),
    *(
        "1T12:",
        "a.",
        "$",
        "`",
        "'",
        "password=''",
        "string(1",
        "cookie: a=b; expires=Wed, 21",
        '"{\\"a\\":',
        "password=a;b",
        "[type=a, input_value=",
        "'loc':['password'",
        "'loc':['password'],'input':'",
    ),
)
SIZE = 100_000
BEHIND = (
    *(("a=", "\\"), ("password=", "\\"), ("password={", "\\"), ("--password ", "\\"), ("name=", "\\")),
    *(("password=x ", "\\\\u0070"), ("password=x ", "\\u0070"), ("a=", "\\u"), ("name=password\n\n", "\\")),
    *(("password='x' ", "\\"), ('password="', "\\"), ("authorization: digest a=", "\\"), ("cookie: a=", "\\")),
)
"""What an adversary repeats behind a name."""

ALLOWED = 60
"""Times the work of splitting a text of the same length into its words; the worst input needs about 15."""


def _seconds(work: Callable[[str], object], text: str) -> float:
    begun = time.thread_time()
    work(text)
    return time.thread_time() - begun


def _split(text: str) -> object:
    return re.findall(r"\w+|\W", text)


@pytest.mark.parametrize("unit", ADVERSARIAL)
def test_the_work_on_an_adversarial_text_is_bounded(unit: str) -> None:
    text = (unit * (SIZE // len(unit) + 1))[:SIZE]
    base = min(_seconds(_split, "ab, cd: 12 " * (SIZE // 11)) for _ in range(3))
    assert min(_seconds(redactor.text, text) for _ in range(2)) < ALLOWED * base


@pytest.mark.parametrize(("head", "unit"), BEHIND)
@pytest.mark.parametrize("tail", ["", '"', "n "])
def test_the_work_on_what_is_repeated_behind_a_name_is_bounded(head: str, unit: str, tail: str) -> None:
    text = head + (unit * (SIZE // len(unit) + 1))[:SIZE] + tail
    base = min(_seconds(_split, "ab, cd: 12 " * (SIZE // 11)) for _ in range(3))
    assert min(_seconds(redactor.text, text) for _ in range(2)) < ALLOWED * base


@pytest.mark.parametrize("element", ["<password{0}>x", "</password{0}><password{0}>x"])
def test_the_work_on_elements_that_are_not_closed_is_bounded(element: str) -> None:
    text = "".join(element.format(number) for number in range(SIZE // 13))
    base = min(_seconds(_split, "ab, cd: 12 " * (SIZE // 11)) for _ in range(3))
    assert min(_seconds(redactor.text, text) for _ in range(2)) < ALLOWED * base


@pytest.mark.parametrize("unit", [*ADVERSARIAL, '"-a', '\\"-a', "-", " -a", "123456789 ", "1 ", "x123456789"])
def test_the_scan_of_an_adversarial_text_is_bounded(unit: str) -> None:
    text = (unit * (SIZE // len(unit) + 1))[:SIZE]
    bodies = [orjson.dumps({"m": text}), orjson.dumps([text[:100]] * (SIZE // 100))]
    base = min(_seconds(_split, "ab, cd: 12 " * (SIZE // 11)) for _ in range(3))
    assert min(_seconds(lambda _: redactor.suspects(bodies), text) for _ in range(2)) < ALLOWED * base


@pytest.mark.parametrize("unit", ["password=", '{"a":', "eyJ", "a=", "'"])
def test_the_work_on_a_megabyte_is_bounded_too(unit: str) -> None:
    text = (unit * (10 * SIZE // len(unit) + 1))[: 10 * SIZE]
    base = min(_seconds(_split, "ab, cd: 12 " * (10 * SIZE // 11)) for _ in range(2))
    assert _seconds(redactor.text, text) < ALLOWED * base
