"""Where a value ends in free text, given where it begins.

Invariants: what is not closed ends with the text, so that nothing unredacted remains; every search moves
forward only, and look-aheads are bounded, so the work is linear in what is passed over.
"""

import re

QUOTE = re.compile(r"(?:[bBuUrR]{1,2}(?=\\*[\"'`])|string\([0-9]{1,9}\)\s{0,4})?(\\*+[\"'`]|&quot;|&\#34;|%22)")
"""The opening quote of a value, escaped or encoded, after the prefix that some languages print before it."""

_NEXT_NAME = r"[\w.\-\[\]%]{1,64}"
_LINE_END = rf"[nrt](?:\s|\Z|\\|{_NEXT_NAME}[=:])"


def _bare(separator: str) -> re.Pattern[str]:
    """Return the pattern of a value without quotes, which `separator`, behind a percent sign, ends."""
    return re.compile(
        r"(?:[^\s,;&|<>()\[\]{}\"'`\\%]++"
        rf"|[,;](?!\s|\Z|\\*[\"'`{{\[]|{_NEXT_NAME}[=:])"
        rf"|&(?!\s|\Z|(?:amp;)?{_NEXT_NAME}=|quot;|\#)"
        rf"|\|(?!\s|\Z|{_NEXT_NAME}[=:])"
        r"|<(?!/[A-Za-z]|!|[A-Za-z]{1,20}\s{0,2}/?>)"
        r"|[(\[{]"
        r"|[)\]}>](?!\s|\Z|[,;:.&)\]}>\"'`]|\\+[\"'`nrt])"
        r"|[\"'`](?!\s|\Z|[,;:&)\]}>])"
        rf"|\\++(?![\"'`]|{_LINE_END})"
        rf"|(?:\\(?=\\))++(?=\\{_LINE_END})"
        rf"|%(?!{separator}|0[aAdD])"
        r")++"
    )


_BARE = _bare(r"(?:26|3[bB])[\w.\-]{1,64}(?:=|%3[dD])")
_BARE_ENCODED = _bare("26|3[bB]")
"""A value without quotes: up to a space, and up to a separator or closing mark behind which the text goes on."""

_OUTER_END = re.compile(r"\s*+[,}\])](?:\s*+(?:\\*+[\"'{}\[\]]|\Z))")
_AFTER_STRING = re.compile(r"[\s,}\])&;:>]|\Z")
_CALL = re.compile(r"&?(?:new )?(?:\[\])?[\w.*]{0,80}[({](?=\s{0,4}(?:b?\\*+[\"'`]|\[\]|[\w.]{1,80}[({]))")
_IN_CALL = re.compile(r"(?<!\\)\\*+[\"'`]|[{}\[\]()]")
_STRUCTURE = re.compile(r"(?<!\\)\\*+[\"'`]|[{}\[\]]")


def bare_end(text: str, at: int, *, encoded: bool = False) -> int:
    """Return where the unquoted value that begins at `at` ends; `at` where there is none.

    `encoded` says that the mark before it was percent-encoded: then so is what separates it from the next.
    """
    found = (_BARE_ENCODED if encoded else _BARE).match(text, at)
    return at if found is None else found.end()


def string_end(text: str, at: int, opener: str) -> int:
    r"""Return the end of the quoted value whose content begins at `at`, before its closing quote.

    `opener` is the opening quote with the backslashes before it. In JSON within JSON a string opened by a
    quote with 2^k - 1 backslashes is closed by one with an odd multiple of 2^k, less one; a quote with fewer
    backslashes closes a string around it.
    """
    if opener[-1] == ";" or opener == "%22":
        end = text.find(opener, at)
        return len(text) if end < 0 else end
    escapes, quote = len(opener) - 1, opener[-1]
    unit = escapes + 1
    end = text.find(quote, at)
    while end >= 0:
        first = end
        while first > at and text[first - 1] == "\\":
            first -= 1
        run = end - first
        if (run + 1) % (2 * unit) == unit:
            if escapes or end == at or text[end + 1 : end + 2] != quote:
                return end - escapes
            end += 1  # a doubled quote, as in CSV and SQL, stands for itself
        elif run < escapes and _AFTER_STRING.match(text, end + 1):
            return first
        end = text.find(quote, end + 1)
    return len(text)


def structure_end(text: str, at: int, opener: str) -> int:
    """Return the end of the object or list that begins at `at`, behind its closing bracket.

    `opener` is the quote of the name before it, or empty: where it is a double quote, only those open strings.
    """
    return _closing(text, at, 0, _STRUCTURE, only_double=opener.endswith('"'))


def call_end(text: str, at: int) -> int:
    """Return the end of the value at `at` that is told as code, `[]string{"…"}` or `Secret('…')`; `at` for others."""
    found = _CALL.match(text, at)
    if found is None or found[0] == "{":
        return at
    return _closing(text, found.end(), 1, _IN_CALL, only_double=False)


def _closing(text: str, at: int, depth: int, marks: re.Pattern[str], *, only_double: bool) -> int:
    """Return what lies behind the bracket that closes the `depth` that are open at `at`; strings are passed over."""
    while (found := marks.search(text, at)) is not None:
        mark = found[0]
        at = found.end()
        if mark in "{[(":
            depth += 1
        elif mark in "}])":
            depth -= 1
            if depth == 0:
                return at
        elif not only_double or mark[-1] == '"':
            at = string_end(text, at, mark) + len(mark)
    return len(text)


def closes_an_outer_string(text: str, at: int) -> bool:
    """Return whether the quote that ends at `at` closes the string in which an unquoted name stands."""
    return _OUTER_END.match(text, at) is not None
