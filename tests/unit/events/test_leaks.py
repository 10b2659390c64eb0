"""The second opinion on redaction."""

import ast
from collections.abc import Callable
from functools import partial
from pathlib import Path

import orjson
import pytest

from pipeline.events import leaks
from pipeline.events.leaks import Leak, find_leaks
from pipeline.events.redaction import MARKER
from tests.unit.effort import grows_linearly
from tests.unit.events.redaction.test_texts import INTACT, REDACTED

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.S3CR3TS3CR3T"

NAMED: list[tuple[object, str]] = [
    ({"password": "S3CR3T"}, "password"),
    ({"a": [{"b": {"apiKey": "S3CR3T"}}]}, "a[0].b.apiKey"),
    ({"user": {"PIN": 1234}}, "user.PIN"),
    ({"token": None}, "token"),
    ({"cookie": {"a": "[REDACTED]"}}, "cookie"),
    ({"h": [["Authorization", "S3CR3T"]]}, "h[0]"),
    ({"h": [{"name": "X-Api-Key", "value": "S3CR3T"}]}, "h[0].value"),
    ({"m": "a=1&password=S3CR3T"}, "m"),
    ({"m": "password: S3CR3T7"}, "m"),
    ({"m": 'x "password": "S3CR3T"'}, "m"),
    ({"m": '{"inner":{"secret":"S3CR3T"}}'}, "m.inner.secret"),
    ({"m": 'broken {"secret":"S3CR3T'}, "m"),
    ({"m": "Cookie: sid=S3CR3T; a=b"}, "m"),
    ({"m": "Authorization: Bearer S3CR3T"}, "m"),
    ({"m": "<password>S3CR3T</password>"}, "m"),
    ({"m": "mysql --password S3CR3T"}, "m"),
    ({"m": "api key: S3CR3T"}, "m"),
]
SHAPED: list[tuple[str, str]] = [
    ("card 4111 1111 1111 1111 x", "card_number"),
    ("378282246310005", "card_number"),
    ("ssn is 078-05-1120", "social_security_number"),
    (f"t {JWT} x", "jwt"),
    ("with Bearer 0S3CR3T0abc", "bearer_token"),
    ("with Basic Ym9iOlMzQ1IzVA==", "basic_credentials"),
    ("AKIAIOSFODNN7EXAMPLE", "aws_access_key"),
    ("k=AIzaSy" + "a" * 33, "google_api_key"),
    ("ghp_" + "a1" * 18, "github_token"),
    ("xoxb-123456789012-abcdef", "slack_token"),
    ("sk_live_0123456789abcdef", "stripe_key"),
    ("-----BEGIN RSA PRIVATE KEY-----\nS3CR3T", "private_key"),
    ("postgres://bob:S3CR3T@h/db", "url_password"),
]
CLEAN: list[object] = [
    {"password": "[REDACTED]", "body": {"apiToken": "[REDACTED]", "cookie": "[REDACTED]"}},
    {"h": [["Authorization", "[REDACTED]"], ["Host", "h"]], "e": [{"name": "DB_PASSWORD", "value": "[REDACTED]"}]},
    {"class_name": "Foo", "process_name": "bar", "shipping": "fast", "api_key_id": "17"},
    {"m": "Failed password for root from 1.2.3.4 port 22 ssh2"},
    {"m": "password changed, token: expired, reason=invalid_password"},
    {"m": "password=[REDACTED]&a=1 Cookie: [REDACTED] https://bob:[REDACTED]@h/ --password [REDACTED]"},
    {"m": '{"password":"[REDACTED]"} \\"token\\":\\"[REDACTED]\\" <password>[REDACTED]</password>'},
    {"m": "sudo: bob : TTY=pts/0 ; PWD=/home/bob ; USER=root"},
    {"m": "Bearer [REDACTED] Basic [REDACTED] basic authentication bearer token"},
    {"trace": {"id": "4bf92f3577b34da6a3ce929d0e0e4736"}, "@timestamp": "2026-11-24T02:00:00.000Z", "n": 1795485600000},
    {"id": "550e8400-e29b-41d4-a716-446655440000", "n": 4111111111111112, "v": "1.4111111111111111"},
    {"event": {"code": "PASSWORD_CHANGE", "action": "api-key-created"}},
    {"m": "x AKIAIOSFODNN7EXAMPLEa and -> b </password>abc"},
]


@pytest.mark.parametrize(("event", "path"), NAMED)
def test_a_named_secret_is_found_where_it_is(event: object, path: str) -> None:
    found = find_leaks(orjson.dumps(event))
    assert [(leak.kind, leak.path) for leak in found] == [("named_secret", path)]


@pytest.mark.parametrize(("text", "kind"), SHAPED)
def test_a_secret_is_known_by_its_shape(text: str, kind: str) -> None:
    assert kind in {leak.kind for leak in find_leaks(orjson.dumps({"m": text}))}
    assert kind in {leak.kind for leak in find_leaks(orjson.dumps({"m": orjson.dumps([text]).decode()}))}


@pytest.mark.parametrize("event", CLEAN)
def test_what_is_redacted_or_harmless_raises_no_alarm(event: object) -> None:
    assert find_leaks(orjson.dumps(event)) == ()


def test_a_card_number_as_a_number_is_found() -> None:
    assert find_leaks(b'{"n":4111111111111111}') == (Leak("card_number", "n", 0),)


def test_a_key_that_is_given_twice_hides_nothing() -> None:
    assert find_leaks(b'{"password":"S3CR3T","password":"[REDACTED]"}') == (Leak("named_secret", "password", 0),)


def test_every_line_is_looked_at_json_or_not() -> None:
    found = find_leaks(b'{"create":{"_id":"x"}}\n{"password":"S3CR3T"}\n\nno json password=S3CR3T\n')
    assert [(leak.kind, leak.path) for leak in found] == [("named_secret", "password"), ("named_secret", "")]


def test_the_offset_is_where_the_secret_stands() -> None:
    text = "login from h with password=S3CR3T"
    (leak,) = find_leaks(orjson.dumps({"m": text}))
    assert text[leak.offset :] == "S3CR3T"


def test_a_leak_never_shows_the_secret() -> None:
    event = {"password=S3CR3T": {"x": "password=S3CR3T"}, JWT: 1, "4111111111111111": 2, "a": {"token": "S3CR3T"}}
    found = find_leaks(orjson.dumps(event))
    assert len(found) >= 4
    assert "S3CR3T" not in repr(found)
    assert "4111" not in repr(found)


@pytest.mark.parametrize(
    "encoded", [b"", b"\n", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 5_000, b'"' * 1_000, b"{" + b"\0" * 50]
)
def test_whatever_it_is_given_it_answers(encoded: bytes) -> None:
    assert find_leaks(encoded) == ()


def test_nothing_is_shared_with_the_redactor() -> None:
    modules = sorted(Path(leaks.__file__).parent.glob("*.py"))
    assert len(modules) > 1
    imported: set[str] = set()
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
    ours = {name for name in imported if name.startswith("pipeline")}
    assert ours
    assert all(name.startswith("pipeline.events.leaks.") for name in ours)
    assert not imported & {"re", "orjson"}


@pytest.mark.parametrize("line", [line.strip() for line in INTACT])
def test_a_line_without_a_secret_raises_no_alarm(line: str) -> None:
    assert find_leaks(orjson.dumps({"message": line})) == ()


@pytest.mark.parametrize(("line", "expected"), REDACTED)
def test_a_line_whose_secrets_are_hidden_raises_no_alarm(line: str, expected: str) -> None:
    assert find_leaks(orjson.dumps({"message": expected.replace("#", MARKER)})) == ()


def test_a_name_that_tells_of_a_secret_raises_no_alarm() -> None:
    told = {"password_attempts": "3", "max_tokens": 4096, "token_type": "Bearer", "failedOtpCount": 5}
    told |= {"token_expires_at": "2026-11-24T00:00:00Z", "authorization.k8s.io/decision": "allow"}
    assert find_leaks(orjson.dumps({"siemlite": {"data": told}})) == ()
    assert find_leaks(orjson.dumps({"siemlite": {"data": {"example.com/password": "hunter22"}}}))


@pytest.mark.parametrize(
    "unit", ["->", "a>b", "x>", ">>", "div>", "<a", "</", "=:", "--", "- -", "://", "eyJ.", "[", "key "]
)
def test_the_work_grows_with_the_length_of_a_text_alone(unit: str) -> None:
    def search(length: int) -> Callable[[], object]:
        return partial(find_leaks, orjson.dumps({"m": unit * (length // len(unit))}))

    assert grows_linearly(search, 2_000)
