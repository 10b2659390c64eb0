"""Any value becomes a JSON-safe tree in which nothing under a sensitive name is left."""

import collections
import copy
import dataclasses
import datetime as dt
import decimal
import enum
import ipaddress
import pathlib
import sys
import threading
import types
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import pytest
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from pipeline.events.redaction import CYCLE, MARKER, TRUNCATED, Redactor
from pipeline.events.redaction import plain as plain_module
from pipeline.events.redaction.objects import MAX_BINARY

redactor = Redactor()


def keys(value: object) -> Any:
    result = redactor.keys(value)
    orjson.dumps(result)
    return result


@dataclasses.dataclass
class Account:
    user: str
    password: object


class Slotted:
    __slots__ = ("_hidden", "token", "unset", "user")

    def __init__(self) -> None:
        self.token = "s3cr3t"
        self.user = "bob"
        self._hidden = "h"


class Point(NamedTuple):
    x: int
    pin: int


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    THREE = 3


class Model(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str
    key: SecretStr


def test_the_whole_value_under_a_sensitive_name_is_replaced() -> None:
    event = {"password": "p", "token": ["a"], "cookie": {"a": 1}, "pin": 1234, "secret": None, "ssn": True, "x": "y"}
    assert keys(event) == dict.fromkeys(event, MARKER) | {"x": "y"}


def test_secrets_are_found_at_any_depth() -> None:
    assert keys({"a": [({"b": {"password": "p"}},)]}) == {"a": [[{"b": {"password": MARKER}}]]}


def test_the_input_is_never_changed() -> None:
    event = {"password": "p", "n": {"token": "t", "l": [{"pin": 1}]}, 1: 2, "h": [["Cookie", "c"]], "big": 2**70}
    before = copy.deepcopy(event)
    keys(event)
    assert event == before


def test_a_tree_that_needs_no_change_is_not_copied() -> None:
    event = {"a": 1, "b": ["x", {"c": None}], "d": {"e": 1.5, "f": True}}
    assert redactor.keys(event) is event


def test_the_order_of_members_stays() -> None:
    assert list(keys({"b": 1, "password": 2, "a": 3, 1: 4})) == ["b", "password", "a", "1"]


def test_ten_thousand_levels_end_in_a_marker() -> None:
    tree: dict[str, Any] = {}
    level = tree
    for depth in range(10_000):
        level["password"] = f"secret-{depth}"
        level["next"] = {} if depth % 2 else [{}]
        level = level["next"] if depth % 2 else level["next"][0]
    text = orjson.dumps(keys(tree))
    assert b"secret-" not in text
    assert TRUNCATED.encode() in text


def test_ten_thousand_nested_lists_and_tuples_end_in_a_marker() -> None:
    tree: Any = "deep"
    for depth in range(10_000):
        tree = [tree] if depth % 2 else (tree,)
    assert TRUNCATED.encode() in orjson.dumps(keys(tree))


def test_a_cycle_is_cut_where_it_closes() -> None:
    event: dict[str, Any] = {"a": 1}
    event["self"] = event
    event["list"] = [event]
    account = Account("bob", "p")
    event["account"] = account
    account.user = account  # type: ignore[assignment]
    assert keys(event) == {"a": 1, "self": CYCLE, "list": [CYCLE], "account": {"user": CYCLE, "password": MARKER}}


def test_a_dict_or_a_list_within_itself_is_cut() -> None:
    tree: dict[str, Any] = {}
    tree["x"] = {"y": tree}
    items: list[Any] = [1]
    items.append(items)
    assert keys(tree) == {"x": {"y": CYCLE}}
    assert keys({"items": items}) == {"items": [1, CYCLE]}


def test_a_value_used_twice_is_no_cycle() -> None:
    shared = {"token": "t", "n": 1}
    assert keys({"a": shared, "b": [shared, shared]}) == {
        "a": {"token": MARKER, "n": 1},
        "b": [{"token": MARKER, "n": 1}, {"token": MARKER, "n": 1}],
    }


def test_a_tree_that_multiplies_itself_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_module, "MAX_ITEMS", 10_000)
    lists: Any = ["ha"]
    dicts: Any = {"ha": 1}
    for _ in range(15):
        lists = [lists] * 10
        dicts = {str(number): dicts for number in range(10)}
    for laughs in (lists, dicts):
        text = orjson.dumps(keys({"laughs": laughs}))
        assert TRUNCATED.encode() in text
        assert len(text) < 1_000_000


def test_a_graph_of_objects_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_module, "MAX_OBJECTS", 100)
    accounts = [Account(str(number), "p") for number in range(1_000)]
    assert keys({"accounts": accounts})["accounts"].count(TRUNCATED) == 900


def test_a_wide_tree_is_kept_whole() -> None:
    event = {f"k{number}": number for number in range(50_000)}
    assert keys(event) == event
    assert keys({"l": list(range(100_000))})["l"][-1] == 99_999


def test_objects_with_fields_become_dicts_of_their_public_fields() -> None:
    value = {
        "account": Account("bob", "p"),
        "slotted": Slotted(),
        "point": Point(1, 1234),
        "plain": types.SimpleNamespace(secret="s", a=1),
        "model": Model(name="n", key=SecretStr("k"), cookie="c"),
    }
    assert keys(value) == {
        "account": {"user": "bob", "password": MARKER},
        "slotted": {"token": MARKER, "user": "bob"},
        "point": {"x": 1, "pin": MARKER},
        "plain": {"secret": MARKER, "a": 1},
        "model": {"name": "n", "key": MARKER, "cookie": MARKER},
    }


def test_an_object_whose_type_says_it_holds_a_secret_is_one() -> None:
    class ApiToken:
        def __init__(self) -> None:
            self.value = "t"

    assert keys({"a": SecretStr("s"), "b": ApiToken()}) == {"a": MARKER, "b": MARKER}


def test_scalars_of_the_standard_library_become_text_or_numbers() -> None:
    aware = dt.datetime(2026, 11, 24, 4, 5, 6, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    value = {
        "aware": aware,
        "naive": dt.datetime(2026, 11, 24, 4, 5, 6),  # noqa: DTZ001 - naive on purpose
        "date": dt.date(2026, 11, 24),
        "time": dt.time(4, 5),
        "delta": dt.timedelta(seconds=90),
        "decimal": decimal.Decimal("1.50"),
        "uuid": uuid.UUID(int=1),
        "path": pathlib.PurePosixPath("/a/b"),
        "ip": ipaddress.ip_address("::1"),
        "colour": Colour.RED,
        "three": Number.THREE,
        "bytes": b"ab\xff",
        "bytearray": bytearray(b"ab"),
        "view": memoryview(b"ab"),
    }
    assert keys(value) == {
        "aware": "2026-11-24T03:05:06Z",
        "naive": "2026-11-24T04:05:06",
        "date": "2026-11-24",
        "time": "04:05:00",
        "delta": 90.0,
        "decimal": "1.50",
        "uuid": "00000000-0000-0000-0000-000000000001",
        "path": "/a/b",
        "ip": "::1",
        "colour": "red",
        "three": 3,
        "bytes": "ab\\xff",
        "bytearray": "ab",
        "view": "ab",
    }


def test_numbers_that_json_or_64_bits_cannot_hold_become_text() -> None:
    value = {"nan": float("nan"), "inf": float("-inf"), "big": 2**63, "low": -(2**63) - 1, "fits": 2**63 - 1}
    assert keys(value) == {
        "nan": "nan",
        "inf": "-inf",
        "big": "9223372036854775808",
        "low": "-9223372036854775809",
        "fits": 2**63 - 1,
    }
    assert keys({"n": 10**100_000})["n"] == "<int of 332193 bits>"


def test_bytes_that_are_no_text_are_read_as_far_as_an_event_can_show_them_and_cut_through_no_secret() -> None:
    card = b"4111 1111 1111 1111 "
    text = b"\xff " + card * (MAX_BINARY // len(card)) + b"x" * 2_000_000
    told = redactor.values(keys({"blob": text}))["blob"]
    assert len(told) < MAX_BINARY
    assert "4111" not in told
    assert told.startswith("\\xff ")
    assert told.endswith("bytes more")
    assert keys({"text": "ü".encode() * MAX_BINARY}) == {"text": "ü" * MAX_BINARY}
    assert "xxx" not in keys({"blob": b"\xff" + b"x" * MAX_BINARY})["blob"]


class Row(Sequence[object]):
    """As a database gives one: a sequence whose columns have names."""

    def __init__(self, **columns: object) -> None:
        self._data = columns

    def __getitem__(self, at: Any) -> Any:
        return list(self._data.values())[at]

    def __len__(self) -> int:
        return len(self._data)

    def _asdict(self) -> dict[str, object]:
        return self._data


def test_a_row_of_a_database_is_told_by_its_columns() -> None:
    row = Row(id=17, password="geheim1", name="bob")
    told = {"id": 17, "password": MARKER, "name": "bob"}
    assert keys({"row": row, "rows": [row]}) == {"row": told, "rows": [told]}


@pytest.mark.parametrize(("name", "parent"), [("NaTType", dt.datetime), ("NAType", object)])
def test_what_is_no_value_in_pandas_is_none(name: str, parent: type) -> None:
    kind = type(name, (parent,), {"__module__": "pandas._libs"})
    nothing = kind(1, 1, 1) if parent is dt.datetime else kind()
    assert keys({"when": nothing, "password": nothing}) == {"when": None, "password": MARKER}


def test_an_instant_of_numpys_is_told() -> None:
    kind = type("datetime64", (), {"__module__": "numpy", "__str__": lambda _: "2026-11-24"})
    assert keys({"when": kind()}) == {"when": "2026-11-24"}


@pytest.mark.parametrize("name", ["bool", "bool_"])
def test_a_truth_value_of_numpys_is_one(name: str) -> None:
    kind = type(name, (), {"__module__": "numpy", "__bool__": lambda _: False})
    assert keys({"mfa": kind(), "password": kind()}) == {"mfa": False, "password": MARKER}


def test_collections_become_lists_and_dicts() -> None:
    value = {
        "deque": collections.deque([1]),
        "set": {1},
        "frozen": frozenset({2}),
        "proxy": types.MappingProxyType({"token": 1}),
        "default": collections.defaultdict(list, a=[1]),
        "items": {"token": "t"}.items(),
        "keys": {"k": 1}.keys(),
    }
    assert keys(value) == {
        "deque": [1],
        "set": [1],
        "frozen": [2],
        "proxy": {"token": MARKER},
        "default": {"a": [1]},
        "items": [["token", MARKER]],
        "keys": ["k"],
    }


def test_an_iterator_is_not_consumed() -> None:
    numbers = iter([1, 2])
    generator = (number for number in [1])
    assert keys({"a": numbers, "b": generator}) == {"a": "<list_iterator>", "b": "<generator>"}
    assert list(numbers) == [1, 2]
    assert list(generator) == [1]


def test_what_has_no_safe_form_becomes_the_name_of_its_type() -> None:
    class Opaque:
        def __repr__(self) -> str:
            raise AssertionError("repr was called")

        __str__ = __repr__

    value = {"a": Opaque(), "b": threading.Lock(), "c": sys, "d": len, "e": Opaque, "f": lambda: 0, "g": range(3)}
    assert keys(value) == {
        "a": "<Opaque>",
        "b": "<lock>",
        "c": "<module>",
        "d": "<builtin_function_or_method>",
        "e": "<type>",
        "f": "<function>",
        "g": "<range>",
    }


def test_no_code_of_an_object_runs() -> None:
    class Trap:
        def __init__(self) -> None:
            self.kept = 1

        @property
        def danger(self) -> None:
            raise AssertionError("a property was run")

        def __getattr__(self, name: str) -> None:
            raise AssertionError("__getattr__ was called")

        def __eq__(self, other: object) -> bool:
            raise AssertionError("__eq__ was called")

        __hash__ = None  # type: ignore[assignment]

    class Hidden:
        def __getattribute__(self, name: str) -> None:
            raise AssertionError("__getattribute__ was called")

    assert keys({"a": Trap(), "b": Hidden()}) == {"a": {"kept": 1}, "b": "<Hidden>"}


def test_an_object_that_raises_never_breaks_the_event() -> None:
    class Broken(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            raise ZeroDivisionError

        def __iter__(self) -> Iterator[str]:
            yield "a"

        def __len__(self) -> int:
            raise ZeroDivisionError

    class Zone(dt.tzinfo):
        def utcoffset(self, when: object) -> None:
            raise ZeroDivisionError

        dst = utcoffset

        def tzname(self, when: object) -> str:
            raise ZeroDivisionError

    value = {"a": Broken(), "b": dt.datetime(2026, 1, 1, tzinfo=Zone())}
    assert keys(value) == {"a": "<Broken>", "b": "<datetime>"}


def test_an_endless_mapping_is_read_up_to_a_limit() -> None:
    class Endless(Mapping[int, int]):
        def __getitem__(self, key: int) -> int:
            return key

        def __iter__(self) -> Iterator[int]:
            number = 0
            while True:
                yield number
                number += 1

        def __len__(self) -> int:
            return 0

    assert len(keys({"a": Endless()})["a"]) == 10_000


def test_an_exception_becomes_its_type_message_and_arguments() -> None:
    assert keys(ValueError("bad", {"password": "p"})) == {
        "type": "ValueError",
        "message": "bad",
        "args": ["bad", {"password": MARKER}],
    }
    assert keys(FileNotFoundError(2, "no such file"))["message"] == "[Errno 2] no such file"


def test_an_exceptions_own_text_is_not_asked_for() -> None:
    class LeakyError(Exception):
        def __str__(self) -> str:
            raise AssertionError("__str__ was called")

    assert keys(LeakyError("a")) == {"type": "LeakyError", "message": "a", "args": ["a"]}


def test_keys_that_are_no_text_become_text_and_stay_apart() -> None:
    value = {1: "a", "1": "b", None: "c", False: "d", b"password": "e", ("a", 1): "f", Colour.RED: "g"}
    assert keys(value) == {"1": "a", "1_": "b", "None": "c", "False": "d", "password": MARKER, "a 1": "f", "red": "g"}


def test_text_that_utf8_cannot_hold_is_made_so_that_it_can() -> None:
    assert keys({"a": "x\ud800y", "b": "\ud83d\ude00", "\udc00": 1, "é": "ü"}) == {
        "a": "x\ufffdy",
        "b": "😀",
        "\ufffd": 1,
        "é": "ü",
    }
    assert keys({"\ud800password": "x", "a": [{"token\udc00": "y"}]}) == {
        "\ufffdpassword": MARKER,
        "a": [{"token\ufffd": MARKER}],
    }


def test_subclasses_of_plain_types_become_those_types() -> None:
    class Text(str):
        __slots__ = ()

    class Tree(dict[str, object]):
        def items(self) -> Any:
            raise AssertionError("items() was called")

    class Row(list[object]):
        def __iter__(self) -> Any:
            raise AssertionError("__iter__ was called")

    value: dict[str, object] = {Text("a"): Text("b"), "row": Row([1, Text("z")])}
    value["tree"] = Tree(password=1, x=Text("y"))
    result = keys(value)
    assert result == {"a": "b", "tree": {"password": MARKER, "x": "y"}, "row": [1, "z"]}
    assert [type(item) for item in (*result, result["a"], result["tree"], result["row"], result["row"][1])] == [
        *(str, str, str, str, dict, list, str)
    ]


@pytest.mark.parametrize(
    "headers",
    [
        [["Host", "h"], ["Authorization", "Bearer s3cr3t"]],
        [("Host", "h"), ("Authorization", "Bearer s3cr3t")],
        (("Host", "h"), ("X-Api-Key", "s3cr3t")),
        [(b"host", b"h"), (b"cookie", b"s3cr3t")],
        [("set-cookie", "s3cr3t", True)],
        {"Host": "h", "Authorization": ["s3cr3t"]},
        ["Host", "h", "Cookie", "s3cr3t"],
        ("X-Api-Key", "s3cr3t"),
        ["X-Api-Key", "s3cr3t"],
        [{"name": "Authorization", "value": "s3cr3t"}, {"name": "Host", "value": "h"}],
        [{"key": "token", "value": {"a": "s3cr3t"}}],
        [{"Name": "DB_PASSWORD", "Value": "s3cr3t"}],
        [{"value": "s3cr3t", "header": b"cookie"}],
        {"name": "csrf-token", "content": "s3cr3t"},
        ["mysql", "--password", "s3cr3t", "-e", "select 1"],
    ],
)
def test_the_value_beside_a_sensitive_name_is_replaced(headers: object) -> None:
    text = orjson.dumps(keys({"headers": headers}))
    assert b"s3cr3t" not in text
    assert MARKER.encode() in text


@pytest.mark.parametrize(
    "value",
    [
        ["password", "email"],
        ["a", "b"],
        [["a", "b"], ["c", "d"]],
        {"name": "bob", "value": 1},
        ["-v", "x"],
        ["-"],
        [""],
    ],
)
def test_lists_and_objects_that_only_mention_a_name_stay(value: object) -> None:
    assert keys({"fields": value}) == {"fields": value}


def test_a_name_split_over_two_levels_is_recognised() -> None:
    assert keys({"api": {"key": "k", "key_id": "i", "url": "u"}, "session": {"id": "s"}, "user": {"id": "u"}}) == {
        "api": {"key": MARKER, "key_id": "i", "url": "u"},
        "session": {"id": MARKER},
        "user": {"id": "u"},
    }


def test_a_long_text_is_redacted_before_it_can_be_cut() -> None:
    text = "x" * 2_000 + " password=s3cr3t"
    assert keys({"a": text}) == {"a": "x" * 2_000 + f" password={MARKER}"}


def test_a_long_key_is_redacted_before_it_can_be_cut() -> None:
    assert keys({"x" * 300 + " 4111111111111111": 1}) == {"x" * 300 + f" {MARKER}": 1}


def test_a_dict_that_changes_while_it_is_read_does_not_break_the_event() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    shared: dict[str, object] = {str(number): "x" for number in range(500)}
    stop = threading.Event()

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            shared[f"n{number % 1000}"] = "password"
            shared.pop(f"n{(number + 500) % 1000}", None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300):
            assert keys({"shared": shared})["shared"]["0"] == "x"
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("location", [["password"], ("body", "user", "pin"), ["api", 0, "key"], "body.password"])
def test_a_validation_error_about_a_secret_does_not_repeat_its_input(location: object) -> None:
    error = {"type": "short", "loc": location, "msg": "m", "input": "hidden", "ctx": {"was": "hidden"}}
    (found,) = keys([error])
    assert (found["type"], found["msg"], found["input"], found["ctx"]) == ("short", "m", MARKER, MARKER)
    assert keys({"loc": ["body", "age"], "input": "kept"}) == {"loc": ["body", "age"], "input": "kept"}


def test_what_pydantic_says_of_a_refused_secret_does_not_hold_it() -> None:
    class Form(BaseModel):
        password: int
        age: int

    with pytest.raises(ValidationError) as refused:
        Form.model_validate({"password": "hidden7", "age": "x"})
    for said in (
        refused.value.errors(),
        refused.value.json(),
        f"refused: {refused.value.errors()}",
        str(refused.value),
    ):
        body = orjson.dumps(keys({"e": said}))
        if redactor.suspects([body]):
            body = orjson.dumps(redactor.values(orjson.loads(body)))
        assert b"hidden7" not in body


@pytest.mark.parametrize(
    "tree",
    [
        {"field": "password", "rejectedValue": "S3CR3T"},
        {"type": "field", "path": "password", "value": "S3CR3T", "location": "body"},
        {"parameterKey": "DBPassword", "parameterValue": "S3CR3T"},
        {"column": "api_key", "old": "S3CR3T", "new": "S3CR3T"},
        {"name": "password", "default": "S3CR3T"},
    ],
)
def test_objects_that_say_what_their_value_is_are_believed_whatever_they_call_it(tree: dict[str, str]) -> None:
    assert "S3CR3T" not in str(Redactor().keys({"errors": [tree]}))
    kept = {key: "bob" if value == "S3CR3T" else "user" for key, value in tree.items()}
    assert Redactor().keys({"errors": [kept]}) == {"errors": [kept]}
