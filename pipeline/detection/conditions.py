"""Conditions on the values of one field, as authors write them: a value, a list of values, or a test.

Invariant: a test's query clause and `accepts` select the same values, but for `phrase`, whose words only Elasticsearch
can tell; what is no condition is refused when it is written, with the repair.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

from pipeline.detection.timeline import Scalar
from pipeline.errors import ConfigurationError
from pipeline.events.fields import KEYWORD_MAX

Query = dict[str, Any]
_WILD, _ESCAPED = re.compile(r"([*?\\])"), r"\\\1"


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
        wanted = self.words
        return any(_word(value) in wanted for value in values)

    @property
    def words(self) -> frozenset[str]:
        """Return the values as a keyword has them."""
        return frozenset(_word(value) for value in self.values)


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
        return either([{"prefix": {name: {"value": value}}} for value in self.values])

    def accepts(self, values: Sequence[Any]) -> bool:
        """See `Test.accepts`."""
        return any(_word(value).startswith(self.values) for value in values)


@dataclass(frozen=True, slots=True)
class Contains:
    """One of `values` stands somewhere in the field, which must be mapped as a keyword."""

    values: tuple[str, ...]

    def query(self, name: str) -> Query:
        """See `Test.query`."""
        return either([{"wildcard": {name: {"value": f"*{_WILD.sub(_ESCAPED, value)}*"}}} for value in self.values])

    def accepts(self, values: Sequence[Any]) -> bool:
        """See `Test.accepts`."""
        return any(part in _word(value) for value in values for part in self.values)


@dataclass(frozen=True, slots=True)
class Phrase:
    """The words of one of `values` follow one another in the field, which must be mapped as text."""

    values: tuple[str, ...]

    def query(self, name: str) -> Query:
        """See `Test.query`."""
        return either([{"match_phrase": {name: {"query": value}}} for value in self.values])

    def accepts(self, values: Sequence[Any]) -> bool:
        """Raise `NotImplementedError`: what a word is, only Elasticsearch can tell."""
        raise NotImplementedError("a phrase is found by Elasticsearch only")


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


Condition = Test | Scalar | list[Scalar] | tuple[Scalar, ...] | list[str] | list[int]
"""What stands for a test: a value, or a list of which the field has one."""


def not_(condition: Condition) -> Inverse:
    """Return the test that fits where `condition` does not, a missing field included."""
    return Inverse(test_of(condition))


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
    if _number(low) > _number(high):
        raise ConfigurationError(f"between({low}, {high}) holds no number; give the smaller one first")
    return Range(gte=low, lte=high)


def prefix(*values: str) -> Prefix:
    """Return the test for text that begins with one of `values`."""
    return Prefix(_kept("prefix", values))


def contains(*values: str) -> Contains:
    """Return the test for a keyword in which one of `values` stands somewhere, in the same letters."""
    return Contains(_kept("contains", values))


def phrase(*values: str) -> Phrase:
    """Return the test for text, such as `message`, in which the words of one of `values` follow one another.

    Upper and lower case are the same, and so is what stands between words.
    """
    for value in _texts("phrase", values):
        if not any(letter.isalnum() for letter in value):
            raise ConfigurationError(f"phrase({value!r}) holds no word; give one or more")
    return Phrase(values)


def cidr(*networks: str) -> Cidr:
    """Return the test for an IP address in one of `networks`, such as `10.0.0.0/8`."""
    if not networks:
        raise ConfigurationError("cidr(…) takes one or more networks such as 10.0.0.0/8")
    for network in networks:
        if not isinstance(network, str):
            raise ConfigurationError(f"cidr({network!r}) is no text; give networks such as 10.0.0.0/8")
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


def test_of(condition: Any) -> Test:
    """Return the test that `condition` stands for; raises `ConfigurationError` with the repair."""
    if isinstance(condition, bool | int | float | str):
        return OneOf(_scalars((condition,)))
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
        if isinstance(value, float) and not isfinite(value):
            raise ConfigurationError(f"{value!r} is no number that a field could have; give another, or a text")
    return values


def _texts(what: str, values: tuple[Any, ...]) -> tuple[str, ...]:
    if not values or not all(isinstance(value, str) and value for value in values):
        raise ConfigurationError(f"{what}(…) takes one or more texts that are not empty, one by one and not as a list")
    return values


def _kept(what: str, values: tuple[Any, ...]) -> tuple[str, ...]:
    texts = _texts(what, values)
    if any(len(text) > KEYWORD_MAX for text in texts):
        raise ConfigurationError(
            f"{what}(…) of more than {KEYWORD_MAX:,} characters matches nothing: longer texts are cut"
        )
    return texts


def _number(limit: Any) -> float:
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not isfinite(limit):
        raise ConfigurationError(f"{limit!r} is no number that a field can be compared with; give a limit such as 1000")
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


def either(queries: list[Query]) -> Query:
    """Return the clause that fits where one of `queries` does."""
    if len(queries) == 1:
        return queries[0]
    return {"bool": {"should": queries, "minimum_should_match": 1}}
