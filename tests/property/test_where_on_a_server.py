"""Random `where`s over random events: what Elasticsearch finds is what the clause says in Python.

The engine relies on it where detections ask for their arrivals in common, and examples and `check` do too.
"""

from random import Random
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.detection import (
    above,
    all_of,
    any_of,
    at_least,
    at_most,
    below,
    between,
    cidr,
    contains,
    exists,
    missing,
    none_of,
    not_,
    phrase,
    prefix,
)
from pipeline.detection.implied import takes_all_of
from pipeline.detection.where import Where, compile_where
from pipeline.elastic.search import Search, Searcher

DOCUMENTS, WHERES = 120, 250
WORDS = ("LOGIN_FAILURE", "LOGIN_SUCCESS", "LOGOUT", "", "login_failure", "ä", "a\u0308", "*", "0", "true", "x" * 300)
NUMBERS = (0, 1, 2.5, -3, 1e9, 7)
ADDRESSES = ("10.0.0.1", "10.255.255.255", "11.0.0.0", "2001:db8::1", "192.0.2.7")
KEYWORDS = ("event.code", "user.id", "service.name")
NUMBER, ADDRESS = "siemlite.number.n", "source.ip"


def some(random: Random, values: tuple[Any, ...]) -> Any:
    """Return nothing, one of `values`, or several."""
    chance = random.random()
    if chance < 0.2:
        return None
    return random.choice(values) if chance < 0.8 else random.sample(values, 2)


def document(random: Random) -> dict[str, Any]:
    found = {name: some(random, WORDS) for name in KEYWORDS}
    found |= {NUMBER: some(random, NUMBERS), ADDRESS: some(random, ADDRESSES)}
    return {name: value for name, value in found.items() if value is not None or random.random() < 0.5}


def condition(random: Random, name: str) -> Any:
    if random.random() < 0.15:
        return random.choice((exists(), missing()))
    made: Any
    if name == NUMBER:
        limit = random.choice(NUMBERS)
        made = random.choice(
            (at_least(limit), at_most(limit), above(limit), below(limit), between(limit, limit + 3), limit)
        )
    elif name == ADDRESS:
        made = random.choice((cidr("10.0.0.0/8"), cidr("2001:db8::/32", "192.0.2.0/24"), random.choice(ADDRESSES)))
    else:
        made = random.choice(
            (
                random.choice(WORDS),
                random.sample(WORDS, 3),
                prefix("LOGIN_"),
                prefix("l", "x"),
                prefix("ä"),
                contains("OG"),
                contains("IN_F", "a"),
                contains("*"),
                contains("?", "\\"),
            )
        )
    return not_(made) if random.random() < 0.3 else made


def where(random: Random, depth: int = 2) -> Where:
    if depth and random.random() < 0.35:
        parts = [where(random, depth - 1) for _ in range(random.randint(1, 3))]
        return random.choice((any_of, all_of, none_of))(*parts)
    names = random.sample((*KEYWORDS, NUMBER, ADDRESS), random.randint(0, 3))
    return {name: condition(random, name) for name in names}


def test_of_two_wheres_the_one_that_is_said_to_takes_all_events_of_the_other() -> None:
    random = Random(6)
    documents = [document(random) for _ in range(DOCUMENTS)]
    implied = 0
    for _ in range(4_000):
        earlier, later = (compile_where(where(random)) for _ in "ab")
        if takes_all_of(earlier, later):
            implied += 1
            assert all(earlier.matches(one) for one in documents if later.matches(one)), (earlier, later)
    assert implied > 200


def test_a_phrase_finds_words_that_follow_one_another(es_ready: str) -> None:
    client = Elasticsearch(es_ready, request_timeout=60)
    messages = (
        "Failed password for root from 203.0.113.7 port 22 ssh2",
        "sshd: failed  PASSWORD, for root",
        "password failed for root",
        "Failed passwords for root",
        None,
    )
    for number, message in enumerate(messages):
        event = {"@timestamp": 0, "message": message}
        client.index(index="security-logs-2026.01.01", id=str(number), document=event, refresh=True)
    for test, found in (
        (phrase("Failed password for root"), {0, 1}),
        (phrase("failed password", "password failed"), {0, 1, 2}),
        (phrase("203.0.113.7"), {0}),
        (not_(phrase("failed password")), {2, 3, 4}),
    ):
        query = compile_where({"message": test}).query()
        hits = client.search(index="security-logs-2026.01.01", query=query)["hits"]["hits"]
        assert {int(hit["_id"]) for hit in hits} == found, test


def test_a_where_finds_in_elasticsearch_what_it_says_in_python(es_ready: str) -> None:
    random = Random(5)
    client = Elasticsearch(es_ready, request_timeout=60)
    documents = [document(random) for _ in range(DOCUMENTS)]
    lines: list[dict[str, Any]] = []
    for number, event in enumerate(documents):
        lines += [{"create": {"_index": "security-logs-2026.01.01", "_id": str(number)}}, {"@timestamp": 0, **event}]
    assert not client.bulk(operations=lines, refresh=True)["errors"]
    wheres = [where(random) for _ in range(WHERES)]
    bodies = [{"size": DOCUMENTS, "_source": False, "query": compile_where(one).query()} for one in wheres]
    answers = Searcher(client).many([Search.of(["security-logs-2026.01.01"], body) for body in bodies])
    selective = 0
    for one, answer in zip(wheres, answers, strict=True):
        assert not isinstance(answer, Exception), (one, answer)
        found = {int(hit["_id"]) for hit in answer["hits"]["hits"]}
        said = {number for number, each in enumerate(documents) if compile_where(one).matches(each)}
        assert found == said, one
        selective += 0 < len(said) < DOCUMENTS
    assert selective > WHERES // 2
