"""What a `where` selects, and how it is said to Elasticsearch."""

from typing import Any

import pytest

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
    one_of,
    phrase,
    prefix,
    raw,
)
from pipeline.detection.where import Where, compile_where, values_of
from pipeline.errors import ConfigurationError
from pipeline.events.values import shortened

FAILURE = {"event": {"code": "LOGIN_FAILURE"}, "user.id": "alice", "siemlite": {"number": {"rows": 12.0}}}


@pytest.mark.parametrize(
    ("where", "query", "fits", "does_not"),
    [
        ({}, {"match_all": {}}, {}, None),
        ({"a": "x"}, {"term": {"a": {"value": "x"}}}, {"a": "x"}, {"a": "X"}),
        ({"a": ["x", "y"]}, {"terms": {"a": ["x", "y"]}}, {"a": ["q", "y"]}, {"a": "z"}),
        ({"a": one_of("x", "y")}, {"terms": {"a": ["x", "y"]}}, {"a": "x"}, {}),
        ({"a": not_("x")}, {"bool": {"must_not": [{"term": {"a": {"value": "x"}}}]}}, {}, {"a": ["x", "y"]}),
        ({"a": prefix("ad")}, {"prefix": {"a": {"value": "ad"}}}, {"a": "admin"}, {"a": "bad"}),
        ({"a": exists()}, {"exists": {"field": "a"}}, {"a": ""}, {"a": None}),
        ({"a": missing()}, {"bool": {"must_not": [{"exists": {"field": "a"}}]}}, {"a": []}, {"a": 0}),
        ({"a": at_least(5)}, {"range": {"a": {"gte": 5}}}, {"a": 5}, {"a": 4.9}),
        ({"a": above(5)}, {"range": {"a": {"gt": 5}}}, {"a": 5.1}, {"a": 5}),
        ({"a": at_most(5)}, {"range": {"a": {"lte": 5}}}, {"a": 5}, {"a": 6}),
        ({"a": below(5)}, {"range": {"a": {"lt": 5}}}, {"a": 4}, {"a": 5}),
        ({"a": between(1, 2)}, {"range": {"a": {"gte": 1, "lte": 2}}}, {"a": 1}, {"a": 3}),
        ({"a": cidr("10.0.0.0/8")}, {"terms": {"a": ["10.0.0.0/8"]}}, {"a": "10.1.2.3"}, {"a": "11.1.1.1"}),
        ({"a": cidr("2001:db8::/32")}, {"terms": {"a": ["2001:db8::/32"]}}, {"a": "2001:db8::1"}, {"a": "garbage"}),
        (
            {"a": "x", "b": 1},
            {"bool": {"filter": [{"term": {"a": {"value": "x"}}}, {"term": {"b": {"value": 1}}}]}},
            {"a": "x", "b": 1},
            {"a": "x", "b": 2},
        ),
        (
            any_of({"a": "x"}, {"b": "y"}),
            {
                "bool": {
                    "should": [{"term": {"a": {"value": "x"}}}, {"term": {"b": {"value": "y"}}}],
                    "minimum_should_match": 1,
                }
            },
            {"b": "y"},
            {"a": "y", "b": "x"},
        ),
        (all_of({"a": "x"}), {"term": {"a": {"value": "x"}}}, {"a": "x"}, {}),
        (none_of({"a": "x"}), {"bool": {"must_not": [{"term": {"a": {"value": "x"}}}]}}, {}, {"a": "x"}),
        ({"a": contains("x*")}, {"wildcard": {"a": {"value": r"*x\**"}}}, {"a": "ax*b"}, {"a": "axb"}),
        ({"a": True}, {"term": {"a": {"value": True}}}, {"a": "true"}, {"a": False}),
    ],
)
def test_a_where_is_a_query_and_selects_the_same_in_python(
    where: Where, query: dict[str, Any], fits: dict[str, Any], does_not: dict[str, Any] | None
) -> None:
    clause = compile_where(where)
    assert clause.query() == query
    assert clause.matches(fits)
    assert does_not is None or not clause.matches(does_not)


def test_fields_are_found_nested_and_dotted_and_in_lists() -> None:
    assert compile_where({"event.code": "LOGIN_FAILURE", "user.id": "alice"}).matches(FAILURE)
    assert values_of(FAILURE, "siemlite.number.rows") == [12.0]
    assert values_of({"a": [{"b": 1}, {"b": [2, 3]}]}, "a.b") == [1, 2, 3]
    assert values_of({"a.b": {"c": 1}}, "a.b.c") == [1]
    assert values_of({"a": {"b": 1}}, "a") == []


def test_a_raw_clause_is_passed_on_and_answered_by_elasticsearch_only() -> None:
    clause = compile_where(raw({"wildcard": {"user.id": "adm*"}}, "user.id"))
    assert clause.query() == {"wildcard": {"user.id": "adm*"}}
    assert clause.fields() == ("user.id",)
    with pytest.raises(NotImplementedError):
        clause.matches({})


def test_a_phrase_is_answered_by_elasticsearch_only() -> None:
    clause = compile_where({"message": phrase("failed password")})
    assert clause.query() == {"match_phrase": {"message": {"query": "failed password"}}}
    with pytest.raises(NotImplementedError):
        clause.matches({"message": "failed password"})


def test_a_raw_clause_takes_its_fields_one_by_one_or_as_a_list() -> None:
    query = {"wildcard": {"user.id": "adm*"}}
    assert raw(query, ["user.id", "user.name"]) == raw(query, "user.id", "user.name")
    wrong: Any = ({"user.id"}, 5, ["user.id", ["user.name"]], "")
    for about in wrong:
        with pytest.raises(ConfigurationError, match=r"a field of raw\(…\) is .*; give a field name such as"):
            raw(query, about)


def test_the_name_of_metadata_may_be_any_text() -> None:
    for name in ("siemlite.data.größe (cm)", "siemlite.number.größe"):
        assert compile_where({name: 7}).fields() == (name,)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("event.code", "where is a str; give a mapping"),
        ({"": 1}, "a field of where is ''; give a field name such as 'source.address'"),
        ({"user.id|startswith": "a"}, "a field of where is 'user.id|startswith'; give a field name"),
        ({"event.*": "X"}, "a field of where is 'event.*'; give a field name"),
        ({"a": None}, "where['a']: None selects nothing; use missing()"),
        ({"a": []}, "where['a']: an empty list selects nothing"),
        ({"a": [None]}, "where['a']: None in a list"),
        ({"a": object()}, "where['a']: a object is no condition"),
        ({"siemlite.data.rows": between(10, 100)}, "name rows in SIEMLITE_MEASURE and use siemlite.number.rows"),
        ({"siemlite.data.peer": not_(cidr("10.0.0.0/8"))}, "metadata is text and no address; log it as `ip`"),
        ({"siemlite.data.cmd": contains("x")}, "does not look within metadata; use prefix(…), or a Custom whose"),
        ({"siemlite.data.cmd": phrase("x")}, "does not look within metadata"),
        ({"message": "Failed password"}, "message is text, of which Elasticsearch knows the words; use phrase('Failed"),
        ({"message": not_("failed")}, "use phrase('failed')"),
        ({"message": ["timeout", "refused"]}, "use phrase('timeout', 'refused')"),
        ({"siemlite.data": prefix("x")}, "name what is in it, such as siemlite.data.NAME"),
        ({"message": prefix("Failed")}, "use phrase('Failed')"),
        ({"error.message": contains("refused")}, "use phrase('refused')"),
        (
            {"user.id": phrase("root")},
            "phrase(…) looks for words of a text such as message; use contains(…) for user.id",
        ),
        ({"source.ip": prefix("10.")}, "source.ip is of type ip, of which no part can be looked for; use cidr(…)"),
        ({"source.port": contains("8")}, "source.port is of type long, of which no part can be looked for; give a val"),
        ({"siemlite.number.n": prefix("8")}, "siemlite.number.n is of type double"),
    ],
)
def test_a_wrong_where_names_the_field_and_the_repair(wrong: Any, words: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        compile_where(wrong)
    assert words in str(error.value)


def test_wrong_tests_say_how_they_are_written() -> None:
    number: Any = "5"
    no_text: Any = 10
    for make, words in (
        (lambda: cidr("10.0.0.1/8"), "has host bits set"),
        (cidr, "takes one or more networks"),
        (lambda: cidr(no_text), "cidr(10) is no text"),
        (lambda: prefix(""), "texts that are not empty"),
        (contains, "contains(…) takes one or more texts"),
        (lambda: contains("x" * 1025), "contains(…) of more than 1,024 characters matches nothing"),
        (lambda: phrase("failed", "…"), "phrase('…') holds no word"),
        (lambda: at_least(number), "'5' is no number"),
        (any_of, "takes one or more alternatives"),
        (lambda: raw({}), "takes one query clause"),
    ):
        with pytest.raises(ConfigurationError) as error:
            make()
        assert words in str(error.value)


def test_a_text_that_was_cut_is_found_as_the_guide_says() -> None:
    name = "user_agent.original"
    clause = compile_where(any_of({name: contains("sqlmap")}, {name: contains("…sha256:")}))
    for agent, found in (("sqlmap/1.5", True), ("A" * 1100 + " sqlmap/1.5", True), ("curl/8", False)):
        assert clause.matches({name: shortened(agent)}) == found
