"""What the package promises to those who install it."""

import shutil
import subprocess
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


def script(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("made_in", "python", "again"),
    [
        pytest.param("{here}", "exit 0", False, id="sound"),
        pytest.param("/elsewhere", "exit 0", True, id="moved or copied with its checkout"),
        pytest.param("{here}", "exit 127", True, id="its Python went"),
        pytest.param(None, 'case "$2" in *version_info*) exit 1; esac', True, id="of too old a Python"),
    ],
)
def test_make_makes_an_environment_that_does_not_work_again(
    tmp_path: Path, made_in: str | None, python: str, again: bool
) -> None:
    here = tmp_path / "with space"
    script(here / ".venv/bin/python", "#!/bin/sh", python)
    script(here / "python", "#!/bin/sh", 'if test "$1" = -m; then touch made; printf exit >.venv/bin/python; fi')
    if made_in is not None:
        script(here / ".venv/bin/siemlite", f"#!{made_in.format(here=here)}/.venv/bin/python")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, here)
    if made_in is not None:
        (here / ".venv/.installed").touch()
    subprocess.run(["make", ".venv/.installed", "PYTHON=./python"], cwd=here, capture_output=True, check=False)
    assert (here / "made").exists() == again
