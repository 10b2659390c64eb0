"""Which events a detection looks at: a mapping from fields to conditions, as authors write it.

    where={
        "event.code": ["LOGIN_FAILURE", "ACCESS_DENIED"],  # one of them
        "user.id": not_("healthcheck"),
        "source.ip": not_(cidr("10.0.0.0/8", "192.168.0.0/16")),
        "siemlite.number.rows": at_least(10_000),
        "service.name": prefix("auth-"),
        "user_agent.original": contains("sqlmap"),
        "message": phrase("failed password"),
        "user.email": exists(),
    }

All fields of a mapping must fit; `any_of` and `all_of` combine mappings; `raw` is a clause in
Elasticsearch's own words. Invariant: the query clause (`clause.query()`) and `clause.matches(document)`
select the same events, but for `raw` and `phrase`, which only Elasticsearch can answer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.detection.conditions import Query, Test, either, test_of
from pipeline.detection.fitting import refuse_unfit
from pipeline.detection.validation import any_name
from pipeline.errors import ConfigurationError

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
        return either([clause.query() for clause in self.clauses])

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


Where = Mapping[str, Any] | Clause
"""What authors write: a mapping from fields to a value, a list of values or a test; or a whole clause."""

EVERYTHING = All()


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


def raw(clause: Query, *about: str | list[str] | tuple[str, ...]) -> Raw:
    """Return an Elasticsearch query clause as it is; `about` names the fields it looks at, for `siemlite check`.

    Raises `ConfigurationError` where either is no such thing.
    """
    if not isinstance(clause, dict) or len(clause) != 1:
        raise ConfigurationError("raw(…) takes one query clause such as {'wildcard': {'user.id': 'adm*'}}")
    names = [name for part in about for name in (part if isinstance(part, list | tuple) else (part,))]
    for name in names:
        any_name("a field of raw(…)", name)
    return Raw(clause, tuple(names))


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
        any_name("a field of where", name)
        try:
            test = test_of(condition)
            refuse_unfit(name, test)
            clauses.append(Field(name, test))
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
