"""JSON lines: nothing crashes it, nothing is lost."""

import json
from collections.abc import Callable
from zoneinfo import ZoneInfo

import orjson
import pytest

from pipeline.errors import ConfigurationError
from pipeline.sources.formats.format import TOO_LONG, FormatOptions, format_factory
from pipeline.sources.formats.json_lines import FAILURE, JsonLines
from pipeline.sources.lines import CUT, Line, LineCutter


def test_an_object_is_the_event() -> None:
    line = b'{"timestamp":"2026-01-01T00:00:00Z","event":"LOGIN_FAILURE","context":{"ip":"192.0.2.1"}}'
    assert JsonLines().parse(line) == (orjson.loads(line),)


@pytest.mark.parametrize(
    "line",
    [
        b"plain text",
        b"[1,2]",
        b'"word"',
        b"1",
        b"null",
        b'{"a":1',
        b'{"a":1} x',
        b"{'a':1}",
        b"\xff\xfe",
        b"[",
    ],
)
def test_what_is_no_object_is_an_event_with_its_text_and_a_tag(line: bytes) -> None:
    (event,) = JsonLines().parse(line)
    assert event == {"message": line.decode("utf-8", "backslashreplace"), "tags": [FAILURE]}


def test_a_line_that_cannot_be_parsed_has_the_time_of_the_last_one_that_had_a_time() -> None:
    lines = JsonLines()
    lines.parse(b'{"@timestamp":"2026-01-01T00:00:00Z"}')
    lines.parse(b'{"message":"without a time"}')
    assert lines.parse(b"broken")[0]["timestamp"] == "2026-01-01T00:00:00Z"


def test_the_time_survives_a_restart_and_a_senseless_state_does_no_harm() -> None:
    for time in (b'"2026-01-01T00:00:00Z"', b"1767225600000"):
        before, after = JsonLines(), JsonLines()
        before.parse(b'{"timestamp":' + time + b"}")
        after.restore(before.snapshot())
        assert after.parse(b"broken")[0]["timestamp"] == orjson.loads(time)
    for state in ("", "no json", "[1]", "{}", "null"):
        lines = JsonLines()
        lines.restore(state)
        assert "timestamp" not in lines.parse(b"broken")[0]


def test_a_hostile_time_does_not_grow_the_state() -> None:
    lines = JsonLines()
    lines.parse(orjson.dumps({"timestamp": "9" * 100_000}))
    assert len(lines.snapshot()) < 100


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b'{"event":"LOGIN_FAILURE","score":NaN}', {"event": "LOGIN_FAILURE", "score": "NaN"}),
        (b'{"a":[Infinity,-Infinity]}', {"a": ["Infinity", "-Infinity"]}),
        (b'{"userId":"\\ud800x"}', {"userId": "\\ud800x"}),
        (b'{"\\udc00":[{"a":"\\udfff"}]}', {"\\udc00": [{"a": "\\udfff"}]}),
        (b'{"userId":"J\xf6rg"}', {"userId": "J\\xf6rg"}),
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        (b'\x00\x00{"a":1}\x00', {"a": 1}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'{"n":18446744073709551615}', {"n": 18446744073709551615}),
        (b'{"n":' + b"9" * 5_000 + b',"s":NaN}', {"n": "9" * 5_000, "s": "NaN"}),
        (b'{"n":-' + b"9" * 30 + b',"s":NaN}', {"n": -1e30, "s": "NaN"}),
        (b'{"n":1e999}', {"n": "1e999"}),
    ],
)
def test_what_careless_writers_produce_is_still_read(line: bytes, event: dict[str, object]) -> None:
    (read,) = JsonLines().parse(line)
    assert read == event
    orjson.dumps(read)


LOGIN = {"timestamp": "2026-11-20T10:00:00Z", "event": "LOGIN_FAILURE"}


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (
            {"level": 40, "time": 1_763_632_800_000, "msg": "no"},
            {"level": 40, "timestamp": 1_763_632_800_000, "message": "no"},
        ),
        ({"ts": 1763632800.5, "msg": "no"}, {"timestamp": 1763632800.5, "message": "no"}),
        ({"@t": "2026-11-20T10:00:00Z", "@m": "no"}, {"timestamp": "2026-11-20T10:00:00Z", "message": "no"}),
        ({"asctime": "2026-11-20 10:00:00,123"}, {"timestamp": "2026-11-20 10:00:00,123"}),
        ({"time": 0.35, "ts": "soon"}, {"time": 0.35, "ts": "soon"}),
        ({**LOGIN, "time": "2026-11-21T10:00:00Z"}, {**LOGIN, "time": "2026-11-21T10:00:00Z"}),
        ({**LOGIN, "message": "a", "msg": "b"}, {**LOGIN, "message": "a", "msg": "b"}),
        ({**LOGIN, "event": "login failed"}, {"timestamp": LOGIN["timestamp"], "message": "login failed"}),
        (
            {
                "log": '{"event":"LOGIN_FAILURE","msg":"no"}\n',
                "stream": "stdout",
                "time": "2026-11-20T10:00:00.123456789Z",
            },
            {"event": "LOGIN_FAILURE", "message": "no", "timestamp": "2026-11-20T10:00:00.123456789Z"},
        ),
        (
            {"log": "plain\n", "stream": "stderr", "time": "2026-11-20T10:00:00.1Z", "attrs": {"a": "b"}},
            {"message": "plain", "timestamp": "2026-11-20T10:00:00.1Z"},
        ),
        ({**LOGIN, "log": {"level": "x"}, "stream": "stdout"}, {**LOGIN, "log": {"level": "x"}, "stream": "stdout"}),
    ],
)
def test_what_other_loggers_and_containers_write_is_understood(
    line: dict[str, object], event: dict[str, object]
) -> None:
    assert JsonLines().parse(orjson.dumps(line)) == (event,)


def test_a_line_of_a_kubernetes_container_is_what_the_container_wrote() -> None:
    (event,) = JsonLines().parse(b'2026-11-20T10:00:00.123456789Z stdout F {"event":"LOGIN_FAILURE"}')
    assert event == {"event": "LOGIN_FAILURE", "timestamp": "2026-11-20T10:00:00.123456789Z"}
    (event,) = JsonLines().parse(b"2026-11-20T10:00:00.1Z stderr F plain")
    assert event == {"message": "plain", "timestamp": "2026-11-20T10:00:00.1Z"}


def test_a_time_without_an_offset_is_in_the_timezone_that_was_named() -> None:
    log = JsonLines(FormatOptions(timezone=ZoneInfo("America/New_York")))
    for written, meant in [
        ("2026-11-20 10:00:00,123", "2026-11-20T15:00:00.123Z"),
        ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z"),
        ("soon", "soon"),
    ]:
        assert log.parse(orjson.dumps({"timestamp": written, "message": "x"}))[0]["timestamp"] == meant
    assert log.parse(b'{"timestamp":1763632800,"message":"x"}')[0]["timestamp"] == 1763632800


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_read_and_leaves_no_secret_between_nuls(encoding: str) -> None:
    read = [JsonLines().parse(line)[0] for _, line, _ in _lines('{"n":1}\r\n{"n":2}\r\n'.encode(encoding))]
    assert read[:2] == [{"n": 1}, {"n": 2}]
    (event,) = JsonLines().parse("my password is".encode(encoding))
    assert "\0" not in str(event["message"])


def _lines(data: bytes) -> list[Line]:
    cutter = LineCutter()
    return [*cutter.feed(data), *cutter.finish()]


def test_no_depth_crashes_it() -> None:
    for depth in (500, 1_000, 1_023, 1_030, 5_000, 100_000):
        line = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
        (event,) = JsonLines().parse(line)
        assert event.get("tags") == [FAILURE] or "a" in event
        (event,) = JsonLines().parse_cut(line[: depth + 5])
        assert TOO_LONG in event["tags"]  # type: ignore[operator]


def test_a_line_that_is_too_long_keeps_the_members_before_the_cut() -> None:
    whole = orjson.dumps(
        {
            "timestamp": "2026-01-01T00:00:00Z",
            "event": "LOGIN_FAILURE",
            "tags": ["web"],
            "context": {"ip": "192.0.2.1", "userAgent": "x" * 1000},
        }
    )
    (event,) = JsonLines().parse_cut(whole[:-200])
    assert event == {
        "timestamp": "2026-01-01T00:00:00Z",
        "event": "LOGIN_FAILURE",
        "tags": ["web", TOO_LONG],
        "context": {"ip": "192.0.2.1"},
    }


@pytest.mark.parametrize("dumps", [orjson.dumps, lambda event: json.dumps(event).encode()])
def test_a_member_that_is_too_long_does_not_hide_those_behind_it(dumps: Callable[[object], bytes]) -> None:
    long = 'a,"b\\' * 1000
    event = {
        "timestamp": "2026-01-01T00:00:00Z",
        "message": long,
        "event": "LOGIN_FAILURE",
        "context": {"ip": "192.0.2.1"},
    }
    whole = dumps(event)
    del event["message"]
    assert JsonLines().parse_cut(whole[:100] + CUT + whole[-300:]) == ({**event, "tags": [TOO_LONG]},)


def test_the_members_of_an_object_within_are_no_members_of_the_event() -> None:
    body = {"pad": "x" * 1000, "userId": "other", "ip": "9.9.9.9", "event": "LOGOUT"}
    known = {"timestamp": "2026-01-01T00:00:00Z", "event": "LOGIN_FAILURE", "context": {"ip": "192.0.2.1"}}
    whole = orjson.dumps({**known, "body": body})
    assert JsonLines().parse_cut(whole[:150] + CUT + whole[-300:]) == ({**known, "tags": [TOO_LONG]},)
    whole = orjson.dumps({**known, "body": body, "userId": "u-1"})
    assert JsonLines().parse_cut(whole[:150] + CUT + whole[-300:]) == ({**known, "userId": "u-1", "tags": [TOO_LONG]},)


def test_nothing_within_a_text_is_taken_for_a_member() -> None:
    whole = orjson.dumps({"event": "X", "message": "a" * 200 + ',"ip":"192.0.2.9"},{"b":1,"c":"' * 3, "n": 1})
    for start in range(150, len(whole)):
        (event,) = JsonLines().parse_cut(whole[:20] + CUT + whole[start:])
        assert event in ({"event": "X", "n": 1, "tags": [TOO_LONG]}, {"event": "X", "tags": [TOO_LONG]})


def test_no_part_of_a_member_is_taken_for_the_whole() -> None:
    whole = b'{"a":12345,"b":"text","c":{"d":1,"e":[1,2]},"f":true}'
    complete = orjson.loads(whole)
    for end in range(len(whole)):
        (event,) = JsonLines().parse_cut(whole[:end])
        event.pop("tags")
        for key, value in event.items():
            if key == "c":
                assert isinstance(value, dict)
                assert value.items() <= complete["c"].items()
            elif key != "message":
                assert complete[key] == value


def test_a_cut_line_that_is_no_json_keeps_its_text() -> None:
    (event,) = JsonLines().parse_cut(b"x" * 100)
    assert event == {"message": "x" * 100, "tags": [FAILURE, TOO_LONG]}


def test_an_unknown_format_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"'xml' is not known; use one of authlog, json, syslog"):
        format_factory("xml")
    with pytest.raises(ConfigurationError, match="--year 15"):
        FormatOptions(year=15)


@pytest.mark.parametrize("time", [10**20, -(10**20), 2**63, -(2**63) - 1])
def test_a_time_beyond_all_integers_is_no_time_and_stops_nothing(time: int) -> None:
    lines = JsonLines()
    lines.parse(b'{"message":"a","timestamp":"2026-11-24T01:00:00Z"}')
    (event,) = lines.parse(b'{"message":"\\ud800","@timestamp":%d,"event":"X"}' % time)
    assert event["event"] == "X"
    again = JsonLines()
    again.restore(lines.snapshot())
    assert again.parse(b"no json")[0]["timestamp"] == "2026-11-24T01:00:00Z"
