"""What the package promises to those who install it."""

from importlib.metadata import version
from pathlib import Path

import pytest

import pipeline
from pipeline.cli.main import main


def test_type_checkers_believe_the_packages_annotations() -> None:
    assert (Path(pipeline.__file__).parent / "py.typed").is_file()


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"siemlite {version('siemlite')}\n"
