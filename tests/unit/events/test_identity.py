"""Ids are the same for the same thing, differ for all else, and ascend as Elasticsearch compares them."""

from base64 import urlsafe_b64decode
from itertools import pairwise

import pytest

from pipeline.events.identity import WRITER_BYTES, FileIdentity, WriterIdentity

SEQUENCES = (0, 1, 25, 26, 51, 52, 61, 62, 63, 64, 4_095, 4_096, 2**24 - 1, 2**24, 2**36 - 1, 2**36, 2**48 - 1)


def test_ids_of_a_writer_ascend_as_bytes() -> None:
    writer = WriterIdentity(b"r" * WRITER_BYTES)
    ids = [writer.event_id(sequence) for sequence in SEQUENCES]
    assert {len(one) for one in ids} == {24}
    assert all(before < after for before, after in pairwise(urlsafe_b64decode(one) for one in ids))


def test_ids_of_a_file_ascend_as_bytes_with_the_offset() -> None:
    file = FileIdentity(b"k" * 32, "app.log")
    ids = [file.event_id(offset, b"line") for offset in SEQUENCES]
    assert {len(one) for one in ids} == {28}
    assert all(before < after for before, after in pairwise(urlsafe_b64decode(one) for one in ids))


def test_ids_hold_nothing_but_letters_digits_dash_and_underscore() -> None:
    file = FileIdentity(b"k" * 32, "app.log")
    assert all(
        one.replace("-", "").replace("_", "").isalnum()
        for one in (file.event_id(offset, b"x") for offset in range(500))
    )


def test_the_same_line_at_the_same_place_has_the_same_id() -> None:
    assert FileIdentity(b"k" * 32, "a").event_id(7, b"x") == FileIdentity(b"k" * 32, "a").event_id(7, b"x")


@pytest.mark.parametrize(
    ("key", "source", "offset", "line", "ordinal"),
    [
        (b"other" * 6, "a", 7, b"x", 0),
        (b"k" * 32, "b", 7, b"x", 0),
        (b"k" * 32, "a", 8, b"x", 0),
        (b"k" * 32, "a", 7, b"y", 0),
        (b"k" * 32, "a", 7, b"x", 1),
        (b"k" * 32, "a", 7 + 2**48, b"x", 0),
    ],
)
def test_all_else_has_another_id(key: bytes, source: str, offset: int, line: bytes, ordinal: int) -> None:
    """And another one that nobody can tell without the key: all but the offset is a digest."""
    one = FileIdentity(b"k" * 32, "a").event_id(7, b"x")
    other = FileIdentity(key, source).event_id(offset, line, ordinal)
    assert one[8:] != other[8:]


def test_writers_share_no_ids() -> None:
    assert WriterIdentity(b"a" * WRITER_BYTES).event_id(1) != WriterIdentity(b"b" * WRITER_BYTES).event_id(1)


def test_a_random_part_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="12 bytes"):
        WriterIdentity(b"short")
