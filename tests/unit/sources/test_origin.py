"""Which file a line came from."""

from pathlib import Path

import pytest

from pipeline.sources.origin import FIRST_LINE_MAX, Fingerprints, first_line, inodes_of, stem_of


@pytest.mark.parametrize(
    "name",
    [
        "auth.log",
        "auth.log.1",
        "auth.log.2.gz",
        "auth.log.12345",
        "auth.log-20260101",
        "auth.log-20260101.gz",
        "auth.log-2026-01-01",
        "auth.log.2026-01-01",
        "auth.log.2026-01-01_13-45-59",
        "auth.log.20260101.1.gz",
        "auth.log-1767225600",
        "auth.log-1767225600.gz",
        "auth.log.old",
    ],
)
def test_what_rotation_appends_is_no_part_of_the_stem(name: str) -> None:
    assert stem_of(f"/var/log/{name}") == "/var/log/auth.log"


@pytest.mark.parametrize("name", ["auth.log", "app-1.log", "app2", "1", ".1", "20260101", "a.b", "v1.2.x", "x.tar"])
def test_other_names_stay_as_they_are(name: str) -> None:
    assert stem_of(f"/var/log.1/{name}") == f"/var/log.1/{name}"


def test_siblings_have_the_same_stem(tmp_path: Path) -> None:
    for name in ("a.log", "a.log.1", "a.log.2.gz", "a.log-20260101", "a.log.x", "aa.log", "b.log"):
        (tmp_path / name).touch()
    found = {path.name for path in inodes_of(str(tmp_path / "a.log"))}
    assert found == {"a.log", "a.log.1", "a.log.2.gz", "a.log-20260101"}
    assert inodes_of(str(tmp_path / "none" / "a.log")) == {}


def test_a_first_line_counts_once_it_is_complete() -> None:
    assert first_line(b"") is None
    assert first_line(b"abc") is None
    assert first_line(b"abc", complete=True) == b"abc"
    assert first_line(b"abc\nd") == b"abc"
    assert first_line(b"\n") == b""
    assert first_line(b"x" * FIRST_LINE_MAX) is None
    assert first_line(b"x" * (FIRST_LINE_MAX + 1)) == b"x" * FIRST_LINE_MAX


def test_marks_need_the_key() -> None:
    assert Fingerprints(b"a" * 32).of(b"x") == Fingerprints(b"a" * 32).of(b"x")
    assert Fingerprints(b"a" * 32).of(b"x") != Fingerprints(b"b" * 32).of(b"x")
