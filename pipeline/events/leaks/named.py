"""Secrets in a text that are known by the name before them."""

from collections.abc import Iterator

from pipeline.events.leaks.marks import LEFT_OUT, NEAR, REDACTED
from pipeline.events.leaks.names import NAME_CHARACTERS, NAME_MAX, is_secret_name

_BARE_MIN = 4


def named_values(text: str) -> Iterator[int]:
    """Yield where the values of named secrets stand: behind `=` or `:`, in an element, or behind an option."""
    for mark in range(len(text)):
        if text[mark] in "=:":
            name = _name_before(text, mark)
            if name and is_secret_name(name) and not (name.lower() == "secretsmanager" and text[mark] == ":"):
                at = mark + 1
                while at < len(text) and text[at] in " \t>=":
                    at += 1
                if _is_secret_value(text, at, assigned=text[mark] == "=" and at == mark + 1, header=_is_header(name)):
                    yield at
        elif text[mark] == ">" and text[mark + 1 : mark + 2] not in ("", " ", "<", "[", "\n"):
            opening = text.rfind("<", max(0, mark - NEAR), mark)
            words = text[opening + 1 : mark].split(maxsplit=1) if opening >= 0 else []
            if (
                words
                and is_secret_name(words[0].rpartition(":")[2][:NAME_MAX])
                and text.find("</", mark, mark + NEAR) > 0
            ):
                yield mark + 1
        elif text[mark] == "-" and text[mark - 1 : mark] in ("", " ") and not text.startswith("- ", mark):
            option, gap, value = text[mark : mark + 200].partition(" ")
            if gap and "=" not in option and is_secret_name(option) and _looks_random(_word(value)):
                yield mark + len(option) + 1


def _name_before(text: str, end: int) -> str:
    """Return the name that ends before `end`, apart from what closes a quotation or a bracket."""
    first = max(0, end - 2 * NAME_MAX)
    before = text[first:end].rstrip(" \t\"'\\]`:")
    start = len(before)
    while start > 0 and before[start - 1] in NAME_CHARACTERS:
        start -= 1
    if before[start:].lower() in ("key", "card", "id", "number") and before[:start].endswith(" "):
        first_word = before.rfind(" ", 0, start - 1) + 1
        if before[first_word : start - 1].lower() not in ("password", "passwd"):
            start = first_word
    if before[max(0, start - 1) : start] == "%":
        start += 2
    return before[start:]


def _is_header(name: str) -> bool:
    return name.lower().endswith(("authorization", "cookie"))


def _is_secret_value(text: str, at: int, *, assigned: bool, header: bool) -> bool:
    """Return whether a secret stands at `at`; `assigned` when it follows a `=` at once."""
    window = text[at : at + 200]
    value = window.lstrip("\"'\\`")
    if not value or value.startswith(tuple(LEFT_OUT)) or window.startswith(("//", "::")):
        return False
    if header:
        return any(_looks_random(_word(part)) for part in value.split(maxsplit=2)[:2]) and REDACTED not in value
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
