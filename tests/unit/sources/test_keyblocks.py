"""Private keys that were logged line by line."""

import textwrap
from pathlib import Path

import pytest

from pipeline.sources.formats.format import format_factory
from pipeline.sources.lines import LineCutter
from pipeline.sources.reading import RecordMaker
from tests.unit.sources.follower import Follower, append

BODY = textwrap.wrap("MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDhCJnMIJAcRcSI" * 9, 64)
PEM = ["-----BEGIN PRIVATE KEY-----", *BODY, "c2VjcmV0bGFzdA==", "-----END PRIVATE KEY-----"]


def messages(lines: list[str], name: str) -> list[str]:
    maker = RecordMaker(format_factory(name)(lambda: 0), None)
    cutter = LineCutter()
    data = "".join(f"{line}\n" for line in lines).encode()
    return [str(r.event["message"]) for records, _ in maker.batches(cutter.feed(data), cutter) for r in records]


@pytest.mark.parametrize(("name", "start"), [("json", ""), ("authlog", "Nov 26 10:00:00 h app[1]: ")])
def test_no_line_of_a_key_is_kept_and_other_lines_are(name: str, start: str) -> None:
    others = ["job started", "0123456789abcdef0123456789abcdef is an id"]
    lines = [*PEM[:4], others[0], *PEM[4:], others[1], BODY[0]]
    found = messages([f"{start}{line}" for line in lines], name)
    assert not [line for line in found[:-1] if line in BODY or line.startswith("c2Vj")]
    assert found.count("[REDACTED]") == len(BODY) + 1
    assert [line for line in found if line in others] == others
    assert found[-1] == BODY[0]


@pytest.mark.parametrize(("name", "start"), [("json", ""), ("authlog", "Nov 26 10:00:00 h app[1]: ")])
def test_a_key_that_was_read_in_part_is_hidden_by_who_goes_on(name: str, start: str, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    follower = Follower(log, name=name, year=2026)
    append(log, "".join(f"{start}{line}\n" for line in PEM[:3]))
    assert follower.settle() == [PEM[0], "[REDACTED]", "[REDACTED]"]
    follower.restart()
    append(log, "".join(f"{start}{line}\n" for line in PEM[3:5]))
    assert follower.settle() == ["[REDACTED]", "[REDACTED]"]
    log.rename(tmp_path / "app.log.1")
    append(log, "".join(f"{start}{line}\n" for line in [*PEM[5:], "after", BODY[0]]))
    found = follower.settle()
    assert set(found[:-3]) == {"[REDACTED]"}
    assert found[-3:] == [PEM[-1], "after", BODY[0]]


def test_a_public_key_and_a_whole_block_begin_nothing() -> None:
    assert messages(["-----BEGIN CERTIFICATE-----", BODY[0]], "json")[1] == BODY[0]
    assert messages(["no '-----BEGIN PRIVATE KEY-----' found", BODY[0]], "json")[1] == BODY[0]
    assert messages(["-----BEGIN PRIVATE KEY----- x -----END PRIVATE KEY-----", BODY[0]], "json")[1] == BODY[0]
