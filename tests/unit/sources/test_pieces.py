"""Lines that a container's runtime parted: joined, wherever blocks, batches and restarts fall."""

import itertools
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.formats.authlog import AuthLog
from pipeline.sources.formats.format import TOO_LONG, FormatOptions
from pipeline.sources.formats.json_lines import JsonLines
from pipeline.sources.lines import CUT, LINE_MAX, Line, LineCutter
from pipeline.sources.logfile import LogFile
from pipeline.sources.origin import Fingerprints
from pipeline.sources.pieces import PieceJoiner, cutter_of
from pipeline.sources.position import Position, from_text
from pipeline.sources.reading import LEFT_OUT
from tests.unit.sources.follower import KEY, Follower, append
from tests.unit.sources.test_files import source

TIME = "2026-01-01T00:00:00.000000001Z"
DOCKER = 16 * 1024


def cri(text: str, flag: str = "F", stream: str = "stdout") -> bytes:
    return f"{TIME} {stream} {flag} {text}\n".encode()


def docker(text: str, stream: str = "stdout") -> bytes:
    return orjson.dumps({"log": text, "stream": stream, "time": TIME}) + b"\n"


def docker_pieces(text: str, stream: str = "stdout") -> list[bytes]:
    whole = text + "\n"
    return [docker(whole[at : at + DOCKER], stream) for at in range(0, len(whole), DOCKER)]


def event(user: str) -> str:
    return orjson.dumps({"timestamp": "2026-01-01T00:00:00Z", "event": "LOGIN_FAILURE", "userId": user}).decode()


def joined(*blocks: bytes) -> list[Line]:
    cutter = PieceJoiner()
    return [line for block in blocks for line in cutter.feed(block)] + cutter.finish()


def users(*lines: bytes) -> list[object]:
    return [parsed.get("userId") for _, line, _ in joined(*lines) for parsed in JsonLines().parse(line)]


def test_an_event_that_was_parted_is_the_event() -> None:
    long = "x" * 40_000
    text = event(long)
    assert users(cri(text[:9], "P"), cri(text[9:900], "P"), cri(text[900:])) == [long]
    assert len(docker_pieces(text)) == 3
    assert users(*docker_pieces(text)) == [long]


def test_a_line_as_long_as_a_piece_is_whole_with_the_line_feed_that_follows() -> None:
    long = "x" * (DOCKER - len(event("")))
    pieces = docker_pieces(event(long))
    assert [orjson.loads(piece)["log"][-1:] for piece in pieces] == ["}", "\n"]
    assert users(*pieces, *docker_pieces(event("u-1"))) == [long, "u-1"]


def test_what_other_programs_of_the_container_say_between_is_kept_apart() -> None:
    text = event("u-1")
    assert users(cri(text[:9], "P"), cri(event("u-2"), "F", "stderr"), cri(text[9:])) == ["u-2", "u-1"]
    long = event("x" * 40_000)
    first, *rest = docker_pieces(long)
    assert users(first, *docker_pieces(event("u-2"), "stderr"), *rest) == ["u-2", "x" * 40_000]


@given(
    st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.lists(st.integers(1, 60), max_size=3)), max_size=8),
    st.lists(st.integers(0), max_size=6),
    st.randoms(use_true_random=False),
)
def test_blocks_and_streams_do_not_matter_and_who_goes_on_reads_all_that_is_left_and_nothing_again(
    said: list[tuple[str, list[int]]], places: list[int], random: object
) -> None:
    pieces: dict[str, list[tuple[int, bytes]]] = {"stdout": [], "stderr": []}
    for number, (stream, cuts) in enumerate(said):
        text = event(f"u-{number}")
        bounds = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
        parts = [text[start:end] for start, end in itertools.pairwise(bounds)]
        pieces[stream] += [(number, cri(part, "F" if part is parts[-1] else "P", stream)) for part in parts]
    mixed: list[tuple[int, bytes]] = []
    while any(pieces.values()):
        stream = random.choice([name for name, left in pieces.items() if left])  # type: ignore[attr-defined]
        mixed.append(pieces[stream].pop(0))
    data = b"".join(line for _, line in mixed)
    starts: dict[int, int] = {}
    for (number, _), offset in zip(
        mixed, itertools.accumulate((len(line) for _, line in mixed), initial=0), strict=False
    ):
        starts.setdefault(number, offset)
    cutter = PieceJoiner()
    every = joined(data)
    given: list[Line] = []
    ends = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    for start, end in itertools.pairwise(ends):
        lines = cutter.feed(data[start:end])
        for index, line in enumerate(lines):
            given.append(line)
            behind = cutter.behind(lines, index)
            again = PieceJoiner(behind)
            assert again.feed(data[behind.offset :]) == every[len(given) :]
    assert given == every
    assert cutter.waiting == 0
    read = {str(JsonLines().parse(line)[0]["userId"]): (offset, left_out) for offset, line, left_out in every}
    assert read == {f"u-{number}": (offset, 0) for number, offset in starts.items()}
    assert not every or cutter.behind(lines, len(lines) - 1) == (len(data), len(data))


def test_what_is_no_piece_of_a_runtime_is_left_as_it_is() -> None:
    lines = [
        docker("short and without a line feed"),
        docker("x" * 20_000, "elsewhere"),
        orjson.dumps({"log": "x" * 20_000, "stream": "stdout", "time": "noon"}) + b"\n",
        b'{"log":"' + b"x" * 20_000 + b"\n",
        orjson.dumps({"log": "x" * 20_000, "stream": "stdout", "time": TIME, "event": "LOGIN_FAILURE"}) + b"\n",
        b"2026-01-01 stdout P text\n",
        b"plain\n",
    ]
    plain = LineCutter()
    assert joined(*lines) == plain.feed(b"".join(lines))


def test_what_a_file_ends_with_is_given_at_its_end() -> None:
    cutter = PieceJoiner()
    assert cutter.feed(cri('{"userId":', "P")) == []
    assert cutter.waiting > 0
    ((offset, line, left_out),) = lines = cutter.finish()
    assert (offset, left_out, cutter.waiting) == (0, 0, 0)
    assert cutter.behind(lines, 0) == (len(cri('{"userId":', "P")),) * 2
    assert JsonLines().parse(line) == ({"timestamp": TIME, "message": '{"userId":'},)
    assert cutter.finish() == []


def test_a_joined_line_that_is_too_long_keeps_both_ends_and_says_what_is_missing() -> None:
    pad = "x" * (2 * LINE_MAX)
    text = orjson.dumps({"event": "LOGIN_FAILURE", "userId": "u-1", "pad": pad, "ip": "192.0.2.7"}).decode()
    parts = [text[at : at + DOCKER] for at in range(0, len(text), DOCKER)]
    cutter = PieceJoiner()
    held = 0
    for part in parts[:-1]:
        assert cutter.feed(cri(part, "P")) == []
        held = max(held, cutter.waiting)
    assert held <= LINE_MAX
    ((offset, line, left_out),) = cutter.feed(cri(parts[-1]))
    assert offset == 0
    assert left_out == len(text) - (len(line) - len(cri("")) + 1 - len(CUT))
    (read,) = JsonLines().parse_cut(line)
    assert read == {
        "event": "LOGIN_FAILURE",
        "userId": "u-1",
        "ip": "192.0.2.7",
        "timestamp": TIME,
        "tags": [TOO_LONG],
    }


def test_only_a_format_that_unwraps_lines_joins_their_pieces() -> None:
    assert isinstance(cutter_of(JsonLines()), PieceJoiner)
    assert isinstance(cutter_of(AuthLog(FormatOptions(), lambda: 0)), LineCutter)


def test_length_is_no_way_to_escape_counting_in_a_container(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    long = "x" * (LINE_MAX + 100_000)
    path.write_bytes(b"".join(docker_pieces(event(long) + " " * 9)) + docker(event("u-2") + "\n"))
    found = [record.event for batch in source(path).batches() for record in batch.records]
    assert [read["event"] for read in found] == ["LOGIN_FAILURE", "LOGIN_FAILURE"]
    assert LEFT_OUT in found[0]


def test_a_follower_that_is_restarted_between_two_pieces_loses_neither(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    text = orjson.dumps({"message": "x" * 300_000 + "end"}).decode()
    log.touch()
    follower = Follower(log)
    append(log, cri('{"message":"before"}').decode() + cri(text[:200_000], "P").decode())
    assert follower.settle() == ["before"]
    append(log, cri(text[200_000:290_000], "P").decode())
    assert follower.settle() == []
    append(log, cri('{"message":"between"}', "F", "stderr").decode())
    assert follower.settle() == ["between"]
    follower.restart()
    append(log, cri(text[290_000:]).decode() + cri('{"message":"after"}').decode())
    again = follower.settle()
    assert again == ["x" * 300_000 + "end", "after"]
    follower.restart()
    assert follower.settle() == []


def test_a_follower_that_is_restarted_while_a_line_waits_still_hides_the_key_that_was_logged_meanwhile(
    tmp_path: Path,
) -> None:
    log = tmp_path / "0.log"
    log.touch()
    key = ["-----BEGIN PRIVATE KEY-----", *["MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDhCJnMIJAcRcSI"] * 4]
    key = [cri(line, "F", "stderr").decode() for line in [*key, "-----END PRIVATE KEY-----"]]
    follower = Follower(log)
    append(log, "".join(key[:2]) + cri('{"message":"out', "P").decode() + "".join(key[2:]))
    follower.settle()
    follower.restart()
    append(log, cri('side"}').decode())
    follower.settle()
    said = [str(each["message"]) for each in follower.events.values()]
    assert sorted(said) == sorted(
        [*["[REDACTED]"] * 4, *(f"-----{end} PRIVATE KEY-----" for end in ("BEGIN", "END")), "outside"]
    )


def test_a_follower_that_is_restarted_reads_no_piece_without_those_before_it(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    log.touch()
    follower = Follower(log)
    append(log, cri('{"message":"err, password=hun', "P", "stderr").decode() + cri('{"message":"out', "P").decode())
    append(log, cri('ter2"}', "F", "stderr").decode())
    assert follower.settle() == ["err, password=hunter2"]
    follower.restart()
    append(log, cri('side"}').decode())
    assert follower.settle() == ["outside"]


@pytest.mark.parametrize("blocks", [1, 3])
def test_an_interrupted_reading_goes_on_before_the_pieces_that_waited(tmp_path: Path, blocks: int) -> None:
    path = tmp_path / "0.log"
    text = event("x" * 600_000)
    whole = b"".join(cri(event(f"u-{n}"), "F", "stderr") for n in range(3_000))
    parts = [text[at : at + DOCKER] for at in range(0, len(text), DOCKER)]
    path.write_bytes(cri(event("first")) + b"".join(cri(part, "P") for part in parts[:-1]) + whole + cri(parts[-1]))
    ids: list[str | None] = []
    positions: dict[str, str] = {}
    for batch in itertools.islice(source(path).batches(), blocks):
        ids += [record.event_id for record in batch.records]
        positions.update(batch.positions)
    (text,) = positions.values()
    position = Position.of(from_text(text))
    assert position is not None
    assert position.offset == len(cri(event("first")))
    assert position.fits(LogFile(path), Fingerprints(KEY))
    ids += [record.event_id for batch in source(path, positions=positions).batches() for record in batch.records]
    assert ids == [record.event_id for batch in source(path).batches() for record in batch.records]
    assert len(set(ids)) == 3_002
