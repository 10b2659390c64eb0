"""Structured data of RFC 5424 (section 6.3): `[id name="value" …][…]`.

Invariants: pure, linear in the length, and never raises; text that is not structured data is left where it is.
"""

import re

_ELEMENT = re.compile(
    r"\[(?P<id>[^\s=\]\"]{1,255})(?P<params>(?: +[^\s=\]\"]{1,255}=\"(?:\\.|[^\"\\])*\")*) *\]", re.DOTALL
)
_PARAM = re.compile(r" +(?P<name>[^\s=\]\"]{1,255})=\"(?P<value>(?:\\.|[^\"\\])*)\"", re.DOTALL)
_ESCAPED = re.compile(r"\\([\"\\\]])")

Elements = dict[str, dict[str, str]]


def split_structured_data(text: str) -> tuple[Elements, str] | None:
    """Return the elements at the beginning of `text` and what follows them; None where that is malformed.

    Of a name that an element repeats, all values are kept, joined by a space.
    """
    if text == "-" or text.startswith("- "):
        return {}, text[2:]
    elements: Elements = {}
    at = 0
    while text[at : at + 1] == "[":
        match = _ELEMENT.match(text, at)
        if match is None:
            return None
        params = elements.setdefault(match["id"], {})
        for param in _PARAM.finditer(match["params"]):
            value = _ESCAPED.sub(r"\1", param["value"])
            params[param["name"]] = f"{params[param['name']]} {value}" if param["name"] in params else value
        at = match.end()
    if not elements or text[at : at + 1] not in ("", " "):
        return None
    return elements, text[at + 1 :]
