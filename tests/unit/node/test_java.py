"""The Java that is handed to the server was started, is new enough, and can be read by the server's user."""

from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.node.java import Java, find_java


def fake_java(home: Path, version: str, *, says: Path | None = None, status: int = 0) -> Path:
    """Make a program that answers as `java -XshowSettings:properties -version` does."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(
        "#!/bin/sh\n"
        f"echo '    java.home = {says or home}' >&2\n"
        f"echo '    java.specification.version = {version}' >&2\n"
        f"exit {status}\n"
    )
    program.chmod(0o755)
    return home


def test_es_java_home_wins_over_java_home_and_the_path(tmp_path: Path) -> None:
    first, second, third = (fake_java(tmp_path / name, "17") for name in ("a", "b", "c"))
    everything = {"ES_JAVA_HOME": str(first), "JAVA_HOME": str(second), "PATH": str(third / "bin")}
    assert find_java(everything, well_known=()) == Java(first, 17)
    del everything["ES_JAVA_HOME"]
    assert find_java(everything, well_known=()) == Java(second, 17)
    del everything["JAVA_HOME"]
    assert find_java(everything, well_known=()) == Java(third, 17)


def test_a_java_off_the_path_is_found_where_packages_put_it(tmp_path: Path) -> None:
    home = fake_java(tmp_path / "opt" / "openjdk@21" / "Home", "21")
    found = find_java({"PATH": ""}, well_known=(f"{tmp_path}/opt/openjdk*/Home",))
    assert found == Java(home, 21)


def test_too_old_a_java_is_passed_over(tmp_path: Path) -> None:
    old, new = fake_java(tmp_path / "old", "1.8"), fake_java(tmp_path / "new", "17")
    assert find_java({"JAVA_HOME": str(old), "PATH": str(new / "bin")}, well_known=()) == Java(new, 17)


def test_a_shim_tells_the_real_home(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    shim = fake_java(tmp_path / "shim", "25", says=real)
    assert find_java({"PATH": str(shim / "bin")}, well_known=()) == Java(real, 25)


def test_a_stub_that_fails_is_no_java(tmp_path: Path) -> None:
    stub = fake_java(tmp_path / "stub", "17", status=1)
    with pytest.raises(ConfigurationError):
        find_java({"PATH": str(stub / "bin")}, well_known=())


def test_a_runtime_without_jlink_is_refused(tmp_path: Path) -> None:
    home = fake_java(tmp_path / "small", "17")
    (home / "release").write_text('JAVA_VERSION="17.0.1"\nMODULES="java.base java.logging"\n')
    with pytest.raises(ConfigurationError, match=r"lacks the module jdk\.jlink"):
        find_java({"JAVA_HOME": str(home), "PATH": ""}, well_known=())
    (home / "release").write_text('MODULES="java.base jdk.jlink"\n')
    assert find_java({"JAVA_HOME": str(home), "PATH": ""}, well_known=()).home == home


def test_a_java_that_the_servers_user_cannot_read_is_refused(tmp_path: Path) -> None:
    home = fake_java(tmp_path / "private", "17")
    with pytest.raises(ConfigurationError, match="cannot be read by the user"):
        find_java({"JAVA_HOME": str(home), "PATH": ""}, usable=lambda path: path != home, well_known=())


def test_what_was_found_and_how_to_get_a_newer_one_is_said_in_one_line(tmp_path: Path) -> None:
    old = fake_java(tmp_path / "old", "11")
    with pytest.raises(ConfigurationError) as caught:
        find_java({"JAVA_HOME": str(old), "PATH": ""}, well_known=())
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        f"{old} is Java 11",
        "apt install openjdk-17-jre-headless",
        "brew install openjdk@17",
        "ELASTICSEARCH_URL",
    ):
        assert part in message


def test_without_any_java_the_line_says_so() -> None:
    with pytest.raises(ConfigurationError, match=r"Java 17 or newer is needed and was not found: install one"):
        find_java({"PATH": "/nonexistent", "JAVA_HOME": "/nonexistent"}, well_known=())
