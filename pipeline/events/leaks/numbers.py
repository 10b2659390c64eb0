"""The numbers of payment cards, and of social security."""

from collections.abc import Iterator
from itertools import groupby

_GAPS = frozenset(" -")
_TELEPHONE_MAX = 15


def numbers_in(text: str) -> Iterator[tuple[int, str]]:
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
    if text[start - 1 : start] == "+" and len(digits) <= _TELEPHONE_MAX and not text[max(0, start - 2)].isalnum():
        return
    if (len(groups) == 1 or min(lengths[:-1]) >= 3) and is_card(digits):
        yield start, "card_number"


def is_card(digits: str) -> bool:
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
