"""Which events a detection looks at: a mapping from fields to conditions, as authors write it.

    where={
        "event.code": ["LOGIN_FAILURE", "ACCESS_DENIED"],  # one of them
        "user.id": not_("healthcheck"),
        "source.ip": not_(cidr("10.0.0.0/8", "192.168.0.0/16")),
        "siemlite.number.rows": at_least(10_000),
        "service.name": prefix("auth-"),
        "user.email": exists(),
    }

All fields of a mapping must fit; `any_of` and `all_of` combine mappings; `raw` is a clause in
Elasticsearch's own words. Invariant: the query clause (`clause.query()`) and `clause.matches(document)`
select the same events, but for `raw`, which only Elasticsearch can answer.
"""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.detection.timeline import Scalar
from pipeline.errors import ConfigurationError

Query = dict[str, Any]
Document = Mapping[str, Any]


class Clause(Protocol):
    """A condition on an event."""

    def query(self) -> Query:
        """Return the condition as an Elasticsearch query clause."""
        ...

    def matches(self, document: Document) -> bool:
        """Return whether an event document fits."""
        ...

    def fields(self) -> tuple[str, ...]:
        """Return the fields that the condition looks at."""
        ...


class Test(Protocol):
    """A condition on the values of one field."""

    def query(self, name: str) -> Query:
        """Return the condition on the field `name` as a query clause."""
        ...

    def accepts(self, values: Sequence[Any]) -> bool:
        """Return whether a field with `values` (none where it is missing) fits."""
        ...


@dataclass(frozen=True, slots=True)
class OneOf:
    """The field has one of `values`."""

    values: tuple[Scalar, ...]

    def query(self, name: str) -> Query:
        """See `Test.query`."""
        if len(self.values) == 1:
            return {"term": {name: {"value": self.values[0]}}}
        return {"terms": {name: list(self.values)}}

    def accepts(self, values: Sequence[Any]) -> bool:
        """See `Test.accepts`."""
        wanted = {_word(value) for value in self.values}
        return any(_word(value) in wanted for value in values)


@dataclass(frozen=True, slots=True)
class Range:
    """The field has a number within the limits that are given."""

    gte: float | None = None
    gt: float | None = None
    lte: float | None = None
    lt: float | None = None

    def query(self, name: str) -> Query:
        """See `Test.query`."""
        limits = {"gte": self.gte, "gt": self.gt, "lte": self.lte, "lt": self.lt}
        return {"range": {name: {word: limit for word, limit in limits.items() if limit is not None}}}

    def accepts(self, values: Sequence[Any]) -> bool:
        """See `Test.accepts`."""
        return any(self._within(value) for value in values if isinstance(value, int | float))

    def _within(self, value: float) -> bool:
        return (
            (self.gte is None or value >= self.gte)
            and (self.gt is None or value > self.gt)
            and (self.lte is None or value <= self.lte)
            and (self.lt is None or value < self.lt)
        )


@dataclass(frozen=True, slots=True)
class Prefix:
    """The field begins with one of `values`."""

    values: tuple[str, ...]

    def query(self, name: str) -> Query:
        """See `Test.query`."""
        return _or([{"prefix": {name: {"value": value}}} for value in self.values])

    def accepts(self, values: Sequence[Any]) -> bool:
        """See `Test.accepts`."""
        return any(_word(value).startswith(self.values) for value in values)


@dataclass(frozen=True, slots=True)
class Cidr:
    """The field is an IP address in one of `networks`; it must be mapped as `ip` (`source.ip` is)."""

    networks: tuple[str, ...]

    def query(self, name: str) -> Query:
        """See `Test.query`."""
        return {"terms": {name: list(self.networks)}}

    def accepts(self, values: Sequence[Any]) -> bool:
        """See `Test.accepts`."""
        parsed = [ipaddress.ip_network(network) for network in self.networks]
        return any(_address(value) in network for value in values for network in parsed if _address(value) is not None)


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value."""

    def query(self, name: str) -> Query:
        """See `Test.query`."""
        return {"exists": {"field": name}}

    def accepts(self, values: Sequence[Any]) -> bool:
        """See `Test.accepts`."""
        return len(values) > 0


@dataclass(frozen=True, slots=True)
class Inverse:
    """The field does not fit `test`; a missing field does not fit most tests, and so fits this."""

    test: Test

    def query(self, name: str) -> Query:
        """See `Test.query`."""
        return {"bool": {"must_not": [self.test.query(name)]}}

    def accepts(self, values: Sequence[Any]) -> bool:
        """See `Test.accepts`."""
        return not self.test.accepts(values)


@dataclass(frozen=True, slots=True)
class Field:
    """The field `name` passes `test`."""

    name: str
    test: Test

    def query(self) -> Query:
        """See `Clause.query`."""
        return self.test.query(self.name)

    def matches(self, document: Document) -> bool:
        """See `Clause.matches`."""
        return self.test.accepts(values_of(document, self.name))

    def fields(self) -> tuple[str, ...]:
        """See `Clause.fields`."""
        return (self.name,)


@dataclass(frozen=True, slots=True)
class All:
    """All of `clauses` fit; none at all fits every event."""

    clauses: tuple[Clause, ...] = ()

    def query(self) -> Query:
        """See `Clause.query`."""
        if not self.clauses:
            return {"match_all": {}}
        if len(self.clauses) == 1:
            return self.clauses[0].query()
        return {"bool": {"filter": [clause.query() for clause in self.clauses]}}

    def matches(self, document: Document) -> bool:
        """See `Clause.matches`."""
        return all(clause.matches(document) for clause in self.clauses)

    def fields(self) -> tuple[str, ...]:
        """See `Clause.fields`."""
        return tuple(dict.fromkeys(name for clause in self.clauses for name in clause.fields()))


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of `clauses` fits."""

    clauses: tuple[Clause, ...]

    def query(self) -> Query:
        """See `Clause.query`."""
        return _or([clause.query() for clause in self.clauses])

    def matches(self, document: Document) -> bool:
        """See `Clause.matches`."""
        return any(clause.matches(document) for clause in self.clauses)

    def fields(self) -> tuple[str, ...]:
        """See `Clause.fields`."""
        return tuple(dict.fromkeys(name for clause in self.clauses for name in clause.fields()))


@dataclass(frozen=True, slots=True)
class NoneOf:
    """`clause` does not fit."""

    clause: Clause

    def query(self) -> Query:
        """See `Clause.query`."""
        return {"bool": {"must_not": [self.clause.query()]}}

    def matches(self, document: Document) -> bool:
        """See `Clause.matches`."""
        return not self.clause.matches(document)

    def fields(self) -> tuple[str, ...]:
        """See `Clause.fields`."""
        return self.clause.fields()


@dataclass(frozen=True, slots=True)
class Raw:
    """A query clause in Elasticsearch's own words; `about` names the fields that it looks at."""

    clause: Query = field(hash=False)
    about: tuple[str, ...] = ()

    def query(self) -> Query:
        """See `Clause.query`."""
        return self.clause

    def matches(self, document: Document) -> bool:
        """Raise `NotImplementedError`: only Elasticsearch can answer."""
        raise NotImplementedError("a raw clause is answered by Elasticsearch only")

    def fields(self) -> tuple[str, ...]:
        """See `Clause.fields`."""
        return self.about


Condition = Test | Scalar | list[Scalar] | tuple[Scalar, ...] | list[str] | list[int]
Where = Mapping[str, Any] | Clause
"""What authors write: a mapping from fields to a value, a list of values or a test; or a whole clause."""

EVERYTHING = All()


def not_(condition: Condition) -> Inverse:
    """Return the test that fits where `condition` does not, a missing field included."""
    return Inverse(_test(condition))


def one_of(*values: Scalar) -> OneOf:
    """Return the test for one of `values`."""
    return OneOf(_scalars(values))


def at_least(limit: float) -> Range:
    """Return the test for a number of `limit` or more."""
    return Range(gte=_number(limit))


def at_most(limit: float) -> Range:
    """Return the test for a number of `limit` or less."""
    return Range(lte=_number(limit))


def above(limit: float) -> Range:
    """Return the test for a number greater than `limit`."""
    return Range(gt=_number(limit))


def below(limit: float) -> Range:
    """Return the test for a number less than `limit`."""
    return Range(lt=_number(limit))


def between(low: float, high: float) -> Range:
    """Return the test for a number from `low` to `high`, both included."""
    return Range(gte=_number(low), lte=_number(high))


def prefix(*values: str) -> Prefix:
    """Return the test for text that begins with one of `values`."""
    if not values or not all(isinstance(value, str) and value for value in values):
        raise ConfigurationError("prefix(…) takes one or more texts that are not empty")
    return Prefix(values)


def cidr(*networks: str) -> Cidr:
    """Return the test for an IP address in one of `networks`, such as `10.0.0.0/8`."""
    if not networks:
        raise ConfigurationError("cidr(…) takes one or more networks such as 10.0.0.0/8")
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ConfigurationError(f"cidr({network!r}): {error}") from None
    return Cidr(networks)


def exists() -> Exists:
    """Return the test for a field that has a value."""
    return Exists()


def missing() -> Inverse:
    """Return the test for a field that has no value."""
    return Inverse(Exists())


def any_of(*alternatives: Where) -> AnyOf:
    """Return the clause that fits where one of `alternatives` does."""
    if not alternatives:
        raise ConfigurationError("any_of(…) takes one or more alternatives")
    return AnyOf(tuple(compile_where(alternative) for alternative in alternatives))


def all_of(*parts: Where) -> All:
    """Return the clause that fits where all of `parts` do."""
    return All(tuple(compile_where(part) for part in parts))


def none_of(*parts: Where) -> NoneOf:
    """Return the clause that fits where none of `parts` does."""
    return NoneOf(any_of(*parts))


def raw(clause: Query, *about: str) -> Raw:
    """Return an Elasticsearch query clause as it is; `about` names the fields it looks at, for `siemlite check`."""
    if not isinstance(clause, dict) or len(clause) != 1:
        raise ConfigurationError("raw(…) takes one query clause such as {'wildcard': {'user.id': 'adm*'}}")
    return Raw(clause, about)


def compile_where(where: Where) -> Clause:
    """Return what an author wrote as a clause; raises `ConfigurationError` that names the field and the repair."""
    if not isinstance(where, Mapping):
        if all(hasattr(where, name) for name in ("query", "matches", "fields")):
            return where
        raise ConfigurationError(
            f"where is a {type(where).__name__}; give a mapping such as {{'event.code': 'LOGOUT'}}"
        )
    clauses: list[Clause] = []
    for name, condition in where.items():
        if not isinstance(name, str) or not name.strip():
            raise ConfigurationError(f"where has {name!r} for a field name; give a name such as 'event.code'")
        try:
            clauses.append(Field(name, _test(condition)))
        except ConfigurationError as error:
            raise ConfigurationError(f"where[{name!r}]: {error}") from None
    return clauses[0] if len(clauses) == 1 else All(tuple(clauses))


def values_of(document: Document, name: str) -> list[Any]:
    """Return the values of the field `name`, which may be nested, dotted, or both; none where it is missing."""
    return [value for value in _leaves(document, name) if value is not None]


def _leaves(tree: Any, name: str) -> Iterator[Any]:
    if isinstance(tree, list | tuple):
        for item in tree:
            yield from _leaves(item, name)
        return
    if not isinstance(tree, Mapping):
        return
    if name in tree:
        yield from _flat(tree[name])
    start = name.find(".")
    while start >= 0:
        if name[:start] in tree:
            yield from _leaves(tree[name[:start]], name[start + 1 :])
        start = name.find(".", start + 1)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _flat(item)
    elif not isinstance(value, Mapping):
        yield value


def _test(condition: Any) -> Test:
    if isinstance(condition, bool | int | float | str):
        return OneOf((condition,))
    if isinstance(condition, list | tuple | set | frozenset):
        return OneOf(
            _scalars(tuple(sorted(condition, key=repr) if isinstance(condition, set | frozenset) else condition))
        )
    if condition is None:
        raise ConfigurationError("None selects nothing; use missing() for a field without a value")
    if hasattr(condition, "accepts") and hasattr(condition, "query"):
        test: Test = condition
        return test
    raise ConfigurationError(f"a {type(condition).__name__} is no condition; give a value, a list of values, or a test")


def _scalars(values: tuple[Any, ...]) -> tuple[Scalar, ...]:
    if not values:
        raise ConfigurationError("an empty list selects nothing; name at least one value")
    for value in values:
        if not isinstance(value, bool | int | float | str):
            raise ConfigurationError(f"{value!r} in a list of values is a {type(value).__name__}; give text or numbers")
    return values


def _number(limit: Any) -> float:
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise ConfigurationError(f"{limit!r} is no number; give a limit such as 1000")
    return limit


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _address(value: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        return None


def _or(queries: list[Query]) -> Query:
    if len(queries) == 1:
        return queries[0]
    return {"bool": {"should": queries, "minimum_should_match": 1}}
