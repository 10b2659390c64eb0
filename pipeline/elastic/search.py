"""Searches whose answers are whole, or are errors.

Many searches share one `_msearch`. Invariants: an answer that is returned came from every shard that was
asked, in time and to its end; anything else is an exception in that search's place, and the searches beside
it keep theirs. A body that the server cannot parse fails the whole `_msearch` that carries it, so such a
batch is sent again one by one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson
from elastic_transport import ConnectionTimeout
from elasticsearch import Elasticsearch

from pipeline.elastic.client import failure, one_line, translated
from pipeline.errors import PermanentError, RetryableError, SiemliteError

Answer = Mapping[str, Any]

_HEADERS = {"content-type": "application/x-ndjson", "accept": "application/json"}
_GENTLY = "/_msearch?max_concurrent_searches=1&max_concurrent_shard_requests=1"
_MARGIN_S = 15.0
_NAMES_MAX = 3_000
"""How many bytes of index names fit a URL: a request line of Elasticsearch's is at most 4,096 bytes by default."""


def by_url(names: Sequence[str]) -> Iterator[list[str]]:
    """Yield the index names `names` in their order, as many at a time as fit a URL."""
    some: list[str] = []
    size = 0
    for name in names:
        length = len(quote(name)) + 1
        if some and size + length > _NAMES_MAX:
            yield some
            some, size = [], 0
        some.append(name)
        size += length
    if some:
        yield some


class RejectedError(RetryableError):
    """The server had no room for this search beside others: in a queue, or in its memory (429)."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search of indices, or of one shard of one of them.

    `shards` is how many shards must answer, where that is known; `weight` the number of buckets or hits that
    may come back. Two searches with the same bytes are the same search.
    """

    header: bytes
    body: bytes
    shards: int | None = None
    weight: int = field(default=1, compare=False)

    @classmethod
    def of(
        cls,
        indices: Sequence[str],
        body: Mapping[str, Any],
        *,
        shard: int | None = None,
        timeout_ms: int = 20_000,
        weight: int = 1,
    ) -> "Search":
        """Return a search that the server gives up after `timeout_ms`; with `shard`, of that shard alone."""
        header: dict[str, Any] = {
            "index": list(indices),
            "allow_partial_search_results": False,
            "request_cache": False,
        }
        if shard is not None:
            header["preference"] = f"_shards:{shard}"
        whole = {"timeout": f"{timeout_ms}ms", "track_total_hits": False, **body}
        return cls(orjson.dumps(header), orjson.dumps(whole), None if shard is None else len(indices), weight)


@dataclass(frozen=True, slots=True)
class Searcher:
    """Sends searches. `timeout_s` is how long one search may take; `batch_weight` what one request may bring back."""

    client: Elasticsearch
    timeout_s: float = 20.0
    batch_weight: int = 60_000
    batch_size: int = 100
    batch_bytes: int = 16 * 1024**2

    def many(self, searches: Sequence[Search]) -> list[Answer | SiemliteError]:
        """Return for each search its answer or the error in its place; equal searches are sent once.

        Raises `RetryableError` or `ConfigurationError` where the server as a whole does not answer.
        """
        distinct = list(dict.fromkeys(searches))
        found: dict[Search, Answer | SiemliteError] = {}
        for batch in self._batches(distinct):
            found.update(zip(batch, self._batch(batch), strict=True))
        return [found[search] for search in searches]

    def _batches(self, searches: Sequence[Search]) -> Iterator[list[Search]]:
        batch: list[Search] = []
        weight = size = 0
        for search in searches:
            full = weight + search.weight > self.batch_weight or size + len(search.body) > self.batch_bytes
            if batch and (full or len(batch) >= self.batch_size):
                yield batch
                batch, weight, size = [], 0, 0
            batch.append(search)
            weight += search.weight
            size += len(search.body)
        if batch:
            yield batch

    def _batch(self, batch: Sequence[Search], *, gently: bool = False) -> list[Answer | SiemliteError]:
        try:
            responses = self._send(batch, gently)
        except PermanentError as error:
            if len(batch) == 1:
                return [error]
            return [self._batch([search])[0] for search in batch]
        except RetryableError as error:
            if not isinstance(error.__cause__, ConnectionTimeout):
                raise
            if len(batch) == 1:
                return [error]
            return [self._batch([search])[0] for search in batch]
        answers = [_checked(search, response) for search, response in zip(batch, responses, strict=True)]
        rejected = [place for place, one in enumerate(answers) if isinstance(one, RejectedError)]
        for place in () if gently else rejected:
            answers[place] = self._batch([batch[place]], gently=True)[0]
            if isinstance(answers[place], RejectedError):
                break  # the server is too busy with others' work
        return answers

    def _send(self, batch: Sequence[Search], gently: bool) -> list[Any]:
        """Return the responses to `batch`; `gently` has each node asked for one shard at a time."""
        lines = b"".join(b"%b\n%b\n" % (search.header, search.body) for search in batch)
        with translated("searching"):
            answer = self.client.options(request_timeout=self.timeout_s + _MARGIN_S).perform_request(
                "POST", _GENTLY if gently else "/_msearch", headers=_HEADERS, body=lines
            )
        responses = answer.body.get("responses") if isinstance(answer.body, dict) else None
        if not isinstance(responses, list) or len(responses) != len(batch):
            raise RetryableError("searching: the answer is not one for each search")
        return responses


def _checked(search: Search, response: Any) -> Answer | SiemliteError:
    if not isinstance(response, dict):
        return RetryableError("searching: an answer that is none")
    error = response.get("error")
    if error is not None:
        status = int(response.get("status", 500))
        reason = _reason(error)
        if status == 404:
            return RetryableError(f"searching: {reason}")
        if status == 429:
            return RejectedError(f"searching: {status} {reason}")
        return failure("searching", status, reason)
    if response.get("timed_out"):
        return RetryableError("searching: timed out before the answer was whole")
    if response.get("terminated_early"):
        return RetryableError("searching: ended before the answer was whole")
    shards = response.get("_shards", {})
    if shards.get("failed", 0) or shards.get("successful", 0) != shards.get("total", -1):
        failures = shards.get("failures") or [{}]
        return RetryableError(
            f"searching: {shards.get('failed', 0)} of {shards.get('total', 0)} shards failed: "
            f"{_reason(failures[0].get('reason', {}))}"
        )
    if search.shards is not None and shards.get("total") != search.shards:
        return RetryableError("searching: a shard is not there")
    answer: Answer = response
    return answer


def _reason(error: Any) -> str:
    """Return the innermost reason that says something, on one line."""
    if not isinstance(error, dict):
        return one_line(error)
    for cause in (
        *(error.get("root_cause") or ())[:1],
        *(f.get("reason", {}) for f in error.get("failed_shards", ())[:1]),
    ):
        if isinstance(cause, dict) and cause.get("reason"):
            return one_line(cause["reason"])
    inner = error.get("caused_by")
    text = error.get("reason") or error.get("type") or ""
    if isinstance(inner, dict) and inner.get("reason"):
        text = f"{text}: {inner['reason']}"
    return one_line(text)
