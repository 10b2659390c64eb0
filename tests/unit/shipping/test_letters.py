"""Dead letters in the local file: each whole and once, whatever the disk does."""

import logging
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from elasticsearch import Elasticsearch

from pipeline.shipping.letters import DeadLetters, Letter, local_letters


def letter(name: str) -> Letter:
    return Letter(name, "security-logs-2026.11.24", "why", "{}" * 500, 1)


@pytest.fixture
def kept(tmp_path: Path) -> DeadLetters:
    return DeadLetters(Elasticsearch("http://127.0.0.1:9", max_retries=0), tmp_path)


def names(folder: Path) -> list[str]:
    return [found["id"] for found in local_letters(folder)]


def test_what_a_full_disk_took_in_part_takes_no_other_with_it(
    kept: DeadLetters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.keep([letter("first")])
    whole = os.write

    def short(handle: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", full)
        return whole(handle, data[:100])

    def full(handle: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OSError, match="No space"):
        kept.keep([letter("big"), letter("small")])
    monkeypatch.setattr(os, "write", whole)
    assert names(tmp_path) == ["first"]
    kept.keep([letter("big"), letter("small")])
    assert names(tmp_path) == ["first", "big", "small"]


def test_a_torn_last_line_of_whoever_was_killed_takes_no_other_with_it(kept: DeadLetters, tmp_path: Path) -> None:
    kept.keep([letter("first")])
    path = tmp_path / "dead-letters.jsonl"
    path.write_bytes(path.read_bytes() + b'{"id":"torn","@timest')
    kept.keep([letter("next")])
    assert names(tmp_path) == ["first", "next"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_why_letters_go_to_the_file_is_said_once(
    kept: DeadLetters, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept.keep([letter("first")])
    kept.keep([letter("second")])
    (told,) = [record for record in caplog.records if record.name == "pipeline.shipping.letters"]
    assert told.levelno == logging.WARNING
    assert str(tmp_path / "dead-letters.jsonl") in told.message
    assert "Connection" in told.message


def test_the_status_of_letters_that_the_index_refuses_is_said(
    kept: DeadLetters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    statuses = [201, 403, 409]

    def answer(*_arguments: object, **_options: object) -> SimpleNamespace:
        return SimpleNamespace(body={"items": [{"create": {"status": status}} for status in statuses]})

    monkeypatch.setattr(Elasticsearch, "perform_request", answer)
    kept.keep([letter("taken"), letter("refused"), letter("known")])
    assert names(tmp_path) == ["refused"]
    assert "status 403" in caplog.text
    statuses[1] = 201
    kept.keep([letter("taken"), letter("again"), letter("known")])
    statuses[1] = 403
    kept.keep([letter("taken"), letter("third"), letter("known")])
    assert len(caplog.records) == 2, "said again after it was over"
