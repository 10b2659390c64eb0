"""The documents say what the code does."""

import json
import re
from dataclasses import fields
from pathlib import Path
from textwrap import indent

import pytest
from typer.main import get_command

from docs.generate import PARTS, README, with_parts
from pipeline import detection
from pipeline.cli.main import app
from pipeline.detection.kind import Kind
from tests.unit.logger.support import run_application


@pytest.mark.parametrize("document", PARTS, ids=lambda path: path.name)
def test_generated_parts_are_up_to_date(document: Path) -> None:
    assert document.read_text(encoding="utf-8") == with_parts(document), f"run `make docs`: {document.name} is stale"


def test_the_readme_names_every_command_and_no_other() -> None:
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = set(re.findall(r"^\| `siemlite ([a-z-]+)", README.read_text(encoding="utf-8"), re.MULTILINE))
    assert named == commands


def test_the_guide_for_authors_names_every_kind_with_its_fields_and_everything_else_that_they_import() -> None:
    guide = (README.parent / "docs" / "writing-detections.md").read_text(encoding="utf-8")
    common = {field.name for field in fields(Kind)}
    for name in detection.__all__:
        value = getattr(detection, name)
        if isinstance(value, type) and issubclass(value, Kind):
            (row,) = re.findall(rf"^\| `{name}` .*$", guide, re.MULTILINE)
            own = {field.name for field in fields(value)} - common
            assert own <= set(re.findall(r"`([a-z_]+)", row)), name
    for name in common - {"severity"}:
        assert f"`{name}`" in guide
    written = set(re.findall(r"\w+", guide))
    left_out = {"Crossing", "Detection", "Example", "Row", "Stage", "Timeline", "milliseconds"}
    assert set(detection.__all__) - left_out <= written


def test_what_the_readme_shows_of_logging_works(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    shown = "\n".join(block for block in blocks if "SecurityLogger" in block or "pipeline.logger" in block)
    program = (
        "import json\nfrom pipeline.testing import captured_events\nasgi_app = wsgi_app = print\n"
        f"with captured_events() as events:\n{indent(shown, '    ')}\n"
        "print(json.dumps([[event['event']['code'], event['user']['id']] for event in events]))\n"
    )
    done = run_application(tmp_path, program)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [["LOGIN_FAILURE", "u-17"]] * 3
