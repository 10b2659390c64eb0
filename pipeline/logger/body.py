"""A request's body for its event, when asked: bounded, and only where it can be redacted for certain.

Invariants: the application sees every byte as if nobody had looked; at most `limit` bytes are kept; a body
that was not seen whole, or is neither JSON nor a form, is named by size and type and its content left out,
because a secret in a fragment cannot be told by its key.
"""

from typing import Any
from urllib.parse import parse_qsl

import orjson

_FIELDS_MOST = 1_000


class BodyCopy:
    """The beginning of a body as it streams by."""

    __slots__ = ("_kept", "_limit", "size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self.size = 0

    def feed(self, data: bytes) -> None:
        """Note what the application has read."""
        self.size += len(data)
        if self.size <= self._limit:
            self._kept += data
        else:
            self._kept.clear()

    def fields(self, content_type: str, announced: str) -> dict[str, Any]:
        """Return the event's fields; `announced` is the Content-Length header, if any."""
        if not self.size:
            return {}
        kind = content_type.partition(";")[0].strip().lower()
        fields: dict[str, Any] = {"http.request.body.bytes": self.size, "http.request.mime_type": kind}
        if self.size > self._limit:
            return fields | {"http.request.body.left_out": f"larger than {self._limit} bytes"}
        if announced.isascii() and announced.isdigit() and len(announced) < 20 and int(announced) != self.size:
            return fields | {"http.request.body.left_out": "not read to its end"}
        try:
            content = _parsed(bytes(self._kept), kind)
        except ValueError as error:
            return fields | {"http.request.body.left_out": str(error)}
        return fields | {"http.request.body.content": content}


def _parsed(data: bytes, kind: str) -> Any:
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            raise ValueError("not valid JSON") from None
    if kind == "application/x-www-form-urlencoded":
        pairs = parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_FIELDS_MOST)
        form: dict[str, list[str]] = {}
        for name, value in pairs:
            form.setdefault(name, []).append(value)
        return {name: values[0] if len(values) == 1 else values for name, values in form.items()}
    raise ValueError("neither JSON nor a form")
