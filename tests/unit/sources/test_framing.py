"""Cutting a TCP stream into syslog messages."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.framing import MESSAGE_MAX, Deframer, Frame
from tests.unit.effort import grows_linearly

MESSAGES = st.sampled_from([b"<1>a", b"<2>b c", b"<34>1 - - - - - - x", b"<3>" + b"y" * 300])


def fed(data: bytes, places: list[int]) -> list[Frame]:
    deframer = Deframer()
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    frames = [frame for start, end in itertools.pairwise(edges) for frame in deframer.feed(data[start:end])]
    rest = deframer.finish()
    return frames if rest is None else [*frames, rest]


@given(
    st.lists(st.tuples(MESSAGES, st.sampled_from(["count", "\n", "\r\n", "\0", "\n\n"])), max_size=10),
    st.lists(st.integers(0), max_size=10),
)
def test_counted_and_ended_messages_may_be_mixed_and_come_in_any_pieces(
    parts: list[tuple[bytes, str]], places: list[int]
) -> None:
    data = b"".join(
        b"%d %s" % (len(message), message) if how == "count" else message + how.encode() for message, how in parts
    )
    assert fed(data, places) == [Frame(message, 0) for message, _ in parts]


@given(st.lists(st.integers(0), max_size=4), st.booleans(), st.integers(0, 3))
def test_a_message_that_is_too_long_is_given_by_its_beginning(places: list[int], counted: bool, more: int) -> None:
    message = b"<1>" + b"x" * (MESSAGE_MAX + more - 3)
    data = b"%d %s" % (len(message), message) if counted else message + b"\n"
    assert fed(data + b"<2>b\n", places) == [Frame(message[:MESSAGE_MAX], more), Frame(b"<2>b", 0)]


def test_a_message_that_is_not_complete_is_left_for_the_end() -> None:
    deframer = Deframer()
    assert deframer.feed(b"10 <1>abc") == []
    assert deframer.waiting == 9
    assert deframer.finish() == Frame(b"<1>abc", 0)
    assert deframer.finish() is None
    assert deframer.feed(b"<1>a") == []
    assert deframer.finish() == Frame(b"<1>a", 0)


def test_an_endless_message_takes_no_memory() -> None:
    for start in (b"<1>", b"999999999 "):
        deframer = Deframer()
        deframer.feed(start)
        for _ in range(50):
            assert deframer.feed(b"x" * 100_000) == []
            assert deframer.waiting <= MESSAGE_MAX + 100_000


def test_lines_that_begin_with_digits_are_lines() -> None:
    assert fed(b"2026-01-01T00:00:00Z host x\n0 zero\n12345678901 long\n", []) == [
        Frame(b"2026-01-01T00:00:00Z host x", 0),
        Frame(b"0 zero", 0),
        Frame(b"12345678901 long", 0),
    ]


@pytest.mark.parametrize(("begin", "unit"), [(b"60000 ", b"x"), (b"<1>", b"x"), (b"", b"\n")])
def test_work_is_linear_however_small_the_pieces(begin: bytes, unit: bytes) -> None:
    def feeding(length: int) -> Callable[[], object]:
        data = begin + unit * length

        def feed() -> None:
            deframer = Deframer()
            for place in range(len(data)):
                deframer.feed(data[place : place + 1])

        return feed

    assert grows_linearly(feeding, 4_000)


def test_what_follows_a_line_that_is_too_long_is_read_however_the_line_came() -> None:
    deframer = Deframer()
    assert deframer.feed(b"<1>" + b"x" * MESSAGE_MAX) == []  # Too long already, and its end is still to come.
    found = deframer.feed(b"xx\n<2>b\n") + deframer.feed(b"5 <3>cd<4>e\n")
    assert [(frame.data[:5], frame.left_out) for frame in found] == [
        (b"<1>xx", 5),
        (b"<2>b", 0),
        (b"<3>cd", 0),
        (b"<4>e", 0),
    ]
