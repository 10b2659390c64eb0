"""Secrets that are known by the name before them, in free text.

`name=value`, `name: value`, `"name": "value"` (also escaped, and cut off), `'name' => 'value'`, query strings,
HTTP header lines, command-line options, XML elements, form parts, and name and value as a pair in brackets.
The name decides, by the same verdict as for a key; `endings` finds where its value ends.

Invariants: a value that is not closed is redacted through the end of the text; a sentence that only speaks
of a secret (`password changed`, `token: expired`) stays; the work is linear in the length of the text: a name
starts where no name character precedes it, quantifiers are possessive or bounded.
"""

import re
from collections.abc import Callable

from pipeline.events.redaction.encoded import redact_encoded
from pipeline.events.redaction.endings import (
    QUOTE,
    bare_end,
    call_end,
    closes_an_outer_string,
    string_end,
    structure_end,
)
from pipeline.events.redaction.headers import cookies_end, credentials_end
from pipeline.events.redaction.wording import is_about_code, is_ordinary, joins_next_word

Judge = Callable[[str], bool]

_ESCAPE = r"(?<!\\)\\++u[0-9a-fA-F]{4}"
_NAME = rf"(?:[\w.\-$]|{_ESCAPE})++"
_PAIR = re.compile(
    rf"(?<![\w.\-$])(?:({_NAME})"
    r"((?:[\])]|\[[0-9*]{0,6}+\]|%5[bB][0-9*]{0,6}+%5[dD]|\\*+[\"'`]|&quot;|&\#34;|%5[dD]|%22){0,4}+)[ \t]*+"
    r"(=>|:=|=(?![=~>])|:(?![:=]|//)|%3[aAdD])"
    rf"|[\w.\-$]*+{_ESCAPE}{_NAME})"
)
"""A name and the mark behind it; or, with no group set, an escape and what follows it as a name without a mark:
they are passed over as a whole, since a name may begin behind any backslash."""

_PREVIOUS_WORD = re.compile(r"([A-Za-z]{2,16})[ ]\Z")
_OBJECT = re.compile(r"\s{0,20}\{")
_HEX_PAIR = re.compile(r"[0-9A-Fa-f]{2}")
_BLANKS = re.compile(r"[ \t]*+")
_SPACE = re.compile(r"\s*+")
_UNICODE = re.compile(r"\\++u([0-9a-fA-F]{4})")
_INSTANT = re.compile(r"T[0-9][0-9]\Z")
_ANOTHER_PAIR = re.compile(r"[\w.\-]{1,64}(?:=|:[^/])")
_KEY_QUOTE = re.compile(r"\\*[\"'`]|&quot;|&#34;|%22")
_SUDO_DIRECTORY = re.compile(r"(?:/|~|unknown)[^;=]*+;")
_LAST_DIRECTORY = re.compile(r"/[^;=\s]*+\Z")
_PAM_STEP = re.compile(r"(?:auth|account|session|chauthtok|password|setcred)\)")
"""What stands behind a service's name in a line of PAM's: `pam_unix(passwd:chauthtok)`."""

_SERVICES = frozenset({"secretsmanager"})
"""Names before a colon that are services of a cloud, in the names of its resources and actions."""

_TOLD_OF_A_PATH = re.compile(r" (?:[0-9]{1,3}|[a-z]{2,20})(?!\S)")
"""What a log says of a path that ends in the name of a secret: a status, or a word of plain English."""

_NAMING = frozenset({"name", "key", "header", "field", "param", "parameter", "variable"})
_NAMED = re.compile(
    r"\s{0,4}\\*[\"']?([\w.\-\[\]]{2,64})\\*[\"']?(?:"
    r"[\s,;]{1,4}\\*[\"']?(?:value|val|content)\\*[\"']?\s{0,4}[=:]\s{0,4}"
    r"|[^\r\n\\]{0,200}+(?:\r?\n|(?:\\{1,8}r)?\\{1,8}n)"
    r"(?:[\w-]{1,64}:[^\r\n\\]{0,200}+(?:\r?\n|(?:\\{1,8}r)?\\{1,8}n)){0,3}(?P<part>\r?\n|(?:\\{1,8}r)?\\{1,8}n)"
    r")",
    re.IGNORECASE,
)
_PART_END = re.compile(r"(?:\r?\n|(?<!\\)(?:\\++r)?+\\++n)--")

_OPTION = re.compile(r"-(?:(?<![\w-]-)|(?<=\\[nrt]-))-?([A-Za-z][\w-]{1,60})[ \t]++(?![-|&;<>])")
_ELEMENT = re.compile(r"<((?:[\w.-]{1,60}:)?+[\w.-]{1,100}+)(?:\s[^<>]{0,500}+)?>")
_CLOSING = re.compile(r"</((?:[\w.-]{1,60}:)?+[\w.-]{1,100}+)")
_CALLED = re.compile(r"\s(?:name|key|id|field)=(\\*+[\"'])([\w.-]{2,64})\1")
_GIVEN = re.compile(r"\svalue=(\\*+[\"'])")
_QUOTED_NAME = re.compile(
    r"(\(\s{0,4})?+(?:(?<![A-Za-z])b)?(\\{0,128}+[\"'])([\w.-]{2,64})\2\s{0,4},\s{0,4}(?=b?(\\*+[\"']))"
)
_MEMBER = re.compile(r"\\*+[\"']\s{0,4}:")
"""What closes a string that is itself the name of a member: `'name': 'X-Api-Key', 'value': …`."""

_CLAUSE = re.compile(r"(?:\b|(?<=\\[nrt]))(?:identified by|password|passwd|passphrase)[ ]{1,4}(?=')", re.IGNORECASE)
_NOT_WITH_ID = frozenset({"password", "passwd"})
"""What an id that follows is not one of: `op=changing password id=1000` tells of an account."""

_HEADER_NAMES = frozenset({"authorization", "cookie"})


class Pairs:
    """Redacts what follows sensitive names. `is_sensitive` judges a name; `marker` replaces a value."""

    __slots__ = ("_is_sensitive", "_marker")

    def __init__(self, is_sensitive: Judge, marker: str) -> None:
        self._is_sensitive = is_sensitive
        self._marker = marker

    def redact(self, text: str) -> str:
        """Return `text` with the values of sensitive names replaced."""
        if "<" in text:
            text = self._elements(text)
        if "'" in text or '"' in text:
            text = self._beside(text)
        if "'" in text:
            text = self._clauses(text)
        if "-" in text:
            text = self._options(text)
        if "%" in text and "=" in text:
            text = redact_encoded(text, self._marker, self._is_sensitive, self.redact)
        if "=" in text or ":" in text or "%3" in text:
            text = self._pairs(text)
        return text

    def _pairs(self, text: str) -> str:
        out = _Splice(text)
        around, closed = "", 0  # the name of the object that the text is in, and where that ends
        for found in _PAIR.finditer(text):
            name, closers, mark = found.groups()
            if name is None or found.start() < out.done:
                continue
            at = found.end()
            completes = at < closed and joins_next_word(name) and self._is_sensitive(f"{around}_{name}")
            if completes or self._names_a_secret(found):
                self._hide_value(out, at, name, closers, mark)
            elif name.casefold() in _NAMING:
                self._hide_named(out, at)
            elif closers and _OBJECT.match(text, at):
                around = name
                if closed <= at:
                    closed = text.find("}", at) + 1 or len(text)
        return out.text()

    def _names_a_secret(self, found: re.Match[str]) -> bool:
        """Return whether what `_PAIR` found names a secret, by itself or with what stands before it."""
        text, start = found.string, found.start()
        name, closers, mark = found.groups()
        if "\\" in name:
            name = _UNICODE.sub(lambda code: chr(int(code[1], 16)), name)
        before = text[start - 1] if start else ""
        if mark == ":" and (_INSTANT.search(name) or name.casefold() in _SERVICES):
            return False
        if mark == ":" and before == "(" and _PAM_STEP.match(text, found.end()):
            return False
        if before == ":" and closers == ")" and _PAM_STEP.fullmatch(f"{name})"):
            return False
        if mark == ":" and before == "/" and not closers and _TOLD_OF_A_PATH.match(text, found.end()):
            return False
        if self._is_sensitive(name):
            return True
        if before == "\\" and name[0] in "nrtbf" and self._is_sensitive(name[1:]):
            return True
        if before == "%" and _HEX_PAIR.match(name) and self._is_sensitive(name[2:]):
            return True
        if before == " " and joins_next_word(name):
            previous = _PREVIOUS_WORD.search(text, max(0, start - 18), start)
            if previous is None or (name.casefold() == "id" and previous[1].casefold() in _NOT_WITH_ID):
                return False
            return self._is_sensitive(f"{previous[1]}_{name}")
        return False

    def _hide_value(self, out: "_Splice", at: int, name: str, closers: str, mark: str) -> None:
        text = out.source
        start = _BLANKS.match(text, at).end()  # type: ignore[union-attr]
        quoting = _KEY_QUOTE.search(closers)
        key_quote = "" if quoting is None else quoting[0]
        if key_quote or mark == "=>":
            further = _SPACE.match(text, start).end()  # type: ignore[union-attr]
            if QUOTE.match(text, further) or text[further : further + 1] in ("{", "["):
                start = further
        if text.startswith(self._marker, start):
            marked = start + len(self._marker)
            end = bare_end(text, marked)
            if end > marked:
                out.replace(start, end, self._marker)
            else:
                out.skip(marked)
            return
        quoted = QUOTE.match(text, start)
        if quoted is not None and (key_quote or not closes_an_outer_string(text, quoted.end())):
            end = string_end(text, quoted.end(), quoted[1])
            if text[quoted.end() : end] not in ("", self._marker):
                out.replace(quoted.end(), end, self._marker)
            else:
                out.skip(end)
        elif quoted is not None:
            out.skip(start)
        elif (end := call_end(text, start)) > start:
            out.replace(start, end, f"{key_quote}{self._marker}{key_quote}")
        elif text[start : start + 1] in ("{", "["):
            end = structure_end(text, start, key_quote)
            out.replace(start, end, f"{key_quote}{self._marker}{key_quote}")
        else:
            end = self._plain_end(text, at, start, name, mark, quoted_name=bool(key_quote))
            if end > start:
                out.replace(start, end, f"{key_quote}{self._marker}{key_quote}")

    @staticmethod
    def _plain_end(text: str, at: int, start: int, name: str, mark: str, *, quoted_name: bool) -> int:
        """Return the end of an unquoted value, or `start` where there is none."""
        spaced = start > at or text[start : start + 1] in ("", "\n", "\r")
        if mark == "=" and spaced and _ANOTHER_PAIR.match(text, start):
            return start
        of_sudo = text.endswith(" ; PWD=", 0, at) and _LAST_DIRECTORY.match(text, start)
        if name == "PWD" and (of_sudo or _SUDO_DIRECTORY.match(text, start)):
            return start
        end = bare_end(text, start, encoded=mark[0] == "%")
        if mark == ":" and spaced and not quoted_name and (is_ordinary(text[start:end]) or is_about_code(name)):
            return start
        folded = name.casefold().replace("-", "").replace("_", "")
        if folded.endswith(("cookie", "cookies")):
            return max(end, cookies_end(text, start))
        return max(end, credentials_end(text, start, header=folded.endswith("authorization")))

    def _hide_named(self, out: "_Splice", at: int) -> None:
        """Hide the value in `name="password" value="…"`, and the content of a form part of that name."""
        found = _NAMED.match(out.source, at)
        if found is None or not self._is_sensitive(found[1]):
            return
        if found["part"] is None:
            self._hide_value(out, found.end(), found[1], "", "=")
            return
        end = _PART_END.search(out.source, found.end())
        out.replace(found.end(), len(out.source) if end is None else end.start(), self._marker)

    def _options(self, text: str) -> str:
        out = _Splice(text)
        for found in _OPTION.finditer(text):
            if found.start() >= out.done and self._is_sensitive(found[1]):
                quoted = QUOTE.match(text, found.end())
                if quoted is not None:
                    out.replace(quoted.end(), string_end(text, quoted.end(), quoted[1]), self._marker)
                else:
                    end = bare_end(text, found.end())
                    word = text[found.end() : end]
                    if word and not is_ordinary(word) and not text.startswith(self._marker, found.end()):
                        out.replace(found.end(), end, self._marker)
        return out.text()

    def _elements(self, text: str) -> str:
        out = _Splice(text)
        closings: dict[str, int] | None = None  # where the last closing tag of each name stands
        for found in _ELEMENT.finditer(text):
            name = found[1]
            if found.start() < out.done:
                continue
            if not self._is_sensitive(name.rpartition(":")[2]):
                called = _CALLED.search(text, found.end(1), found.end())
                if called is None or not self._is_sensitive(called[2]):
                    continue
                given = _GIVEN.search(text, found.end(1), found.end())
                if given is not None:
                    end = string_end(text, given.end(), given[1])
                    if end > given.end() and not text.startswith(self._marker, given.end()):
                        out.replace(given.end(), end, self._marker)
                    continue
            if closings is None:
                closings = {closing[1]: closing.start() for closing in _CLOSING.finditer(text)}
            if closings.get(name, -1) >= found.end():
                end = text.find(f"</{name}", found.end())
            else:
                if text[found.end() : found.end() + 1].isspace():
                    continue
                end = text.find("<", found.end())
                end = len(text) if end < 0 else end
            if found.end() < end:
                out.replace(found.end(), end, self._marker)
        return out.text()

    def _beside(self, text: str) -> str:
        out = _Splice(text)
        for found in _QUOTED_NAME.finditer(text):
            if found.start() < out.done:
                continue
            bracket, _, name, opener = found.groups()
            apart = "-" in name or name.casefold() in _HEADER_NAMES
            if (bracket or apart) and self._is_sensitive(name):
                end = string_end(text, found.end(4), opener)
                if _MEMBER.match(text, end) is None:
                    out.replace(found.end(4), end, self._marker)
        return out.text()

    def _clauses(self, text: str) -> str:
        out = _Splice(text)
        for found in _CLAUSE.finditer(text):
            if found.start() >= out.done:
                out.replace(found.end() + 1, string_end(text, found.end() + 1, "'"), self._marker)
        return out.text()


class _Splice:
    """A text with parts of it replaced, from its beginning to its end."""

    __slots__ = ("_parts", "_written", "done", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.done = 0
        self._written = 0
        self._parts: list[str] = []

    def skip(self, end: int) -> None:
        """Leave what stands before `end` as it is, and do not look into it."""
        self.done = max(self.done, end)

    def replace(self, start: int, end: int, replacement: str) -> None:
        """Put `replacement` in the place of `source[start:end]`."""
        self._parts += (self.source[self._written : start], replacement)
        self._written = end
        self.skip(end)

    def text(self) -> str:
        """Return the text as replaced; the source itself where nothing was."""
        if not self._parts:
            return self.source
        return "".join(self._parts) + self.source[self._written :]
