"""The second opinion: finds secrets in what was encoded, without any of the redactor's code or patterns.

Invariants: nothing is imported from `redaction`, and no pattern language is used: texts are taken apart
character by character, tokens are decoded to see whether they are what they look like, and the names of
secrets are listed here again. A `Leak` never holds the secret or any part of it, nor a key that could be one.
Meant for samples: it is thorough, not fast. It reports less than the redactor redacts where only wording
tells the two apart, so that an alarm is worth a person's attention.
"""

import binascii
import json
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import urlsplit

_REDACTED = "[REDACTED]"
_LEFT_OUT = frozenset({_REDACTED, "[TRUNCATED]", "[CYCLE]"})

_ANYWHERE = (
    *("password", "passwd", "passphrase", "passcode", "secret", "token", "creditcard", "cardnumber", "apikey"),
    *("authorization", "cookie", "privatekey", "sessionid", "accesskey", "signingkey", "encryptionkey"),
)
_AS_A_WORD = frozenset({"ssn", "pin", "pwd", "cvv", "cvc", "otp", "jwt"})
_NESTING_MAX = 6
_DEPTH_MAX = 64
_PATH_MAX = 200
_NAME_MAX = 64
_BARE_MIN = 4
_TOKEN_MIN, _NUMBER_MIN = 14, 11
_NEAR = 500
"""Characters around a mark that are looked at, so that a hostile text costs no more than its length."""

_TOKEN_STARTS: tuple[tuple[str, str, int], ...] = (
    ("AKIA", "aws_access_key", 20),
    ("ASIA", "aws_access_key", 20),
    ("AIza", "google_api_key", 39),
    ("ghp_", "github_token", 24),
    ("gho_", "github_token", 24),
    ("ghu_", "github_token", 24),
    ("ghs_", "github_token", 24),
    ("ghr_", "github_token", 24),
    ("github_pat_", "github_token", 31),
    ("xoxb-", "slack_token", 15),
    ("xoxp-", "slack_token", 15),
    ("xoxa-", "slack_token", 15),
    ("xoxs-", "slack_token", 15),
    ("sk_live_", "stripe_key", 16),
    ("rk_live_", "stripe_key", 16),
    ("sk_test_", "stripe_key", 16),
    ("rk_test_", "stripe_key", 16),
    ("whsec_", "stripe_key", 22),
)
_TOKEN_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~+/=")
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
_GAPS = frozenset(" -")


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret that got through: what `kind` it is, the `path` of its value, the `offset` in it in characters."""

    kind: str
    path: str
    offset: int


def find_leaks(encoded: bytes) -> tuple[Leak, ...]:
    """Return the leaks in `encoded`: JSON documents, one a line, or lines of text."""
    found: list[Leak] = []
    for line in encoded.split(b"\n"):
        if line.strip():
            found.extend(_in_line(line.decode("utf-8", "replace")))
    return tuple(dict.fromkeys(found))


def _in_line(line: str) -> Iterator[Leak]:
    tree = _parsed(line)
    if tree is None:
        yield from _in_text(line, "")
    else:
        yield from _in_tree(tree, "", 0, 0)


def _parsed(text: str) -> object:
    """Return the object or list that `text` is in JSON, or None. Pairs stay pairs: no key hides another."""
    try:
        tree: object = json.loads(text, object_pairs_hook=_Members)
    except (ValueError, RecursionError):
        return None
    return tree if isinstance(tree, list) else None


class _Members(list[tuple[str, object]]):
    """The members of a JSON object, in order."""


def _in_tree(tree: object, path: str, depth: int, nesting: int) -> Iterator[Leak]:
    if depth > _DEPTH_MAX:
        return
    if isinstance(tree, _Members):
        yield from _in_members(tree, path, depth, nesting)
    elif isinstance(tree, list):
        yield from _in_list(tree, path, depth, nesting)
    elif isinstance(tree, str):
        yield from _in_string(tree, path, nesting)
    elif isinstance(tree, int) and not isinstance(tree, bool) and _is_card(str(tree)):
        yield Leak("card_number", path, 0)


def _in_members(members: _Members, path: str, depth: int, nesting: int) -> Iterator[Leak]:
    label = next((value for key, value in members if key.lower() in ("name", "key", "header")), None)
    labelled = isinstance(label, str) and is_secret_name(label)
    for key, value in members:
        place = f"{path}.{_shown(key)}" if path else _shown(key)
        place = place[-_PATH_MAX:]
        hidden = isinstance(value, str) and value in _LEFT_OUT
        if (is_secret_name(key) or (labelled and key.lower() == "value")) and not hidden:
            yield Leak("named_secret", place, 0)
            continue
        yield from _in_text(key, place)
        yield from _in_tree(value, place, depth + 1, nesting)


def _in_list(items: list[object], path: str, depth: int, nesting: int) -> Iterator[Leak]:
    for at, item in enumerate(items):
        place = f"{path}[{at}]"[-_PATH_MAX:]
        if isinstance(item, list) and not isinstance(item, _Members) and len(item) == 2:
            name, value = item
            if isinstance(name, str) and is_secret_name(name) and isinstance(value, str) and value not in _LEFT_OUT:
                yield Leak("named_secret", place, 0)
                continue
        yield from _in_tree(item, place, depth + 1, nesting)


def _in_string(text: str, path: str, nesting: int) -> Iterator[Leak]:
    tree = _parsed(text) if text[:1] in ("{", "[") and nesting < _NESTING_MAX else None
    if tree is None:
        yield from _in_text(text, path)
    else:
        yield from _in_tree(tree, path, 0, nesting + 1)


def _shown(key: str) -> str:
    """Return a key for a path; one that is no plain name might itself hold a secret and is not shown."""
    plain = len(key) <= _NAME_MAX and all(character in _NAME_CHARACTERS for character in key)
    return key if plain and not any(_tokens_in(key)) and not any(True for _ in _numbers(key)) else "?"


def is_secret_name(name: str) -> bool:
    """Return whether a value named `name` is a secret."""
    letters = "".join(character for character in name.lower() if character.isalnum())
    if letters.endswith(("keyid", "keyids")):
        letters = letters.rpartition("key")[0]
    return any(part in letters for part in _ANYWHERE) or any(word in _AS_A_WORD for word in _words(name))


def _words(name: str) -> Iterator[str]:
    """Yield the words of a name in lower case: a change from lower to upper case begins one."""
    word = ""
    for at, character in enumerate(name):
        upper = character.isupper()
        after_lower = at > 0 and name[at - 1].islower()
        ends_capitals = at > 0 and name[at - 1].isupper() and name[at + 1 : at + 2].islower()
        if not character.isalpha() or (upper and (after_lower or ends_capitals)):
            if word:
                yield word
            word = ""
        if character.isalpha():
            word += character.lower()
    if word:
        yield word


def _in_text(text: str, path: str) -> Iterator[Leak]:
    if len(text) >= _TOKEN_MIN:
        for at, kind in _tokens_in(text):
            yield Leak(kind, path, at)
    if len(text) >= _NUMBER_MIN:
        for at, kind in _numbers(text):
            yield Leak(kind, path, at)
    begin = text.find("-----BEGIN ")
    if begin >= 0 and "PRIVATE KEY" in text[begin : begin + 60]:
        yield Leak("private_key", path, begin)
    if "=" in text or ":" in text or ">" in text or "-" in text:
        for at in _named_values(text):
            yield Leak("named_secret", path, at)


def _runs(text: str, characters: frozenset[str]) -> Iterator[tuple[int, str]]:
    at = 0
    for inside, group in groupby(text, characters.__contains__):
        run = "".join(group)
        if inside:
            yield at, run
        at += len(run)


def _tokens_in(text: str) -> Iterator[tuple[int, str]]:
    """Yield where tokens, credentials and passwords in URLs stand."""
    before = ""
    for at, run in _runs(text, _TOKEN_CHARACTERS):
        for start, kind, length in _TOKEN_STARTS:
            where = run.find(start)
            begins = where >= 0 and (where == 0 or not run[where - 1].isalnum())
            if begins and len(_alphanumeric(run[where + len(start) :])) + len(start) >= length:
                yield at + where, kind
        if _is_jwt(run):
            yield at, "jwt"
        if before == "basic" and _is_basic(run):
            yield at, "basic_credentials"
        if before == "bearer" and len(run) >= 8 and any(map(str.isdigit, run)) and any(map(str.isalpha, run)):
            yield at, "bearer_token"
        before = run.lower()
    scheme = text.find("://")
    while scheme >= 0:
        rest = text[scheme : scheme + _NEAR].split(maxsplit=1)[0]
        for mark in "\"'<>`\\":
            rest = rest.partition(mark)[0]
        try:
            password = urlsplit("x" + rest).password
        except ValueError:
            password = None
        if password and password not in (_REDACTED, "REDACTED") and _REDACTED not in rest:
            yield scheme, "url_password"
        scheme = text.find("://", scheme + 3)


def _alphanumeric(text: str) -> str:
    """Return the beginning of `text` up to the first character that no key has."""
    end = next((at for at, character in enumerate(text) if not (character.isalnum() or character in "-_")), len(text))
    return text[:end]


def _is_jwt(run: str) -> bool:
    start = run.find("eyJ")
    head, dot, rest = run[max(start, 0) :].partition(".")
    if start < 0 or not dot or len(rest) < 8:
        return False
    try:
        header = json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict) and not {"alg", "typ", "enc", "kid"}.isdisjoint(header)


def _is_basic(run: str) -> bool:
    bare = run.rstrip("=")
    try:
        plain = b64decode(bare + "=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        return False
    return len(bare) >= 8 and b":" in plain


def _numbers(text: str) -> Iterator[tuple[int, str]]:
    """Yield where card and social security numbers stand: groups of digits with single gaps between them."""
    groups: list[tuple[int, str]] = []
    at = 0
    for digit, group in groupby(text, lambda character: "0" <= character <= "9"):
        run = "".join(group)
        if digit:
            groups.append((at, run))
        elif run not in _GAPS:
            yield from _in_groups(text, groups)
            groups = []
        at += len(run)
    yield from _in_groups(text, groups)


def _in_groups(text: str, groups: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    if not groups:
        return
    start, end = groups[0][0], groups[-1][0] + len(groups[-1][1])
    outside = text[max(0, start - 1) : start] + text[end : end + 1]
    if any(character.isalnum() or character in "-_." for character in outside):
        return
    digits = "".join(run for _, run in groups)
    lengths = [len(run) for _, run in groups]
    if lengths == [3, 2, 4] and text[start + 3] == "-" and text[start + 6] == "-":
        area = int(digits[:3])
        if area not in (0, 666) and area < 900 and digits[3:5] != "00" and digits[5:] != "0000":
            yield start, "social_security_number"
    if (len(groups) == 1 or min(lengths[:-1]) >= 3) and _is_card(digits):
        yield start, "card_number"


def _is_card(digits: str) -> bool:
    """Return whether `digits` are a Visa, Mastercard, American Express, Discover, Diners or JCB number."""
    length, first = len(digits), digits[:4]
    known = (
        (digits[:1] == "4" and length in (13, 16, 19))
        or (length == 16 and ("51" <= first[:2] <= "55" or "2221" <= first <= "2720"))
        or (length == 15 and first[:2] in ("34", "37"))
        or (length == 16 and (first == "6011" or first[:2] == "65" or "3528" <= first <= "3589"))
        or (length == 14 and (first[:2] in ("36", "38") or "300" <= first[:3] <= "305"))
    )
    if not known:
        return False
    total = 0
    double = False
    for digit in digits[::-1]:
        total += sum(divmod(int(digit) * 2, 10)) if double else int(digit)
        double = not double
    return total % 10 == 0


def _named_values(text: str) -> Iterator[int]:
    """Yield where the values of named secrets stand: behind `=` or `:`, in an element, or behind an option."""
    for mark in range(len(text)):
        if text[mark] in "=:":
            name = _name_before(text, mark)
            if name and is_secret_name(name):
                at = mark + 1
                while at < len(text) and text[at] in " \t>=":
                    at += 1
                if _is_secret_value(text, at, assigned=text[mark] == "=" and at == mark + 1, header=_is_header(name)):
                    yield at
        elif text[mark] == ">" and text[mark + 1 : mark + 2] not in ("", " ", "<", "[", "\n"):
            words = text[max(0, text.rfind("<", max(0, mark - _NEAR), mark)) + 1 : mark].split()
            if words and is_secret_name(words[0].rpartition(":")[2]) and text.find("</", mark, mark + _NEAR) > 0:
                yield mark + 1
        elif text[mark] == "-" and text[mark - 1 : mark] in ("", " ") and not text.startswith("- ", mark):
            option, gap, value = text[mark : mark + 200].partition(" ")
            if gap and "=" not in option and is_secret_name(option) and _looks_random(_word(value)):
                yield mark + len(option) + 1


def _name_before(text: str, end: int) -> str:
    """Return the name that ends before `end`, apart from what closes a quotation or a bracket."""
    first = max(0, end - 2 * _NAME_MAX)
    before = text[first:end].rstrip(" \t\"'\\]`:")
    start = len(before)
    while start > 0 and before[start - 1] in _NAME_CHARACTERS:
        start -= 1
    if before[start:].lower() in ("key", "card", "id", "number") and before[:start].endswith(" "):
        start = before.rfind(" ", 0, start - 1) + 1
    if before[max(0, start - 1) : start] == "%":
        start += 2
    return before[start:]


def _is_header(name: str) -> bool:
    return name.lower().endswith(("authorization", "cookie"))


def _is_secret_value(text: str, at: int, *, assigned: bool, header: bool) -> bool:
    """Return whether a secret stands at `at`; `assigned` when it follows a `=` at once."""
    window = text[at : at + 200]
    value = window.lstrip("\"'\\`")
    if not value or value.startswith(tuple(_LEFT_OUT)) or window.startswith(("//", "::")):
        return False
    if header:
        return any(_looks_random(_word(part)) for part in value.split(maxsplit=2)[:2]) and _REDACTED not in value
    word = _word(value)
    if len(word) < _BARE_MIN or word.startswith(("/", "~")) or "=" in word.rstrip("="):
        return False
    if assigned or len(value) < len(window):
        return word.lower() not in ("null", "none", "true", "false", "undefined")
    return _looks_random(word)


def _word(text: str) -> str:
    """Return `text` up to the first character that ends a word."""
    end = next((at for at, character in enumerate(text) if character.isspace() or character in "\"'\\&;,<>(){}[]"), -1)
    return text if end < 0 else text[:end]


def _looks_random(word: str) -> bool:
    return len(word) >= _BARE_MIN and any(map(str.isdigit, word)) and any(map(str.isalpha, word))
