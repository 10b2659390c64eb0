"""What the package promises to those who install it."""

import shutil
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path
from venv import EnvBuilder

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


def makes_an_environment(here: Path, venv: str = ".venv") -> bool:
    """Return whether `make` in the checkout `here` makes `venv`, which is only begun."""
    shutil.copy(ROOT / "Makefile", here)
    script(here / "python", "#!/bin/sh", 'if test "$1" = -m; then touch made; exit 1; fi')
    subprocess.run(
        ["make", f"{venv}/.installed", f"VENV={venv}", "PYTHON=./python"], cwd=here, capture_output=True, check=False
    )
    return (here / "made").exists()


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
    script(here / "pyproject.toml")
    script(here / ".venv/bin/python", "#!/bin/sh", python)
    if made_in is not None:
        script(here / ".venv/bin/siemlite", f"#!{made_in.format(here=here)}/.venv/bin/python")
        (here / ".venv/.installed").touch()
    assert makes_an_environment(here) == again


def test_make_keeps_an_environment_that_is_somewhere_else(tmp_path: Path) -> None:
    venv, here = tmp_path / "venv", tmp_path / "here"
    script(here / "pyproject.toml")
    script(venv / "bin/python", "#!/bin/sh")
    script(venv / "bin/siemlite", f"#!{venv}/bin/python")
    (venv / ".installed").touch()
    assert not makes_an_environment(here, str(venv))
    assert not makes_an_environment(here, "../venv")


def test_make_makes_an_environment_again_whose_making_was_broken_off(tmp_path: Path) -> None:
    script(tmp_path / "pyproject.toml")
    EnvBuilder(symlinks=True).create(tmp_path / ".venv")
    (packages,) = (tmp_path / ".venv/lib").glob("python*/site-packages")
    (packages / "pip").mkdir()
    (packages / "pip/__init__.py").touch()
    assert makes_an_environment(tmp_path)


def test_make_leaves_another_checkouts_environment_alone_that_a_link_leads_to(tmp_path: Path) -> None:
    other, here = tmp_path / "other/.venv", tmp_path / "here"
    script(other / "bin/python", "#!/bin/sh")
    script(other / "bin/siemlite", f"#!{other}/bin/python")
    script(here / "pyproject.toml")
    (here / ".venv").symlink_to(other)
    assert makes_an_environment(here)
    assert (other / "bin/python").exists()
    assert not (here / ".venv").is_symlink()
