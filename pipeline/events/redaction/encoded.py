"""Names and values that are percent-encoded where they need not be, in request lines and URLs: `api%5Fkey=…`.

A server decodes both before it looks at them, twice where a proxy or an application does so again. Invariants: what is
replaced is a whole value, as it stands; the work is linear in the text's length, for names and values are bounded.
"""

import re
from collections.abc import Callable
from urllib.parse import unquote, unquote_to_bytes

_TIMES = 2
_PAIR = re.compile(r"(?<![\w.\-$%\[\]])((?:[\w.\-$\[\]]|%[0-9A-Fa-f]{2}){1,200}+)=([^\s&\"'<>`\\]{1,4000}+)", re.ASCII)


def decoded(text: str) -> str:
    """Return `text` decoded as often as servers do."""
    for _ in range(_TIMES):
        if "%" not in text:
            break
        text = unquote(text, errors="replace")
    return text


def decoded_bytes(string: bytes) -> bytes:
    """Return `string` decoded as often as servers do."""
    for _ in range(_TIMES):
        string = unquote_to_bytes(string)
    return string


def redact_encoded(text: str, marker: str, is_sensitive: Callable[[str], bool], redact: Callable[[str], str]) -> str:
    """Return `text` with the values of encoded names replaced, and doubly encoded values that `redact` would change."""
    parts: list[str] = []
    done = 0
    for found in _PAIR.finditer(text):
        name, value = found.groups()
        hidden = "%" in name and is_sensitive(decoded(name))
        if not hidden and "%25" in value:
            plain = decoded(value)
            hidden = "%25" not in plain and redact(plain) != plain
        if hidden and value != marker:
            parts += (text[done : found.start(2)], marker)
            done = found.end()
    return "".join(parts) + text[done:] if parts else text
