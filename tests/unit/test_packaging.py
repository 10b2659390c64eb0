"""What the package promises to those who install it."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import pipeline
from pipeline.cli.main import main

ROOT = Path(__file__).parents[2]


def test_type_checkers_believe_the_packages_annotations() -> None:
    assert (Path(pipeline.__file__).parent / "py.typed").is_file()


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"siemlite {version('siemlite')}\n"


@pytest.mark.parametrize(
    ("name", "too_old"),
    [
        pytest.param("pydantic-settings", "2.6.1", id="has no NoDecode"),
        pytest.param("typer", "0.15.3", id="ends in a traceback with the click that it allows"),
    ],
)
def test_no_library_is_allowed_that_siemlite_fails_with(name: str, too_old: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    allowed = {found.name: found.specifier for found in map(Requirement, project["dependencies"])}
    assert not allowed[name].contains(too_old)
