"""What commands write."""

import io
import os
import sys

import orjson
import pytest

from pipeline.cli.output import progress_bar, say, show_json

HOSTILE = "h\u009b31mred\x7f\u202eevil\u2028x\u2066 \u00e4"


def test_a_document_says_what_it_says_and_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"ip": HOSTILE})
    text = capsys.readouterr().out
    assert orjson.loads(text) == {"ip": HOSTILE}
    assert not set(text) & set("\u009b\x7f\u202e\u2028\u2066")


def test_a_document_holds_the_name_of_a_file_that_is_no_utf_8(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"file": "/srv/W\udce4rme", "count": 1})
    assert orjson.loads(capsys.readouterr().out) == {"file": "/srv/W?rme", "count": 1}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_is_said_stands_above_a_bar_that_is_drawn_and_is_written_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar() as bar:
        task = bar.add_task("shipping", total=10, note="")
        bar.update(task, completed=5, note="5 stored")
        say("a [bold]:warning:[/bold] \x1b[2J line")
    drawn = terminal.getvalue()
    assert "a [bold]:warning:[/bold] \\x1b[2J line\n" in drawn
    assert "5 stored" in drawn
    say("afterwards")
    assert terminal.getvalue() == f"{drawn}afterwards\n"


def test_a_pipe_gets_no_bar_and_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as bar:
        bar.update(bar.add_task("shipping", total=None, note=""), completed=5)
        say("a [bold] :warning:")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "a [bold] :warning:\n")


def test_where_nobody_reads_what_is_said_the_command_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", buffering=1) as broken:
        monkeypatch.setattr(sys, "stderr", broken)
        say("x")
        monkeypatch.setattr(sys, "stderr", None)
        say("y")
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)
