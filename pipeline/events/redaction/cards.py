"""Payment card numbers and US social security numbers in text.

A card number has 13 to 19 digits, a correct check digit (Luhn, ISO/IEC 7812-1 annex B) and begins with a
range that an issuer of that length uses; its digits may be grouped as people group them, by single spaces,
dashes or plus signs.
A social security number has an area other than 000, 666 and 900-999, a group other than 00 and a serial
other than 0000 (SSA, randomised since 2011); without dashes it counts only after a word that says so.

Invariants: digits that are part of a longer number, of a word, of a decimal fraction, of a UUID or, where they
are many, of a name are left alone; the work is linear in the length of the text.
"""

import re
from collections.abc import Iterator

MIN_DIGITS, MAX_DIGITS = 13, 19

_Lengths = range | frozenset[int]
_SIXTEEN = frozenset({16})
_SIXTEEN_UP = range(16, 20)
_ISSUERS: tuple[tuple[str, str, _Lengths], ...] = (
    ("4", "4", frozenset({13, 16, 19})),  # Visa
    ("51", "55", _SIXTEEN),  # Mastercard
    ("2221", "2720", _SIXTEEN),  # Mastercard
    ("34", "34", frozenset({15})),  # American Express
    ("37", "37", frozenset({15})),  # American Express
    ("6011", "6011", _SIXTEEN_UP),  # Discover
    ("644", "649", _SIXTEEN_UP),  # Discover
    ("65", "65", _SIXTEEN_UP),  # Discover, RuPay
    ("60", "60", _SIXTEEN),  # RuPay
    ("508", "508", _SIXTEEN),  # RuPay
    ("62", "62", _SIXTEEN_UP),  # UnionPay
    ("300", "305", range(14, 20)),  # Diners Club
    ("3095", "3095", range(14, 20)),  # Diners Club
    ("36", "36", range(14, 20)),  # Diners Club
    ("38", "39", range(14, 20)),  # Diners Club
    ("3528", "3589", _SIXTEEN_UP),  # JCB
    ("5018", "5018", range(13, 20)),  # Maestro
    ("5020", "5020", range(13, 20)),  # Maestro
    ("5038", "5038", range(13, 20)),  # Maestro
    ("5893", "5893", range(13, 20)),  # Maestro
    ("6304", "6304", range(13, 20)),  # Maestro
    ("6759", "6759", range(13, 20)),  # Maestro
    ("6761", "6763", range(13, 20)),  # Maestro
    ("2200", "2204", _SIXTEEN_UP),  # Mir
)

_BY_FIRST_DIGIT = {
    digit: tuple(issuer for issuer in _ISSUERS if issuer[0][0] <= digit <= issuer[1][0]) for digit in "0123456789"
}
_RUN = re.compile(r"(?<![0-9])(?<![0-9]\.)[0-9]++(?:[ \-+\xa0\u2009\u202f][0-9]++)*+")
_GROUP = re.compile(r"[0-9]+")
_ESCAPED = re.compile(r"\\[nrt]")
_GROUPS_MAX = 5
_THREE_FOURS = [4, 4, 4]
_AMERICAN = ([4, 6, 5], [4, 6, 4])
_USUAL_MAX = 16
_TELEPHONE = re.compile(r"(?:\A|[^\w%])\+\Z")
_TELEPHONE_MAX = 15
"""Digits of a telephone number at most (ITU-T E.164)."""

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

_SSN_DIGITS = r"(?!000|666|9)[0-9]{3}%s(?!00)[0-9]{2}%s(?!0000)[0-9]{4}(?![\w-])"
_SSN_DASHED = re.compile(r"(?:(?<![\w-])|(?<=\\[nrt]))" + _SSN_DIGITS % ("-", "-"))
_SSN_NAMED = re.compile(
    r"((?:(?:(?<![A-Za-z0-9_])|(?<=\\[nrt]))ssns?|social[ _-]?security(?:[ _-]?(?:number|num|no|nr))?)"
    r"\.?(?: (?:is|was))?(?:[ \t:=#]|\\{0,3}[\"']){0,6})" + _SSN_DIGITS % ("[- ]?", "[- ]?"),
    re.IGNORECASE,
)


def luhn(digits: str) -> bool:
    """Return whether the last of `digits` is their check digit."""
    total = 0
    for at, digit in enumerate(reversed(digits)):
        total += _DOUBLED[int(digit)] if at % 2 else int(digit)
    return total % 10 == 0


def is_card(digits: str) -> bool:
    """Return whether `digits` are the number of a payment card."""
    length = len(digits)
    if not MIN_DIGITS <= length <= MAX_DIGITS:
        return False
    for first, last, lengths in _BY_FIRST_DIGIT[digits[0]]:
        if length in lengths and first <= digits[: len(first)] <= last:
            return luhn(digits)
    return False


def redact_cards(text: str, marker: str) -> str:
    """Return `text` with card numbers replaced by `marker`."""
    spans: list[tuple[int, int]] = []
    for run in _RUN.finditer(text):
        if run.end() - run.start() >= MIN_DIGITS:
            spans.extend(_cards_in(text, run.start(), run.end()))
    if not spans:
        return text
    parts: list[str] = []
    at = 0
    for start, end in spans:
        parts += (text[at:start], marker)
        at = end
    parts.append(text[at:])
    return "".join(parts)


def redact_ssns(text: str, marker: str) -> str:
    """Return `text` with social security numbers replaced by `marker`."""
    return _SSN_NAMED.sub(lambda found: found[1] + marker, _SSN_DASHED.sub(marker, text))


def _cards_in(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where cards stand in a run of grouped digits: the whole run, or neighbouring groups of it."""
    groups = [found.span() for found in _GROUP.finditer(text, start, end)]
    if text[end : end + 1].isalnum() or _continues(text, end):
        groups.pop()
    if start and text[start - 1].isalpha() and _ESCAPED.match(text, start - 2) is None:
        if text[max(0, start - 2) : start] != "%B":  # the first track of a magnetic stripe
            groups = groups[1:]
    elif _TELEPHONE.match(text[max(0, start - 2) : start]) and end - start <= _TELEPHONE_MAX:
        groups = groups[1:]
    first = 0
    while first < len(groups):
        count = next((count for count in _counts(groups, first) if _is_card_at(text, groups[first : first + count])), 0)
        if count:
            yield groups[first][0], groups[first + count - 1][1]
        first += count or 1


def _counts(groups: list[tuple[int, int]], first: int) -> Iterator[int]:
    """Yield how many groups from the group `first` on may make a card, as people group its digits."""
    sizes = [end - start for start, end in groups[first : first + _GROUPS_MAX]]
    if sizes[0] >= MIN_DIGITS:
        yield 1
    elif sizes[:3] in _AMERICAN:
        yield 3
    elif sizes[:3] == _THREE_FOURS and len(sizes) > 3 and sizes[3] <= 4:
        yield 4
        if sizes[3] == 4 and len(sizes) > 4 and sizes[4] < 4:
            yield 5
    if first == 0 and 1 < len(groups) <= MAX_DIGITS and len({end - start for start, end in groups}) == 1:
        yield len(groups)


def _is_card_at(text: str, groups: list[tuple[int, int]]) -> bool:
    digits = "".join([text[start:end] for start, end in groups])
    return is_card(digits) and (len(digits) <= _USUAL_MAX or not _is_glued(text, groups[0][0]))


def _is_glued(text: str, at: int) -> bool:
    """Return whether a long number continues a name, as in `blk_1234` and `blk_-1234`."""
    return text[max(0, at - 2) : at].rstrip("-").endswith("_")


def _continues(text: str, end: int) -> bool:
    """Return whether a decimal fraction follows."""
    return text[end : end + 1] == "." and text[end + 1 : end + 2].isdigit()
