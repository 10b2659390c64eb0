"""One `_bulk` request and what its answer says of each line.

Invariants: every event of the request gets exactly one verdict; 201 and 409 are success, because an id is
only ever used for one event; what cannot be understood is retried, never taken for success.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import orjson
from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch, UnsupportedProductError

from pipeline.elastic.client import TooLargeError, api_failure, plain, reason_of, transport_failure
from pipeline.errors import ConfigurationError, RetryableError, SiemliteError

_HEADERS = {"content-type": "application/x-ndjson", "accept": "application/json"}
_TARGET = "/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by"
_CREATED = (200, 201, 409)
_REFUSED = 400
_LATER = (408, 429, 500, 502, 503, 504)
_BLOCKED = "cluster_block_exception"
_NOT_THE_EVENTS_FAULT = frozenset({_BLOCKED, "validation_exception", "index_closed_exception", "security_exception"})
_OF_THE_INDEX = ("pipeline with id [", "no write index is defined for alias")
"""How a 400 reads that refuses every event of the index alike, skeletons included."""


class Verdict(Enum):
    """What becomes of one event."""

    STORED = auto()
    LATER = auto()
    BLOCKED = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Item:
    """The verdict on one event and, unless it is stored, the server's reason."""

    verdict: Verdict
    reason: str = ""


_STORED = Item(Verdict.STORED)


def send(client: Elasticsearch, body: bytes, events: int) -> Sequence[Item] | None:
    """Send `body`, the lines of `events` events; return a verdict on each, or `None` where all are stored.

    Raises `RetryableError` where nothing is known of the request's fate, `TooLargeError` on 413 and
    `ConfigurationError` where the server refuses credentials or certificate.
    """
    try:
        answer = client.perform_request("POST", _TARGET, headers=_HEADERS, body=body)
    except TransportError as error:
        raise transport_failure("sending events", error) from error
    except UnsupportedProductError as error:
        raise api_failure("sending events", error) from error
    except ApiError as error:
        if error.status_code == 413:
            raise TooLargeError(f"a request of {len(body)} bytes is too large for Elasticsearch (413)") from error
        raise _whole_request_failed(error) from error
    return _verdicts(answer.body, events)


def _whole_request_failed(error: ApiError) -> SiemliteError:
    reason = reason_of(error)
    if error.status_code == 401 or (error.status_code == 403 and _BLOCKED not in str(error.body)):
        return ConfigurationError(
            f"Elasticsearch refuses these credentials ({error.status_code} {reason}); "
            "check ES_USER and ES_PASSWORD, or ES_API_KEY"
        )
    return RetryableError(f"Elasticsearch answers {error.status_code} to _bulk: {reason}")


def _verdicts(body: Any, events: int) -> Sequence[Item] | None:
    if not isinstance(body, dict) or not isinstance(body.get("errors"), bool):
        raise RetryableError(f"the answer to _bulk is not Elasticsearch's: {str(body)[:200]!r}")
    items = body.get("items")
    if not isinstance(items, list) or len(items) != events:
        raise RetryableError("the answer to _bulk does not have one item for each event")
    if not body["errors"]:
        return None
    return [_verdict(item) for item in items]


def _verdict(item: Any) -> Item:
    result = item.get("create") if isinstance(item, dict) else None
    if not isinstance(result, dict):
        return Item(Verdict.LATER, "an item of the answer cannot be read")
    status = result.get("status")
    if status in _CREATED:
        return _STORED
    error = result.get("error") or {}
    cause = error.get("caused_by") or {}
    reason = plain(f"{status} {error.get('type', '')}: {error.get('reason', '')} {cause.get('reason', '')}")
    if error.get("type") in _NOT_THE_EVENTS_FAULT or any(sign in reason for sign in _OF_THE_INDEX):
        return Item(Verdict.BLOCKED, reason)
    if not isinstance(status, int) or status in _LATER:
        return Item(Verdict.LATER, reason)
    return Item(Verdict.REFUSED if status == _REFUSED else Verdict.BLOCKED, reason)


def lines_of(body: bytes) -> list[bytes]:
    """Return the events of a chunk, each as its two lines."""
    lines = body.split(b"\n")
    return [b"%b\n%b\n" % (lines[at], lines[at + 1]) for at in range(0, len(lines) - 1, 2)]


def event_of(lines: bytes) -> tuple[str, str, dict[str, Any]]:
    """Return index, id and document of one event's two lines."""
    action, body = lines.split(b"\n")[:2]
    target = orjson.loads(action)["create"]
    return target["_index"], target["_id"], orjson.loads(body)
