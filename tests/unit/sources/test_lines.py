"""Cutting lines: the blocks do not matter, and no line is held that is too long."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.lines import CUT, HEAD_BYTES, LINE_MAX, Line, LineCutter


def cut(blocks: list[bytes], offset: int = 0) -> list[Line]:
    cutter = LineCutter(offset)
    lines = [line for block in blocks for line in cutter.feed(block)]
    return lines + cutter.finish()


def split_at(data: bytes, places: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(
    st.lists(st.sampled_from([b"", b"a", b"bc\r", b"\r", b"d" * 9]), max_size=20), st.lists(st.integers(0), max_size=8)
)
def test_the_blocks_do_not_matter(parts: list[bytes], places: list[int]) -> None:
    data = b"\n".join(parts)
    expected = []
    offset = 7
    for part in parts:
        expected.append((offset, part.removesuffix(b"\r"), 0))
        offset += len(part) + 1
    if expected and not parts[-1]:
        expected.pop()
    assert cut(split_at(data, places), 7) == expected


def test_a_last_line_without_an_ending_is_given_out_at_the_end_only() -> None:
    cutter = LineCutter()
    assert cutter.feed(b"a\nb") == [(0, b"a", 0)]
    assert (cutter.offset, cutter.consumed, cutter.waiting) == (2, 3, 1)
    assert cutter.finish() == [(2, b"b", 0)]
    assert cutter.finish() == []
    assert cutter.offset == 3


@given(st.integers(-2, 3), st.sampled_from([b"\n", b"\r\n", b""]), st.lists(st.integers(0, 2**21), max_size=4))
def test_a_line_that_is_too_long_is_given_by_its_beginning_and_its_end(
    more: int, ending: bytes, places: list[int]
) -> None:
    length = LINE_MAX + more
    line = b"x" * (length - 3) + b"end"
    data = b"first\n" + line + ending + (b"last\n" if ending else b"")
    kept = line[:HEAD_BYTES] + CUT + line[-HEAD_BYTES:]
    long = (6, line, 0) if more <= 0 else (6, kept, length - 2 * HEAD_BYTES)
    expected = [(0, b"first", 0), long]
    if ending:
        expected.append((6 + length + len(ending), b"last", 0))
    assert cut(split_at(data, places)) == expected


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([b"", b"a", b"bc", b"d\0e"])), min_size=1, max_size=9),
    st.lists(st.integers(0), max_size=8),
)
def test_what_stands_behind_a_hole_is_a_line_that_begins_where_the_hole_does(
    parts: list[tuple[int, bytes]], places: list[int]
) -> None:
    data = b"\n".join(b"\0" * hole + part for hole, part in parts)
    expected = []
    offset = 0
    for hole, part in parts:
        expected.append((offset, part, 0))
        offset += hole + len(part) + 1
    if not parts[-1][1]:
        expected.pop()
    assert cut(split_at(data, places)) == expected


def test_a_hole_larger_than_any_line_takes_no_memory_and_nothing_of_the_line_behind_it() -> None:
    cutter = LineCutter()
    for _ in range(40):
        assert cutter.feed(bytes(100_000)) == []
        assert (cutter.waiting, cutter.offset) == (0, 0)
    assert cutter.feed(b"first\nsecond\n") == [(0, b"first", 0), (4_000_006, b"second", 0)]


def test_an_endless_line_takes_no_memory() -> None:
    cutter = LineCutter()
    for _ in range(100):
        assert cutter.feed(b"x" * 1_000_000) == []
        assert cutter.waiting <= LINE_MAX + 1
    assert cutter.offset == 0
    kept = b"x" * HEAD_BYTES + CUT + b"x" * (HEAD_BYTES - 1) + b"y"
    assert cutter.feed(b"y\nz\n") == [(0, kept, 100_000_001 - 2 * HEAD_BYTES), (100_000_002, b"z", 0)]
