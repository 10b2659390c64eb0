"""What the fields of a definition may hold; each check raises `ConfigurationError` with the field and the repair."""

import re

from pipeline.errors import ConfigurationError

WINDOW_MAX_MS = 366 * 86_400_000
_NAMED_BY_APPLICATIONS = ("siemlite.data.", "siemlite.number.")
_FIELD = re.compile(r"[@\w][\w@.-]*", re.ASCII)


def flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False: a text such as "no" would count as True."""
    if not isinstance(value, bool):
        raise wrong(name, value, "give True or False")


def wrong(name: str, value: object, repair: str) -> ConfigurationError:
    """Return the error for the field `name` of a definition."""
    shown = repr(value)
    return ConfigurationError(f"{name} is {shown if len(shown) <= 80 else shown[:77] + '…'}; {repair}")


def whole(name: str, value: object, least: int = 1) -> None:
    """Raise `ConfigurationError` unless `value` is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise wrong(name, value, f"give a whole number of at least {least}")


def duration(name: str, value: object, *, zero: bool = False) -> None:
    """Raise `ConfigurationError` unless `value` is a duration in whole milliseconds."""
    if isinstance(value, bool) or not isinstance(value, int) or value < (0 if zero else 1):
        raise wrong(name, value, "give a duration such as minutes(15)")
    if value > WINDOW_MAX_MS:
        raise wrong(name, value, "give a duration of at most 366 days")


def field_name(name: str, value: object) -> None:
    """Raise `ConfigurationError` unless `value` is the name of a field."""
    if not isinstance(value, str) or _FIELD.fullmatch(value) is None:
        raise wrong(name, value, "give a field name such as 'source.address'")


def any_name(name: str, value: object) -> None:
    """Raise `ConfigurationError` unless `value` is the name of a field; what applications name may be any text."""
    if not isinstance(value, str) or not value.startswith(_NAMED_BY_APPLICATIONS):
        field_name(name, value)
