"""Many evaluations at once, each written as if it were alone.

An evaluation is a generator that yields searches and is sent their answers. The driver asks the searches of
many evaluations in common requests, and equal searches once. Invariants: an evaluation whose search fails
ends with that error and costs no other, whatever it is; no evaluation's next step waits for more than one round of the
others, so a long one does not keep a short one; only so many are under way at a time that what they hold stays
small.
"""

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from time import thread_time
from typing import Any, TypeVar

from pipeline.elastic.search import Answer, Search, Searcher
from pipeline.errors import PermanentError, SiemliteError

_log = logging.getLogger(__name__)
_logged: deque[str] = deque(maxlen=100)
"""What was logged of failures that nobody foresaw."""

T = TypeVar("T")
K = TypeVar("K")
Step = Generator[list[Search], list[Answer], T]
Bucket = Mapping[str, Any]

PAGE_FIRST = 1_000
PAGE_NEXT = 10_000


def run(
    searcher: Searcher, steps: Iterable[tuple[K, Step[T]]], spent_ms: dict[K, int] | None = None
) -> Iterator[tuple[K, T | SiemliteError]]:
    """Run `steps` and yield what becomes of each, under its key, in the order in which they end.

    `spent_ms` is told the longest that the server took for one search of each, or that judging an answer took of
    this thread's processor time. Raises what `Searcher.many` raises where the server as a whole does not answer.
    """
    waiting: deque[_Turn[K, T]] = deque()
    coming = iter(steps)
    room = 2 * searcher.batch_size
    with ThreadPoolExecutor(_IN_FLIGHT, "search") as pool:
        flying: deque[tuple[list[_Turn[K, T]], Future[list[Answer | SiemliteError]]]] = deque()
        while True:
            while len(waiting) < room and (new := next(coming, None)) is not None:
                key, step = new
                ended, outcome, searches = _advance(step, None)
                if ended:
                    yield key, outcome  # type: ignore[misc]
                else:
                    waiting.append((key, step, searches))
            if not waiting and not flying:
                return
            while waiting and len(flying) < _IN_FLIGHT:
                turn = _next_turn(waiting, searcher)
                asked = [search for _, _, searches in turn for search in searches]
                flying.append((turn, pool.submit(searcher.many, asked)))
            turn, future = flying.popleft()
            answers = iter(future.result())
            for key, step, searches in turn:
                own = [next(answers) for _ in searches]
                before = thread_time()
                ended, outcome, following = _advance(step, own)
                if spent_ms is not None:
                    judging = round((thread_time() - before) * 1000)
                    spent_ms[key] = max(spent_ms.get(key, 0), judging, *(_took(answer) for answer in own))
                if ended:
                    yield key, outcome  # type: ignore[misc]
                else:
                    waiting.append((key, step, following))


_Turn = tuple[K, Step[T], list[Search]]
_IN_FLIGHT = 2
"""Requests at a time: one is answered by the server while the answers of another are read."""


def _next_turn(waiting: "deque[_Turn[K, T]]", searcher: Searcher) -> "list[_Turn[K, T]]":
    """Take from `waiting` what one request has room for, at least one step."""
    turn: list[_Turn[K, T]] = []
    weight = count = 0
    while waiting and (not turn or (weight < searcher.batch_weight and count < searcher.batch_size)):
        turn.append(waiting.popleft())
        weight += sum(search.weight for search in turn[-1][2])
        count += len(turn[-1][2])
    return turn


def _took(answer: Answer | SiemliteError) -> int:
    return 0 if isinstance(answer, SiemliteError) else int(answer.get("took", 0))


def _advance(
    step: Step[T], answers: list[Answer | SiemliteError] | None
) -> tuple[bool, T | SiemliteError | None, list[Search]]:
    """Return whether the step has ended, with what, or what it wants to search next."""
    try:
        if answers is None:
            return False, None, next(step)
        errors = [answer for answer in answers if isinstance(answer, SiemliteError)]
        if errors:
            return False, None, step.throw(errors[0])
        return False, None, step.send([answer for answer in answers if not isinstance(answer, SiemliteError)])
    except StopIteration as end:
        return True, end.value, []
    except SiemliteError as error:
        return True, error, []
    except Exception as error:  # noqa: BLE001 - a defect in one must not end the others
        return True, unforeseen(error), []


def unforeseen(error: Exception) -> PermanentError:
    """Return what the evaluation of one detection fails with where it raises what nobody foresaw.

    Where it comes from is logged, once: the next pass, seconds later, fails the same way.
    """
    failure = PermanentError(f"its evaluation failed: {type(error).__name__}: {error}")
    text = str(failure)
    if text not in _logged:
        _logged.append(text)
        _log.error("an evaluation failed", exc_info=error)
    return failure


def together(steps: Sequence[Step[T]]) -> Step[list[T]]:
    """Run `steps` of one evaluation side by side; return their values in their order."""
    values: dict[int, T] = {}
    wanted: dict[int, list[Search]] = {}
    for number, step in enumerate(steps):
        try:
            wanted[number] = next(step)
        except StopIteration as end:
            values[number] = end.value
    while wanted:
        answers = iter((yield [search for searches in wanted.values() for search in searches]))
        following: dict[int, list[Search]] = {}
        for number, searches in wanted.items():
            try:
                following[number] = steps[number].send([next(answers) for _ in searches])
            except StopIteration as end:
                values[number] = end.value
        wanted = following
    return [values[number] for number in range(len(steps))]


def ask(search: Search) -> Step[Answer]:
    """Return the answer of one search."""
    (answer,) = yield [search]
    return answer


def pages(
    indices: Sequence[str],
    query: Mapping[str, Any],
    sources: Sequence[Mapping[str, Any]],
    take: Callable[[list[Bucket]], bool],
    *,
    aggs: Mapping[str, Any] | None = None,
    shard: int | None = None,
    size: int = PAGE_FIRST,
    largest: int = PAGE_NEXT,
    timeout_ms: int = 20_000,
) -> Step[None]:
    """Read all buckets of a composite aggregation, page by page, until the end or until `take` returns false."""
    if not indices:
        return
    after: Mapping[str, Any] | None = None
    while True:
        composite: dict[str, Any] = {"size": size, "sources": list(sources)}
        if after is not None:
            composite["after"] = after
        aggregation: dict[str, Any] = {"composite": composite}
        if aggs:
            aggregation["aggs"] = aggs
        body = {"size": 0, "query": query, "aggs": {"page": aggregation}}
        answer = yield from ask(Search.of(indices, body, shard=shard, weight=size, timeout_ms=timeout_ms))
        page = answer["aggregations"]["page"]
        buckets = page["buckets"]
        if buckets and not take(buckets):
            return
        if len(buckets) < size:
            return
        after = page["after_key"]
        size = max(size, largest)
