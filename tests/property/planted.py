"""Events with planted secrets, in every position and disguise that redaction has to see through.

`planted_events(seed, n)` yields `(event, secrets)`: an event as an application or a foreign source would hand
it over, and the texts that must appear nowhere afterwards. Each secret is unique and printable ASCII, so a
search for its bytes is proof. With `json_only` the events are what JSON can hold, for use in files.
"""

import base64
import collections
import dataclasses
import json
import pathlib
import random
import string
import types
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import SecretStr

Planted = tuple[dict[str, Any], tuple[str, ...]]

NAMES = (
    *("password", "Password", "PASSWORD", "passwd", "userPassword", "user_password", "new-password", "db.password"),
    *("secret", "clientSecret", "client_secret", "AWS_SECRET_ACCESS_KEY", "token", "accessToken", "refresh_token"),
    *("csrf-token", "X-Auth-Token", "token_id", "secret_id", "creditCard", "credit_card", "CREDIT-CARD", "apiKey"),
    *(
        "api_key",
        "API-KEY",
        "x-api-key",
        "authorization",
        "Authorization",
        "proxy-authorization",
        "cookie",
        "Set-Cookie",
    ),
    *("privateKey", "private_key", "sessionId", "session_id", "JSESSIONID", "ssn", "userSSN", "pin", "cardPin", "pwd"),
    *("pwd2", "cvv", "cvv2", "cvc", "card_cvc", "passphrase", "db_pass", "credentials"),
)
TEXT_NAMES = tuple(name for name in NAMES if name.lower() not in ("authorization", "cookie", "set-cookie"))
PLAIN_NAMES = (
    *("class_name", "process_name", "shipping", "api_key_id", "userId", "ip", "attempt", "path", "method", "compass"),
    *("mapping", "spinner", "bypass", "order", "items", "nested", "meta", "detail"),
)

_Pair = collections.namedtuple("_Pair", "user password")


@dataclasses.dataclass
class _Account:
    user: str
    api_key: object
    note: str = "kept"


class _Slotted:
    __slots__ = ("_cache", "token", "user")

    def __init__(self, token: object) -> None:
        self.token = token
        self.user = "bob"


class _Plain:
    def __init__(self, secret: object) -> None:
        self.client_secret = secret
        self.name = "plain"

    @property
    def exploding(self) -> str:
        raise AssertionError("a property was run")

    def __repr__(self) -> str:
        return f"_Plain({self.client_secret!r})"


class _Maker:
    """Makes unique secrets and what hides them."""

    def __init__(self, rng: random.Random, *, json_only: bool) -> None:
        self.rng = rng
        self.json_only = json_only
        self.secrets: list[str] = []

    def keep(self, secret: str) -> str:
        self.secrets.append(secret)
        return secret

    def letters(self, count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
        return "".join(self.rng.choices(alphabet, k=count))

    def word(self) -> str:
        """Return a secret word, such as people choose or machines make."""
        return self.keep(f"{self.letters(3, string.ascii_letters)}7{self.letters(self.rng.randint(6, 20))}")

    def name(self) -> str:
        return self.rng.choice(NAMES)

    def text_name(self) -> str:
        return self.rng.choice(TEXT_NAMES)

    # Secrets of a known shape.

    def card(self) -> str:
        prefix, length = self.rng.choice((("4", 16), ("51", 16), ("2221", 16), ("37", 15), ("6011", 16), ("36", 14)))
        body = prefix + self.letters(length - len(prefix) - 1, string.digits)
        total = sum(
            sum(divmod(2 * int(digit), 10)) if at % 2 == 0 else int(digit) for at, digit in enumerate(reversed(body))
        )
        digits = body + str(-total % 10)
        gap = self.rng.choice(("", "", " ", "-"))
        sizes = (4, 6, 5) if length == 15 else (4, 6, 4) if length == 14 else (4, 4, 4, 4)
        groups, at = [], 0
        for size in sizes:
            groups.append(digits[at : at + size])
            at += size
        return self.keep(gap.join(groups))

    def ssn(self) -> str:
        area = self.rng.choice([number for number in range(1, 900) if number != 666])
        return self.keep(f"{area:03}-{self.rng.randint(1, 99):02}-{self.rng.randint(1, 9999):04}")

    def jwt(self) -> str:
        def part(value: object) -> str:
            return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")

        signature = self.keep(self.letters(43))
        payload = self.keep(part({"sub": self.letters(12)}))
        return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{payload}.{signature}"

    def shaped(self) -> str:
        make: tuple[Callable[[], str], ...] = (
            lambda: "AKIA" + self.keep(self.letters(16, string.ascii_uppercase + "234567")),
            lambda: "AIza" + self.keep(self.letters(35)),
            lambda: self.rng.choice(("ghp_", "gho_", "ghs_")) + self.keep(self.letters(36)),
            lambda: "github_pat_" + self.keep(self.letters(22)),
            lambda: "xoxb-" + self.keep(self.letters(12, string.digits)) + "-" + self.keep(self.letters(24)),
            lambda: "https://hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/" + self.keep(self.letters(24)),
            lambda: self.rng.choice(("sk_live_", "sk_test_", "rk_live_")) + self.keep(self.letters(24)),
            lambda: "whsec_" + self.keep(self.letters(32)),
            lambda: self.letters(3) + "8Q~" + self.keep(self.letters(34)),
            lambda: "AccountKey=" + self.keep(self.letters(86)) + "==;EndpointSuffix=core.windows.net",
            self.card,
            self.ssn,
            self.jwt,
            self.bearer,
            self.basic,
            self.key_block,
            self.url,
        )
        return self.rng.choice(make)()

    def bearer(self) -> str:
        return "Bearer " + self.keep("0" + self.letters(self.rng.randint(12, 40)) + "aB")

    def basic(self) -> str:
        return "Basic " + self.keep(base64.b64encode(f"bob:{self.letters(12)}".encode()).decode())

    def key_block(self) -> str:
        lines = [self.keep(self.letters(64)) for _ in range(3)]
        kind = self.rng.choice(("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "))
        block = f"-----BEGIN {kind}PRIVATE KEY-----\n" + "\n".join(lines) + "\n"
        return block if self.rng.random() < 0.3 else f"{block}-----END {kind}PRIVATE KEY-----\n"

    def url(self) -> str:
        scheme = self.rng.choice(("https", "postgres", "redis", "amqp", "mongodb+srv"))
        user = self.rng.choice(("bob", "", "app%40corp"))
        return f"{scheme}://{user}:{self.word()}@db.example.org:5432/main?ssl=true"

    # Named secrets in text.

    def quoted(self) -> str:
        """Return a secret with spaces, quotes, backslashes and other letters between two secret words."""
        middle = self.rng.choice((" ", '"', "\\", "\\\\", " é ", ', "x": ', "'", "=", "&", ": ", '\\"', "\n"))
        return self.word() + middle + self.word()

    def text(self) -> str:
        """Return text that holds a secret by its name."""
        name = self.text_name()
        forms: tuple[Callable[[], str], ...] = (
            lambda: f"{name}={self.word()}",
            lambda: f"user=bob {name}={self.word()} host=a",
            lambda: f"{name}: {self.word()}",
            lambda: f"login with {name}: {self.word()} failed",
            lambda: f"a=1&{name}={self.word()}&b=2",
            lambda: f"GET /login?user=bob&{name}={self.word()} HTTP/1.1",
            lambda: f"https://example.org/cb?{name}={urllib.parse.quote(self.word() + ' ' + self.word())}&x=1#top",
            lambda: "next=" + urllib.parse.quote(f"/a?{name}={self.word()}&b=1", safe=""),
            lambda: f'{name}="{self.word()} {self.word()}" rest',
            lambda: f"{name}='{self.word()} {self.word()}'",
            lambda: f"body: {json.dumps({'user': 'bob', name: self.quoted(), 'n': 1})} end",
            lambda: f"body: {json.dumps({'user': 'bob', name: self.quoted(), 'n': 1}, ensure_ascii=False)} end",
            lambda: f"got { ({'user': 'bob', name: self.word() + ' ' + self.word()})!r}",
            lambda: f"got {json.dumps(json.dumps({name: self.quoted()}))} there",
            lambda: f"{{'{name}' => '{self.word()}'}}",
            lambda: f'<Login user="bob"><{name.replace(" ", "")}>{self.word()}</{name.replace(" ", "")}></Login>',
            lambda: f"Account(user='bob', {name}='{self.word()}', n=1)",
            lambda: f"Account(user=bob, {name}={self.word()}, n=1)",
            lambda: f"headers: Authorization: Bearer {self.word()}",
            lambda: f'Authorization: Digest username="bob", response="{self.word()}"',
            lambda: f"curl -H 'Authorization: {self.word()}' https://example.org",
            lambda: f"Cookie: sid={self.word()}; theme={self.word()}",
            lambda: f"Set-Cookie: sid={self.word()}; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly",
            lambda: f"curl -H 'X-Api-Key: {self.word()}' -d 'q=1'",
            lambda: f"run --{name.replace('.', '-')} {self.word()} --verbose",
            lambda: f"[('X-Api-Key', '{self.word()}'), ('Host', 'h')]",
            lambda: json.dumps({"user": "bob", name: self.quoted() + self.word()})[: -self.rng.randint(1, 8)],
            lambda: json.dumps({"user": "bob", name: {"deep": [self.word(), {"x": self.word()}]}})[:-2],
            lambda: f"{name}={self.word()},{self.word()},host=a",
            lambda: f"{name} = {self.word()}",
            lambda: f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{self.word()}\r\n--b--\r\n',
            lambda: f'<input type="hidden" name="{name}" value="{self.word()}">',
            lambda: f"sudo: bob : PWD=/home/bob ; COMMAND=/usr/bin/mysql --{name.replace('.', '-')}={self.word()}",
            lambda: f"ALTER USER bob WITH PASSWORD '{self.word()}' VALID UNTIL 'infinity'",
            lambda: f"&quot;{name}&quot;:&quot;{self.word()}&quot;",
            lambda: f"[{name}] => {self.word()}",
        )
        return self.rng.choice(forms)()

    def sentence(self) -> str:
        """Return text with a secret in the middle of it."""
        secret = self.text() if self.rng.random() < 0.5 else self.shaped()
        before = self.rng.choice(("", "Login failed: ", "é ", "[info] ", "at 10:00:00 ", "x\n", "tab\t"))
        return before + secret + self.rng.choice(("", " ", " and so on", "\nnext line", " é"))

    def json_text(self) -> str:
        """Return JSON as text, perhaps within JSON as text."""
        value: object = {"user": "bob", "list": [1, {self.name(): self.quoted()}], "note": self.sentence()}
        for _ in range(self.rng.randint(1, 3)):
            value = json.dumps(value, indent=self.rng.choice((None, None, 2)))
            if self.rng.random() < 0.5:
                value = {"inner": value, "n": 1}
        return value if isinstance(value, str) else json.dumps(value)

    # Values and where they stand.

    def secret_value(self) -> object:
        """Return what may stand under a sensitive name."""
        choices: list[Callable[[], object]] = [
            self.quoted,
            self.word,
            lambda: [self.word(), self.word()],
            lambda: {"value": self.word(), "more": {"x": self.word()}},
            lambda: int(self.keep(self.letters(9, "123456789"))),
        ]
        if not self.json_only:
            choices += [lambda: self.word().encode(), lambda: (self.word(),), lambda: {self.word()}]
        return self.rng.choice(choices)()

    def member(self) -> tuple[str, object]:
        """Return a name and a value of which one hides a secret."""
        plain = self.rng.choice(PLAIN_NAMES)
        choices: list[Callable[[], tuple[str, object]]] = [
            lambda: (self.name(), self.secret_value()),
            lambda: (plain, self.sentence()),
            lambda: (plain, self.sentence()),
            lambda: (plain, self.json_text()),
            lambda: (plain, [self.sentence(), 1, None]),
            lambda: ("headers", [["Host", "h"], ["Authorization", self.word()], ["X-Api-Key", self.word()]]),
            lambda: ("env", [{"name": "DB_PASSWORD", "value": self.word()}, {"name": "HOME", "value": "/root"}]),
            lambda: ("params", [{"key": "token", "value": self.word()}]),
            lambda: ("rawHeaders", ["Host", "h", "Cookie", self.word(), "X-Api-Key", self.word()]),
            lambda: ("args", ["mysql", "--password", self.word(), "-e", "select 1"]),
            lambda: ("session", {"id": self.word(), "kind": "web"}),
            lambda: ("api", {"key": self.word(), "key_id": "kept"}),
            lambda: ("number", int(self.card().replace(" ", "").replace("-", ""))),
            lambda: (f"{plain} {self.sentence()}", 1),
        ]
        if not self.json_only:
            choices += [
                lambda: (plain, _Account("bob", self.secret_value())),
                lambda: (plain, _Slotted(self.word())),
                lambda: (plain, _Plain(self.word())),
                lambda: (plain, _Pair("bob", self.word())),
                lambda: (plain, ValueError(f"bad {self.text()}")),
                lambda: (plain, RuntimeError("bad", {self.name(): self.word()})),
                lambda: (plain, self.sentence().encode()),
                lambda: (plain, bytearray(self.sentence().encode())),
                lambda: (plain, collections.deque([self.sentence(), {self.name(): self.word()}])),
                lambda: (plain, types.MappingProxyType({self.name(): self.secret_value(), "a": self.sentence()})),
                lambda: (plain, SecretStr(self.word())),
                lambda: (plain, collections.OrderedDict([(self.name(), self.word())])),
                lambda: (plain, types.SimpleNamespace(user="bob", auth=_Slotted(self.word()))),
                lambda: (plain, pathlib.PurePosixPath(f"/a/b?{self.text_name()}={self.word()}")),
                lambda: ("headers", [(b"cookie", self.word().encode()), (b"host", b"h")]),
                lambda: (plain, (self.sentence(), {"x": self.sentence()})),
            ]
        return self.rng.choice(choices)()

    def nested(self, members: dict[str, object]) -> dict[str, object]:
        """Return `members` some levels down."""
        tree: object = members
        for _ in range(self.rng.choice((0, 0, 1, 2, 5))):
            name = self.rng.choice(PLAIN_NAMES)
            tree = {name: tree, "n": 1} if self.rng.random() < 0.7 else {name: [tree, 2]}
        if isinstance(tree, dict):
            return tree
        return {"nested": tree}

    def event(self) -> dict[str, Any]:
        """Return an event in the common application format."""
        hidden = dict(self.member() for _ in range(self.rng.randint(1, 3)))
        event: dict[str, Any] = {
            "timestamp": "2026-11-24T03:00:00.250Z",
            "event": "LOGIN_FAILURE",
            "service": "auth-api",
            "traceId": f"{self.rng.getrandbits(128):032x}",
            "userId": f"u-{self.rng.randint(1, 9999)}",
            "ip": f"203.0.113.{self.rng.randint(1, 254)}",
        }
        where = self.rng.randrange(4)
        if where == 0:
            event["message"] = self.sentence()
        elif where == 1:
            event["reason"] = self.sentence()
        elif where == 2:
            event["userAgent"] = self.sentence()
        target = self.nested(hidden)
        if self.rng.random() < 0.5:
            event["context"] = target
        else:
            event |= {key: value for key, value in target.items() if key not in event}
        return event


def planted_events(seed: int, n: int, *, json_only: bool = False) -> Iterator[Planted]:
    """Yield `n` events made from `seed`, each with the secrets planted in it."""
    rng = random.Random(seed)
    for _ in range(n):
        maker = _Maker(rng, json_only=json_only)
        event = maker.event()
        yield event, tuple(maker.secrets)
