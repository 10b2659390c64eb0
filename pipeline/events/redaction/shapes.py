"""Secrets that are known by their own shape, wherever in a text they stand.

Private key blocks (RFC 7468 and OpenPGP, also cut off before their end), JSON Web Tokens (RFC 7515, 7516),
`Bearer` (RFC 6750) and `Basic` (RFC 7617) credentials, passwords in the user information of a URL, and the
prefixed keys of AWS, Google, Azure, GitHub, GitLab, Slack, Stripe and of the language-model services.

Invariants: what surrounds a secret stays; the work is linear in the length of the text: every search moves
past what it has looked at, and what is looked at again is bounded by a constant.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Callable

_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))"
"""Where a secret begins: behind no letter or digit but that of an escape, as in JSON that is cut off."""

_AUTHORITY_MAX = 512
_LONE_MIN = 16
_NO_PASSWORDS = frozenset({"x-oauth-basic", "x-oauth-token"})
"""What stands for a password where the user's name is the secret."""

_BASIC_MIN = 8
_BEARER_LONG = 20

_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")

_JWT_RUN = re.compile(r"[\w-]++", re.ASCII)
_JWT_REST = re.compile(r"(?:\.[\w-]*+){1,4}", re.ASCII)
_JWT_PART_MIN = 8

_BEARER = re.compile(_START + r"((?:[Bb]earer|BEARER)(?:[ \t]|%20|\+)++)([\w\-.~+/%]++=*)", re.ASCII)
_BASIC = re.compile(_START + r"((?:[Bb]asic|BASIC)(?:[ \t]|%20|\+)++)([\w\-+/]++=*)", re.ASCII)
_MIXED = re.compile(r"[0-9]|[a-z][A-Z]")

_AUTHORITY = re.compile(r"[^\s\"'<>`\\]++")
_PORT = re.compile(r"[0-9]{0,5}(?:[/?#]|\Z)")

_PREFIXED: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (literal, re.compile(pattern, re.ASCII))
    for literal, pattern in (
        ("A", _START + r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
        ("AIza", r"AIza[\w-]{35}"),
        ("ya29.", r"ya29\.[\w-]{16,}+"),
        ("GOCSPX-", r"GOCSPX-[\w-]{20,}+"),
        ("Q~", r"(?:(?<![\w~.-])|(?<=\\[nrt]))[\w~.-]{3}[0-9]Q~[\w~.-]{31,34}(?![\w~.-])"),
        ("_", _START + r"gh[opsru]_[A-Za-z0-9]{20,}+"),
        ("github_pat_", r"github_pat_\w{20,}+"),
        ("glpat-", r"glpat-[\w-]{16,}+"),
        ("xox", r"xox[a-z]-[A-Za-z0-9-]{10,}+"),
        ("xapp-", r"xapp-[A-Za-z0-9-]{10,}+"),
        ("hooks.slack.com/", r"(?<=s://hooks\.slack\.com/)(?:services|workflows|triggers)/[\w/-]{8,}+"),
        ("k_", _START + r"[prs]k_(?:live|test)_[A-Za-z0-9]{8,}+"),
        ("whsec_", r"whsec_[A-Za-z0-9+/=]{16,}+"),
        ("SG.", _START + r"SG\.[\w-]{16,}+\.[\w-]{16,}+"),
        ("npm_", _START + r"npm_[A-Za-z0-9]{30,}+"),
        ("pypi-", _START + r"pypi-[\w-]{16,}+"),
        ("hf_", _START + r"hf_[A-Za-z0-9]{30,}+"),
        ("hvs.", _START + r"hvs\.[\w-]{20,}+"),
        ("shp", _START + r"shp[a-z]{2}_[a-fA-F0-9]{32}(?![A-Za-z0-9])"),
        (":AA", r"(?:(?<![0-9A-Za-z])|(?<=bot))[0-9]{8,10}:AA[\w-]{33}(?![\w-])"),
        ("sig=", r"(?<=[?&;]sig=)[\w%+/=\-]{20,}+"),
        ("sk-", _START + r"sk-(?=[\w-]{0,40}[0-9A-Z])[\w-]{20,}+"),
    )
)


def redact_key_blocks(text: str, marker: str) -> str:
    """Return `text` with private key blocks replaced; one without an end is replaced through the end."""
    if "-----BEGIN" not in text:
        return text
    parts: list[str] = []
    at = 0
    while (begin := _PEM_BEGIN.search(text, at)) is not None:
        end = _PEM_END.search(text, begin.end())
        parts += (text[at : begin.start()], marker)
        at = len(text) if end is None else end.end()
    parts.append(text[at:])
    return "".join(parts)


def redact_shapes(text: str, marker: str) -> str:
    """Return `text` with tokens, credentials and prefixed keys replaced."""
    if "eyJ" in text:
        text = _redact_jwts(text, marker)
    for literal, pattern in _PREFIXED:
        if literal in text:
            text = pattern.sub(marker, text)
    if "earer" in text or "EARER" in text:
        text = _BEARER.sub(_credential(_is_token, marker), text)
    if "asic" in text or "ASIC" in text:
        text = _BASIC.sub(_credential(_is_basic, marker), text)
    return text


def redact_userinfo(text: str, marker: str) -> str:
    """Return `text` with the passwords of URLs replaced: `scheme://user:password@host`.

    A password with characters that should have been encoded is found where what follows the colon is no port.
    """
    at = text.find("://")
    if at < 0 or "@" not in text:
        return text
    parts: list[str] = []
    done = 0
    while at >= 0:
        start = at + 3
        found = _AUTHORITY.match(text, start, start + _AUTHORITY_MAX)
        span = None if found is None else _password(found[0])
        if span is not None and text[start + span[0] : start + span[1]] != marker:
            parts += (text[done : start + span[0]], marker)
            done = start + span[1]
        at = text.find("://", max(start, done))
    parts.append(text[done:])
    return "".join(parts)


def _password(authority: str) -> tuple[int, int] | None:
    """Return where the password stands in what follows the `://` of a URL."""
    colon = authority.find(":")
    if colon < 0:
        return _lone(authority)
    path = min((at for at in (authority.find(mark) for mark in "/?#") if at >= 0), default=len(authority))
    end = authority.rfind("@", 0, path)
    if end < 0 and not _PORT.match(authority, colon + 1) and "/" not in authority[:colon]:
        end = authority.rfind("@", colon)
    if colon + 1 < end and authority[colon + 1 : end] in _NO_PASSWORDS and _looks_random(authority[:colon]):
        return 0, colon
    return (colon + 1, end) if colon + 1 < end else None


def _lone(authority: str) -> tuple[int, int] | None:
    """Return where a token stands that is given as the user, without a password, such as to a git server."""
    end = authority.find("@")
    alone = end > 0 and not any(mark in authority[:end] for mark in "/?#")
    return (0, end) if alone and _looks_random(authority[:end]) else None


def _looks_random(word: str) -> bool:
    return len(word) >= _LONE_MIN and any(c.isdigit() for c in word) and any(c.isalpha() for c in word)


def _redact_jwts(text: str, marker: str) -> str:
    parts: list[str] = []
    done = 0
    at = text.find("eyJ")
    while at >= 0:
        head = _JWT_RUN.match(text, at)
        stop = at + 3 if head is None else head.end()
        rest = _JWT_REST.match(text, stop)
        if rest is not None and stop - at >= _JWT_PART_MIN and len(rest[0]) > _JWT_PART_MIN:
            parts += (text[done:at], marker)
            done = stop = rest.end()
        at = text.find("eyJ", stop)
    parts.append(text[done:])
    return "".join(parts)


def _credential(is_secret: Callable[[str], bool], marker: str) -> Callable[[re.Match[str]], str]:
    return lambda found: found[1] + marker if is_secret(found[2]) else found[0]


def _is_token(word: str) -> bool:
    """Tell a token from the next word of a sentence such as `bearer authentication failed`."""
    return len(word) >= _BEARER_LONG or (len(word) > SHORT_TOKEN and _MIXED.search(word) is not None)


def _is_basic(word: str) -> bool:
    """Return whether `word` is base64, perhaps cut off, of `user:password`."""
    if len(word) < _BASIC_MIN:
        return False
    usable = word.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        plain = b64decode(usable[: len(usable) // 4 * 4] if len(usable) % 4 == 1 else usable + "=" * (-len(usable) % 4))
    except (binascii.Error, ValueError):
        return False
    return b":" in plain


SIGNATURE = b"sig="
"""What stands before the signature of a shared access in a URL, which lets in whoever has it."""

SHORT_TOKEN = 4
