"""Every command line that documents, messages and guides tell people to type is one that siemlite takes."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from pipeline.cli.main import app

ROOT = Path(__file__).parents[2]
PLACES = (
    "pipeline/**/*.py",
    "detections/*.py",
    "docs/*.md",
    "bench/*.md",
    "README.md",
    "systemd/*",
    "*.yml",
    "Makefile",
)
TOLD = re.compile(r"`siemlite ([^`\n]+)`|^    siemlite ([^\n]+)$|ExecStart=\S+/siemlite ([^\n]+)$", re.MULTILINE)
EXAMPLES = {"ID": "an-id", "TIME": "2026-11-24", "PATH…": "/var/log/a.log", "FILE…": "/var/log/a.log", "…": ""}


def told() -> Iterator[Any]:
    for pattern in PLACES:
        for path in sorted(ROOT.glob(pattern)):
            text = re.sub(r'"\n\s+f?"', "", path.read_text())  # a message over several lines of source
            for match in TOLD.finditer(text):
                line = next(group for group in match.groups() if group)
                yield pytest.param(line, id=f"{path.relative_to(ROOT)}: {line}")


def parsed(line: str) -> None:
    """Raise what the command line's parser raises, for one command and its arguments; nothing is run."""
    for placeholder, example in EXAMPLES.items():
        line = re.sub(rf"(?<!\S){re.escape(placeholder)}(?!\S)", example, line)
    words = shlex.split(line.split(" #")[0])
    command: Any = typer.main.get_command(app)
    context = command.make_context("siemlite", [], resilient_parsing=True)
    while hasattr(command, "commands"):
        assert words, f"{line!r} names no command"
        name = words.pop(0)
        if name.startswith("-"):
            assert any(name in parameter.opts for parameter in command.params) or name == "--help"
            return
        assert name in command.commands, f"there is no command {name!r}"
        command = command.commands[name]
        if not words:  # named, not spelt out
            return
    command.make_context(command.name, words, parent=context)


@pytest.mark.parametrize("line", list(told()))
def test_a_command_that_people_are_told_to_type_is_one(line: str) -> None:
    parsed(line)


def test_a_command_line_that_siemlite_does_not_take_is_found_out() -> None:
    for wrong in ("detect ID --from TIME", "alerts list --everything", "forget", "silence remove ID"):
        with pytest.raises(Exception, match=r"."):
            parsed(wrong)
