"""Tokens, credentials and passwords in URLs, each known by its own shape.

Invariant: what looks like a token is decoded where it can be, to see whether it is one.
"""

import binascii
import json
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Iterator
from itertools import groupby
from urllib.parse import urlsplit

from pipeline.events.leaks.marks import NEAR, REDACTED

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
_OF_ONE_LENGTH = frozenset({"aws_access_key", "google_api_key"})
_TOKEN_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~+/=")


def _runs(text: str, characters: frozenset[str]) -> Iterator[tuple[int, str]]:
    at = 0
    for inside, group in groupby(text, characters.__contains__):
        run = "".join(group)
        if inside:
            yield at, run
        at += len(run)


def tokens_in(text: str) -> Iterator[tuple[int, str]]:
    """Yield where tokens, credentials and passwords in URLs stand."""
    before = ""
    for at, run in _runs(text, _TOKEN_CHARACTERS):
        for start, kind, length in _TOKEN_STARTS:
            where = run.find(start)
            begins = where >= 0 and (where == 0 or not run[where - 1].isalnum())
            if not begins:
                continue
            found = len(_alphanumeric(run[where + len(start) :])) + len(start)
            if found == length or (found > length and kind not in _OF_ONE_LENGTH):
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
        rest = text[scheme : scheme + NEAR].split(maxsplit=1)[0]
        for mark in "\"'<>`\\":
            rest = rest.partition(mark)[0]
        try:
            password = urlsplit("x" + rest).password
        except ValueError:
            password = None
        if password and password not in (REDACTED, "REDACTED") and REDACTED not in rest:
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
