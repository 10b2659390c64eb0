"""Whether the bytes of a JSON string may hold the name of a secret, with its value behind it.

Invariant: no string is passed over in which `Pairs` would judge a name to be sensitive; the check knows only
the stems of the names, so it lets some strings through for nothing.
"""

import re
import unicodedata
from collections.abc import Iterable

_SEPARATORS = b"_-. $"
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
_BEHIND_NAME = re.compile(rb"[=:<>'\"%]")
_OPTION = re.compile(rb"-(?:-|(?<![A-Za-z0-9_]-)[A-Za-z]|(?<=\\[nrt]-)[A-Za-z])")


class Stems:
    """Stems. `fragments` are sensitive wherever they stand in a name, `words` as whole words; both joined.

    `nested` are fragments of several words: the first may name an object, and the rest a member of it.
    """

    __slots__ = ("_find_any", "_find_fragment", "_find_whole_word", "_nested")

    def __init__(self, fragments: Iterable[str], words: Iterable[str], nested: Iterable[tuple[str, str]] = ()) -> None:
        self._nested = tuple((first.encode(), rest.encode()) for first, rest in nested)
        spelled = sorted(word.encode() for word in words)
        parts = [fragment.encode() for fragment in fragments]
        self._find_any = _any_of([*spelled, *parts]).search
        self._find_fragment = _any_of(parts).search
        forms = [b"(?:(?<![A-Za-z])|(?<=\\\\[nrtbf])|(?<=%[0-9A-Fa-f]{2}))(?:" + b"|".join(spelled) + b")"]
        forms += [b"|".join(word.capitalize() for word in spelled), b"|".join(word.upper() for word in spelled)]
        self._find_whole_word = re.compile(b"(?:" + b"|".join(forms) + b")(?![a-z])").search

    def may_name(self, string: bytes) -> bool:
        """Return whether in `string`, as serialised, a secret's name may stand before a mark, or be an option."""
        if b"\\u" in string:
            return True
        if not string.isascii():
            text = unicodedata.normalize("NFKC", string.decode("utf-8", "replace"))
            if self._find_fragment(_NOT_ALPHANUMERIC.sub("", text.casefold()).encode()) is not None:
                return True
            string = text.encode()
        joined = string.lower().translate(None, _SEPARATORS)
        if b"{" in joined and self._may_nest(joined):
            return True
        if self._find_any(joined) is None:
            return False
        found = self._find_fragment(joined)
        if found is not None and (_BEHIND_NAME.search(joined, found.start()) or _OPTION.search(string)):
            return True
        found = self._find_whole_word(string)
        return found is not None and bool(_BEHIND_NAME.search(string, found.start()) or _OPTION.search(string))

    def _may_nest(self, joined: bytes) -> bool:
        """Return whether an object may stand in the text whose name and a member's are that of a secret together."""
        return any(
            (at := joined.find(first)) >= 0 and joined.find(rest, at + len(first)) >= 0 for first, rest in self._nested
        )


def _any_of(words: Iterable[bytes]) -> re.Pattern[bytes]:
    """Return a pattern that finds the first of `words`, grouped by first letter so that most bytes fail at once."""
    by_first: dict[bytes, list[bytes]] = {}
    kept: list[bytes] = []
    for word in sorted(set(words), key=len):
        if not any(shorter in word for shorter in kept):
            kept.append(word)
            by_first.setdefault(word[:1], []).append(word[1:])
    return re.compile(b"|".join(first + b"(?:" + b"|".join(rest) + b")" for first, rest in by_first.items()))
