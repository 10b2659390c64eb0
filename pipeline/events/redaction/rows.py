"""Rows of a database in its errors: PostgreSQL's details, and the parameters of a statement that failed.

They give values without their names, or the names all before the values. Invariants: a row is replaced whole where
one of its columns is named like a secret, or where it has no names at all; the work is linear in the text's length.
"""

import re
from collections.abc import Callable

_KEY = re.compile(r"Key \(([^()\n]{1,1000})\)=(?=\()")
_KEY_END = re.compile(r"\)(?= (?:already exists|is not present|is still referenced|conflicts with)|\.?(?:\\n|\n|\Z))")
_ROW = re.compile(r"(Failing row contains \()|(parameters: )(?=\$1 = )|(\[parameters: )")
_ROW_ENDS = (re.compile(r"\)\.?(?=\\n|\n|\Z|\")"), re.compile(r"(?=\\n|\n|\Z)"), re.compile(r"\](?=\\n|\n|\Z|\s)"))
_WORD = re.compile(r"\w{2,64}")

ROW, PARAMETERS = b"row contains (", b"parameters: "
"""What stands before a row without names."""


def redact_rows(text: str, marker: str, is_sensitive: Callable[[str], bool]) -> str:
    """Return `text` with rows replaced that may hold a secret."""
    if "Key (" in text:
        text = _keys(text, marker, is_sensitive)
    if "row contains (" in text or "parameters: " in text:
        text = _rows(text, marker, is_sensitive)
    return text


def _keys(text: str, marker: str, is_sensitive: Callable[[str], bool]) -> str:
    parts: list[str] = []
    done = 0
    for found in _KEY.finditer(text):
        if found.start() < done or not any(is_sensitive(name) for name in _WORD.findall(found[1])):
            continue
        end = _KEY_END.search(text, found.end())
        parts += (text[done : found.end()], marker)
        done = len(text) if end is None else end.end()
    return "".join(parts) + text[done:] if parts else text


def _rows(text: str, marker: str, is_sensitive: Callable[[str], bool]) -> str:
    parts: list[str] = []
    done = looked = 0
    spoken = False  # whether a secret is named before, as in the statement whose parameters follow
    for found in _ROW.finditer(text):
        if found.start() < done:
            continue
        if found.lastindex == 3:
            spoken = spoken or any(map(is_sensitive, _WORD.findall(text, looked, found.start())))
            looked = found.start()
            if not spoken:
                continue
        end = _ROW_ENDS[(found.lastindex or 1) - 1].search(text, found.end())
        parts += (text[done : found.end()], marker)
        done = len(text) if end is None else end.start()
    return "".join(parts) + text[done:] if parts else text
