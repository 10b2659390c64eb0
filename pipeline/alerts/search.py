"""Searching the index of alerts.

Invariants: a search that timed out or lost a shard is an error and never an empty answer; an index that is not there
yet holds no alerts; a document that somebody made unreadable is logged and left out, where it is not asked for.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from elasticsearch import Elasticsearch, NotFoundError

from pipeline.alerts.document import from_document
from pipeline.alerts.record import INDEX, Alert
from pipeline.elastic.client import part, translated
from pipeline.elastic.compare_and_set import Document, Version
from pipeline.errors import PermanentError, RetryableError

HEAVY = ("siemlite.samples", "siemlite.rollup.members")
"""Parts of an alert that deciding about it does not need."""

Sort = Sequence[Mapping[str, str]]

_PAGE = 1000
_BY_EPISODE: Sort = ({"siemlite.episode.key": "asc"}, {"siemlite.episode.number": "asc"})

_log = logging.getLogger(__name__)
_said: set[tuple[str, Version]] = set()
"""What was logged of documents that cannot be read: the dispatcher comes upon them each second."""

_SAID_MAX = 1_000


def refresh(client: Elasticsearch) -> None:
    """Make every alert that was written findable."""
    with translated("refreshing the alerts"):
        try:
            client.indices.refresh(index=INDEX)
        except NotFoundError:
            return


def searched(client: Elasticsearch, **body: Any) -> Mapping[str, Any]:
    """Search the alerts. Raises where the answer is not whole."""
    what = "searching the alerts"
    parameters = {name: value for name, value in body.items() if value is not None}
    with translated(what):
        answer: Mapping[str, Any] = client.search(
            index=INDEX, ignore_unavailable=True, allow_partial_search_results=False, **parameters
        ).body
    if part(what, answer, "timed_out") or part(what, answer, "_shards", "failed"):
        raise RetryableError(f"{what}: the answer is incomplete")
    part(what, answer, "hits", "hits")
    if "aggregations" in parameters and part(what, answer, "_shards", "total"):
        part(what, answer, "aggregations")
    return answer


def documents(
    client: Elasticsearch, query: Mapping[str, Any], sort: Sort, *, page: int = _PAGE, limit: int | None = None
) -> Iterator[Document]:
    """Yield the documents that match, without their heavy parts, in the order of `sort`, to the last or to `limit`.

    No two documents may be equal for `sort`.
    """
    after: Sequence[Any] | None = None
    left = limit
    while left is None or left > 0:
        size = page if left is None else min(left, page)
        answer = searched(
            client,
            size=size,
            query=query,
            sort=list(sort),
            search_after=after,
            source_excludes=list(HEAVY),
            seq_no_primary_term=True,
        )
        hits = answer["hits"]["hits"]
        for hit in hits:
            yield Document(hit["_id"], Version(hit["_seq_no"], hit["_primary_term"]), hit["_source"])
        if len(hits) < size:
            return
        left = None if left is None else left - len(hits)
        after = hits[-1]["sort"]


def read(found: Iterable[Document]) -> Iterator[tuple[Alert, Mapping[str, Any]]]:
    """Yield the alert of each document, with the document's text; one that holds none is left out, and logged once."""
    for document in found:
        try:
            yield from_document(document), document.source
        except PermanentError as error:
            said = (document.id, document.version)
            if said not in _said and len(_said) < _SAID_MAX:
                _said.add(said)
                _log.error("%s; mend or delete that document of %s", error, INDEX)


def readable(client: Elasticsearch, query: Mapping[str, Any]) -> list[Alert]:
    """Return what `all_alerts` would, but for documents that hold no alert, which are logged and left out."""
    return [alert for alert, _ in read(documents(client, query, _BY_EPISODE))]


def all_alerts(client: Elasticsearch, query: Mapping[str, Any]) -> list[Alert]:
    """Return every alert that matches, without its heavy parts. Raises `PermanentError` where one cannot be read."""
    return [from_document(document) for document in documents(client, query, _BY_EPISODE)]
