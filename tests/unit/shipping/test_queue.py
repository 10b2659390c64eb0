"""The order in which the spools are sent from."""

from pathlib import Path

from pipeline.shipping.queue import Queues
from pipeline.shipping.spool import Chunk, Spool


def test_a_spool_that_lets_events_gather_keeps_no_other_waiting(tmp_path: Path) -> None:
    queues = Queues()
    first, second = (Spool(tmp_path / f"{name}.db", max_bytes=1_000_000) for name in "ab")
    for each in (first, second):
        each.append([Chunk(b"x", 1)], {}, 1)
        queues.add(each)
    claim = queues.claim(10.0, 100, [])
    assert claim is not None
    assert claim.spool is first
    first.settle(claim.chunks)
    queues.let_go(claim, done=True, tidy_at=11.0, gathers_until=10.1)
    first.append([Chunk(b"y", 1)], {}, 1)
    other = queues.claim(10.0, 100, [])
    assert other is not None
    assert other.spool is second
    assert queues.claim(10.0, 100, []) is None
    again = queues.claim(10.1, 100, [])
    assert again is not None
    assert again.spool is first


def test_only_spools_that_were_sent_from_just_now_let_events_gather(tmp_path: Path) -> None:
    queues = Queues()
    busy, *idle = (Spool(tmp_path / f"{name}.db", max_bytes=1_000_000) for name in "abc")
    busy.append([Chunk(b"x", 1)], {}, 1)
    for each in (busy, *idle):
        queues.add(each)
    claim = queues.claim(10.0, 100, [])
    assert claim is not None
    queues.let_go(claim, done=True, tidy_at=11.0, gathers_until=10.1)
    assert [queues.gathering(now) for now in (10.0, 10.1)] == [1, 0]
