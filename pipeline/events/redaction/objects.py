"""Turning a Python object that is no JSON value into one, without running any of its own code.

Invariants: no `__repr__`, `__str__`, property or `__getattr__` of an application's class runs; fields are
read from where the interpreter keeps them; an iterator is not consumed; what has no safe form becomes the
name of its type. The exceptions are collections (`Mapping`, and sequences with `_asdict`, as a database's rows are),
whose items can only be had by asking, and time zones. What is returned still has to be walked: it may hold further
objects and secrets.
"""

import ipaddress
import numbers
import operator
import uuid
from collections import deque
from collections.abc import Callable, ItemsView, KeysView, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from pathlib import PurePath
from types import GetSetDescriptorType, MappingProxyType, MemberDescriptorType, SimpleNamespace
from typing import Any

LONG_MAX = 2**63 - 1
LONG_MIN = -(2**63)
MAX_COLLECTION = 10_000
"""Items read from a collection whose items can only be had by asking it."""

MAX_BINARY = 16_384
"""Bytes read of what is no text: all the look for secrets would see beyond is noise, at seconds for a megabyte."""

_HEAP_TYPE = 1 << 9
_CACHE_MAX = 2_000
_INT_DIGITS_MAX = 4_000
_NOTHING = frozenset({"NaTType", "NAType"})
"""What stands in pandas where there is no value; one of them is a `datetime` of the year 1 by its class."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of an object, by name."""

    by_name: dict[str, object]


Simple = Callable[[Any], object]


def type_label(value: object) -> str:
    """Return what stands for an object that has no safe form."""
    return f"<{type(value).__name__}>"


def whole_number(value: int) -> int | str:
    """Return an integer that 64 bits hold, or its digits as text."""
    exact = int.__add__(value, 0)
    if LONG_MIN <= exact <= LONG_MAX:
        return exact
    return str(exact) if exact.bit_length() < 3 * _INT_DIGITS_MAX else f"<int of {exact.bit_length()} bits>"


def real_number(value: float) -> float | str:
    """Return a finite number, or its name as text."""
    exact = float.__add__(value, 0.0)
    return exact if exact - exact == 0.0 else repr(exact)


def is_nothing(value: object) -> bool:
    """Return whether `value` stands where there is none: `None`, or what pandas puts in its place."""
    return value is None or _is_of_nothing(type(value))


def _is_of_nothing(kind: type) -> bool:
    try:
        return kind.__name__ in _NOTHING and kind.__module__.startswith("pandas.")
    except Exception:  # noqa: BLE001 - a class's own class may raise anything
        return False


def _instant(value: datetime) -> str:
    if value.tzinfo is not None and value.utcoffset() is not None:
        return datetime.isoformat(value.astimezone(UTC).replace(tzinfo=None)) + "Z"
    return datetime.isoformat(value.replace(tzinfo=None))


def _octets(value: bytes | bytearray | memoryview) -> str:
    octets = bytes(value)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        kept = octets[:MAX_BINARY]
    if len(kept) < len(octets):
        # A secret that is cut is not known as one: no word, and no group of digits, may be.
        kept = kept[: max(kept.rfind(b" "), kept.rfind(b"\n"), 0)].rstrip(b"0123456789-+ \xa0\n")
    left_out = f" ...{len(octets) - len(kept)} bytes more" if len(kept) < len(octets) else ""
    return kept.decode("utf-8", "backslashreplace") + left_out


def _text(value: str) -> str:
    return str.__str__(value)


def _mapping(value: Mapping[object, object]) -> object:
    return dict(islice(((key, value[key]) for key in value), MAX_COLLECTION))


def _exception(value: BaseException) -> object:
    args = value.args
    plain = all(type(arg) in (str, int, float, bool, type(None)) for arg in args)
    if plain and len(args) == 1:
        message: object = args[0]
    elif plain and isinstance(value, OSError):
        message = OSError.__str__(value)
    else:
        message = next((arg for arg in args if type(arg) is str), "")
    return {"type": type(value).__name__, "message": message, "args": tuple(args)}


_NAMESPACE_FIELDS: Any = vars(SimpleNamespace)["__dict__"]
_BY_TYPE: dict[type, Simple] = {
    bool: bool,
    str: _text,
    int: whole_number,
    float: real_number,
    bytes: _octets,
    bytearray: _octets,
    memoryview: _octets,
    datetime: _instant,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: timedelta.total_seconds,
    Decimal: Decimal.__str__,
    uuid.UUID: uuid.UUID.__str__,
    PurePath: PurePath.__str__,
    ipaddress.IPv4Address: str,
    ipaddress.IPv6Address: str,
    ipaddress.IPv4Network: str,
    ipaddress.IPv6Network: str,
    ipaddress.IPv4Interface: str,
    ipaddress.IPv6Interface: str,
    dict: lambda value: dict(dict.copy(value)),
    list: lambda value: list.__getitem__(value, slice(None)),
    set: lambda value: list(set.__iter__(value)),
    frozenset: lambda value: list(frozenset.__iter__(value)),
    deque: lambda value: list(deque.__iter__(value)),
    type({}.keys()): list,
    type({}.values()): list,
    type({}.items()): list,
    BaseException: _exception,
    SimpleNamespace: lambda value: Fields(dict(_NAMESPACE_FIELDS.__get__(value))),
}


class ObjectReader:
    """Reads objects. `is_sensitive` judges the name of a type: an instance of `Secret` is one as a whole.

    Remembers how to read each type; bounded against types made at run time.
    """

    __slots__ = ("_is_sensitive", "_marker", "_readers")

    def __init__(self, is_sensitive: Callable[[str], bool], marker: str) -> None:
        self._is_sensitive = is_sensitive
        self._marker = marker
        self._readers: dict[type, Simple] = {}

    def read(self, value: object) -> object:
        """Return a JSON scalar, an exact `dict` or `list` still to be walked, or `Fields`."""
        kind = type(value)
        reader = self._readers.get(kind)
        if reader is None:
            if len(self._readers) >= _CACHE_MAX:
                self._readers.clear()
            try:
                reader = self._reader(kind)
            except Exception:  # noqa: BLE001 - a class whose own class raises is named like its instances
                reader = type_label
            self._readers[kind] = reader
        try:
            return reader(value)
        except Exception:  # noqa: BLE001 - an object that cannot be read is named, whatever its code raises
            return type_label(value)

    def _reader(self, kind: type) -> Simple:
        if issubclass(kind, type):
            return type_label
        if issubclass(kind, Enum):
            return lambda member: member._value_
        if issubclass(kind, tuple):
            names = _lookup(kind, "_fields")
            if isinstance(names, tuple) and all(isinstance(name, str) for name in names):
                return lambda value: Fields(dict(zip(names, tuple.__iter__(value), strict=False)))
            return lambda value: list(tuple.__iter__(value))
        if _is_of_nothing(kind):
            return lambda _: None
        for parent in kind.__mro__:
            simple = _BY_TYPE.get(parent)
            if simple is not None:
                return simple
        if self._is_sensitive(kind.__name__) or _lookup(kind, "get_secret_value") is not None:
            return lambda _: self._marker
        return _collection_reader(kind) or _number_reader(kind) or _fields_reader(kind) or type_label


def _lookup(kind: type, name: str) -> object | None:
    """Return a class's attribute without running code of the class or of its own class."""
    return next((vars(parent)[name] for parent in kind.__mro__ if name in vars(parent)), None)


def _collection_reader(kind: type) -> Simple | None:
    if issubclass(kind, Mapping | MappingProxyType):
        return _mapping
    if issubclass(kind, Sequence) and callable(_lookup(kind, "_asdict")):
        return lambda row: _mapping(row._asdict())
    if issubclass(kind, KeysView | ValuesView | ItemsView):
        return lambda value: list(islice(value, MAX_COLLECTION))
    return None


def _number_reader(kind: type) -> Simple | None:
    """Numbers of libraries, such as NumPy's, whose truth values are none by their kind, as Python's are."""
    if kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_"):
        return bool
    if kind.__module__ == "numpy" and kind.__name__ == "datetime64":
        return str
    if issubclass(kind, numbers.Integral):
        return lambda value: whole_number(operator.index(value))
    if issubclass(kind, numbers.Real) and _lookup(kind, "__float__") is not None:
        return lambda value: real_number(float(value))
    return None


def _fields_reader(kind: type) -> Simple | None:
    """Read `__dict__` and `__slots__` through the interpreter's own descriptors."""
    slots: dict[str, MemberDescriptorType] = {}
    instance_dict: GetSetDescriptorType | None = None
    for parent in reversed(kind.__mro__):
        if not parent.__flags__ & _HEAP_TYPE or parent.__module__ == "builtins":
            continue
        for name, member in vars(parent).items():
            if type(member) is MemberDescriptorType and "__slots__" in vars(parent):
                slots[name] = member
            elif name == "__dict__" and type(member) is GetSetDescriptorType:
                instance_dict = member
    if not slots and instance_dict is None:
        return None

    def read(value: object) -> object:
        found: dict[str, object] = {}
        for name, member in slots.items():
            try:
                found[name] = member.__get__(value)
            except AttributeError:
                continue
        own = instance_dict.__get__(value) if instance_dict is not None else {}
        if type(own) is dict:
            found.update(own)
        extra = found.get("__pydantic_extra__")
        public = {name: item for name, item in found.items() if type(name) is str and not name.startswith("_")}
        if type(extra) is dict:
            public.update(extra)
        return Fields(public) if public else type_label(value)

    return read
