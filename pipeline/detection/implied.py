"""Whether one clause takes all the events of another, as far as that can be told from how they are written."""

from pipeline.detection.conditions import Exists, Inverse, OneOf, Phrase, Test
from pipeline.detection.where import All, AnyOf, Clause, Field


def takes_all_of(earlier: Clause, later: Clause) -> bool:
    """Return whether every event that fits `later` surely fits `earlier`; false where that cannot be told."""
    if earlier == later:
        return True
    if isinstance(earlier, All):
        return all(takes_all_of(part, later) for part in earlier.clauses)
    if isinstance(later, AnyOf):
        return all(takes_all_of(earlier, part) for part in later.clauses)
    if isinstance(later, All):
        return any(takes_all_of(earlier, part) for part in later.clauses)
    if isinstance(earlier, AnyOf):
        return any(takes_all_of(part, later) for part in earlier.clauses)
    if isinstance(earlier, Field) and isinstance(later, Field) and earlier.name == later.name:
        return _accepts_all_of(earlier.test, later.test)
    return False


def _accepts_all_of(earlier: Test, later: Test) -> bool:
    if isinstance(earlier, Inverse | Phrase) or isinstance(later, Inverse):
        return False
    if isinstance(earlier, Exists):
        return True
    if isinstance(earlier, OneOf) and isinstance(later, OneOf):
        return later.words <= earlier.words
    return isinstance(later, OneOf) and all(earlier.accepts((value,)) for value in later.values)
