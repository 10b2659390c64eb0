"""The documents say what the code does."""

import re

import pytest
from typer.main import get_command

from docs.generate import PARTS, README, with_parts
from pipeline.cli.main import app


@pytest.mark.parametrize("path", PARTS, ids=lambda path: path.name)
def test_generated_parts_are_up_to_date(path: object) -> None:
    assert path in PARTS
    for document in PARTS:
        assert document.read_text(encoding="utf-8") == with_parts(document), (
            f"run `make docs`: {document.name} is stale"
        )


def test_the_readme_names_every_command_and_no_other() -> None:
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = set(re.findall(r"^\| `siemlite ([a-z-]+)", README.read_text(encoding="utf-8"), re.MULTILINE))
    assert named == commands
