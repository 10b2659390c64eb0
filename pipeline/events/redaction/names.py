"""Which names are those of secrets: the one table, and the verdicts remembered from it.

A name is compared after NFKC and case folding, without anything that is neither letter nor digit. Its words
are split at camelCase, at digits and at every other character. A name is sensitive when it

- contains one of `FRAGMENTS` (their words joined), wherever that stands: `userPassword2`, `X-Api-Key`;
- has one of `WORDS` as a whole word: `user_ssn`, `cardCVV2`, but not `class_name`, `shipping`, `process_name`;
- ends in one of `LAST_WORDS`: `db_pass`, `aws.credentials`, but not `pass_rate`, `credential_type`.

What tells of a secret is none: `otp_attempts`, `token_expires_at`, `max_tokens`; of an annotation with the prefix of
a domain, such as `authorization.k8s.io/decision`, the part behind it is the name.
The identifier of a key is not the key: a final `key id` is left out of the comparison, so `api_key_id`
survives; the identifier of a secret or of a token is as good as it, so `secret_id` and `token_id` do not.

Invariant: the defaults are constants; what a user adds is added, and nothing can be taken away.
"""

import re
import unicodedata
from collections.abc import Iterable

from pipeline.errors import ConfigurationError
from pipeline.events.redaction.stems import Stems

FRAGMENTS: tuple[str, ...] = (
    # what everybody expects
    "password",
    "passwd",
    "secret",
    "token",
    "credit card",
    "api key",
    "authorization",
    "cookie",
    "private key",
    "session id",
    # the same things by other names
    "passcode",
    "passphrase",
    "passwort",
    "sess id",
    "session key",
    "card number",
    "card no",
    "social security",
    "access key",
    "account key",
    "auth key",
    "encryption key",
    "master key",
    "priv key",
    "shared key",
    "signing key",
    "shared access",
    "backup code",
    "recovery code",
    "security code",
    "verification code",
    # what else lets somebody in; in one word, so that an object named `code` or `auth` needs no second look
    "authcode",
    "clientassertion",
    "codeverifier",
    "functionskey",
    "hmackey",
    "mfacode",
    "recoverykey",
    "samlresponse",
    "securityanswer",
    "seedphrase",
    "sshkey",
    "subscriptionkey",
    "twofactorcode",
    "accesscode",
    "logincode",
    "onetimecode",
    "pincode",
    "smscode",
    "verifycode",
    "authtok",
    "dbpass",
    "rootpw",
    "smtppass",
    "storepass",
    "keypass",
    "magiclink",
    "resetlink",
    "redisauth",
    "fernetkey",
    "licensekey",
    "openaikey",
    "sendgridkey",
    "storagekey",
    "stripekey",
    # as other languages say it
    "contrasena",
    "contraseña",
    "motdepasse",
    "kennwort",
    "wachtwoord",
)
"""Contained anywhere. Two words are joined, also over a nested object: `{"api": {"key": …}}`."""

WORDS: frozenset[str] = frozenset(
    {"ssn", "ssns", "pin", "pwd", "pwds", "pswd", "cvv", "cvc", "otp", "totp", "jwt", "bearer"} | {"psk", "senha"}
)
"""Whole words."""

LAST_WORDS: frozenset[str] = frozenset(
    {"pass", "pw", "credential", "credentials", "creds", "csrf", "xsrf"}
    | {"sshpass", "pgpass", "smbpass", "ftppass", "bindpw"}
)
"""Whole words, where they end the name."""

_TELLING: frozenset[str] = frozenset(
    {"age", "at", "attempt", "attempts", "count", "counts", "expiration", "expires", "expiry", "length", "policy"}
    | {"strength", "total", "ttl", "type"}
)
"""Last words of names that tell of a secret and are none: `password_attempts`, `token_expires_at`."""

_COUNTING: frozenset[str] = frozenset({"completion", "input", "max", "min", "num", "output", "prompt", "total", "used"})
"""First words of what counts `tokens` of a language."""

STATEMENTS: tuple[str, ...] = ("identifiedby",)
"""What precedes a secret in a statement and is no name."""

SHORT = 4
"""Letters up to which an added name is matched as whole words; longer ones are matched wherever they stand."""

PLAIN, SENSITIVE, SPECIAL = 0, 1, 2
"""Verdicts. `SPECIAL` names need a look at what stands around them: see `Names`."""

NAME_SLOTS: tuple[str, ...] = (
    *("name", "key", "header", "field", "param", "parameter", "variable", "id", "k"),
    *("column", "label", "parameterkey", "path", "property"),
)
"""Keys under which objects such as `{"name": "Authorization", "value": …}` say what their value is."""

VALUE_SLOTS: frozenset[str] = frozenset(
    {"value", "values", "val", "content", "v"}
    | {"default", "new", "new_value", "newvalue", "old", "old_value", "oldvalue", "parametervalue", "rejectedvalue"}
)
"""Keys under which such objects hold the value; both are compared without regard to case."""

LOCATION = "loc"
"""The key under which a validation error says which input it is about: `{"loc": ["password"], "input": …}`."""

LONG_KEY = 200
"""Characters from which a key is not remembered, and is searched for secrets before it can be shortened."""

_CACHE_MAX = 20_000
_OPENERS = frozenset(fragment.split()[0] for fragment in FRAGMENTS if " " in fragment)
_JOINED = tuple(fragment.replace(" ", "") for fragment in FRAGMENTS)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
_KEY_ID = re.compile(r"keyids?\Z")
_EXTRA = re.compile(r"[\w .-]{1,100}")


class _Verdicts(dict[str, int]):
    """Verdicts by name, computed when missing; bounded against distinct names made up by an attacker."""

    __slots__ = ("_names",)

    def __init__(self, names: "Names") -> None:
        super().__init__()
        self._names = names

    def __missing__(self, key: str) -> int:
        verdict = self._names.judge(key)
        if len(key) < LONG_KEY:
            if len(self) >= _CACHE_MAX:
                self.clear()
            self[key] = verdict
        return verdict


class Names:
    """The table with a user's additions, and `verdicts`: a mapping from every name to its verdict.

    A verdict is `SPECIAL` for a name that is not sensitive by itself but that cannot be passed over: it is a
    value slot or the location of an error, opens a fragment that a nested key may complete (`session`), is so
    long that it may be shortened later, or cannot be encoded as UTF-8.
    """

    __slots__ = ("_added", "_added_words", "_openers", "verdicts")

    def __init__(self, extra: Iterable[str] = ()) -> None:
        added = [_extra_name(name) for name in extra]
        self._added = tuple(name for name in added if len(name) > SHORT)
        self._added_words = frozenset(name for name in added if len(name) <= SHORT)
        self._openers = _OPENERS
        self.verdicts: dict[str, int] = _Verdicts(self)

    def is_sensitive(self, key: str) -> bool:
        """Return whether a value named `key` is a secret."""
        return self.verdicts[key] == SENSITIVE

    def stems(self) -> Stems:
        """Return what a text must hold to name a secret."""
        nested = (
            (first, rest.replace(" ", "")) for first, _, rest in (one.partition(" ") for one in FRAGMENTS) if rest
        )
        return Stems((*_JOINED, *self._added, *self._added_words, *STATEMENTS), (*WORDS, *LAST_WORDS), nested)

    def opens(self, key: str) -> bool:
        """Return whether a key nested under `key` may complete a fragment."""
        words = split_words(key)
        return bool(words) and words[-1] in self._openers

    def judge(self, key: str) -> int:
        """Return the verdict for `key`, without remembering it."""
        if self._matches(key):
            return SENSITIVE
        if len(key) >= LONG_KEY or key == LOCATION or key.casefold() in VALUE_SLOTS:
            return SPECIAL
        if self.opens(key) or not _encodable(key):
            return SPECIAL
        return PLAIN

    def _matches(self, key: str) -> bool:
        prefix, slash, last = key.rpartition("/")
        if slash and "." in prefix and last:
            key = last  # an annotation such as `authorization.k8s.io/decision`
        folded = unicodedata.normalize("NFKC", key).casefold()
        joined = _KEY_ID.sub("", _NOT_ALPHANUMERIC.sub("", folded))
        words = split_words(key)
        if any(name in joined for name in self._added):
            return True
        if self._added_words and not self._added_words.isdisjoint(_neighbours(words)):
            return True
        if words and (words[-1] in _TELLING or (words[-1] == "tokens" and words[0] in _COUNTING)):
            return False
        if any(fragment in joined for fragment in _JOINED):
            return True
        return bool(words) and (words[-1] in LAST_WORDS or not WORDS.isdisjoint(words))


def split_words(key: str) -> list[str]:
    """Return the words of `key`, case-folded: split at camelCase, at digits and at other characters."""
    return [word.casefold() for word in _WORD.findall(unicodedata.normalize("NFKC", key))]


def _neighbours(words: list[str]) -> set[str]:
    """Return each word, and up to `SHORT` neighbouring words joined."""
    return {"".join(words[at : at + count]) for at in range(len(words)) for count in range(1, SHORT + 1)}


def _extra_name(name: str) -> str:
    if not isinstance(name, str) or _EXTRA.fullmatch(name) is None:
        raise ConfigurationError(f"redacted key {str(name)[:40]!r}: use letters, digits, '_', '-', '.' or spaces")
    joined = _NOT_ALPHANUMERIC.sub("", unicodedata.normalize("NFKC", name).casefold())
    if not joined or joined.isdigit():
        raise ConfigurationError(f"redacted key {name[:40]!r} holds no letter: name the key whose value is a secret")
    return joined


def _encodable(key: str) -> bool:
    if key.isascii():
        return True
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
