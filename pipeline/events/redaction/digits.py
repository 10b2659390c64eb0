"""Which documents of a batch have the digits of a payment card, or of a social security number without dashes.

Invariant: no document is passed over in which `redact_cards` or, for numbers without dashes, `redact_ssns`
would find one; that is decided on the digits alone, so a number that is merely long costs little.
"""

import re
from collections.abc import Iterator, Sequence

from pipeline.events.redaction.cards import MAX_DIGITS, MIN_DIGITS, is_card
from pipeline.events.redaction.lines import Lines

_SEPARATORS = b" -+\xc2\xa0\xe2\x80\x89\xaf"
_FOLDED = bytes(48 if 48 <= byte <= 57 else byte + 32 if 65 <= byte <= 90 else byte for byte in range(256))
_NINE_DIGITS = b"0" * 9
_CARD_DIGITS = b"0" * MIN_DIGITS
_BEFORE_SSN = tuple(
    rb"ssn ssns security number num no nr is was ssn. ssns. security. number. num. no. nr. # \t".split()
)
"""What a number without dashes may follow at once; behind a colon or a quote it is found by its name."""

_ZEROS = re.compile(rb"0+")
_MANY_DIGITS = 200
_MANY_NUMBERS = 20
"""Digits in a row, and long numbers, beyond which a document is looked at without further thought."""

_ESCAPE = b"\\"


def numbered(bodies: Sequence[bytes], joined: bytes) -> Iterator[int]:
    """Yield the positions of `bodies` with the digits of a card, or of a social security number after a word.

    `joined` holds the bodies as lines.
    """
    folded = Lines(joined.translate(_FOLDED, _SEPARATORS))
    text = folded.joined
    current, tried = -1, 0
    at = text.find(_NINE_DIGITS)
    while at >= 0:
        following = at + len(_NINE_DIGITS)
        if text.endswith(_BEFORE_SSN, 0, at):
            line, following = folded.line(at)
            yield line
        elif text.startswith(_CARD_DIGITS, at):
            end = _ZEROS.match(text, at).end()  # type: ignore[union-attr]
            line, following = folded.line(at)
            if line != current:
                current, tried = line, 0
                plain = bodies[line].translate(None, _SEPARATORS)
                start = text.rfind(b"\n", 0, at) + 1
            tried += 1
            if tried > _MANY_NUMBERS or _may_hold_card(bodies[line], plain, plain[at - start : end - start]):
                yield line
            else:
                following = end
        at = text.find(_NINE_DIGITS, following)


def _may_hold_card(body: bytes, plain: bytes, digits: bytes) -> bool:
    """Return whether `digits`, which stand in `body`, perhaps with separators, are or hold a card's number.

    `plain` is `body` without separators.
    """
    at = body.find(digits)
    if at >= 0 and _ESCAPE not in body and plain.count(digits) == body.count(digits):  # one number, as it stands
        if len(digits) > MAX_DIGITS or not is_card(digits.decode()):
            return False
        end = at + len(digits)
        before = body[at - 1 : at].isalpha() and not body.endswith(b"%B", 0, at)  # see `cards`: a magnetic stripe
        inside = before or body[end : end + 1].isalpha()
        return not inside or body.count(digits) > 1
    text = digits.decode()
    return len(text) > _MANY_DIGITS or any(
        is_card(text[first : first + length])
        for first in range(len(text) - MIN_DIGITS + 1)
        for length in range(MIN_DIGITS, min(MAX_DIGITS, len(text) - first) + 1)
    )
