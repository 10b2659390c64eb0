"""Detections change while the daemon runs, and nothing is lost by it."""

import logging
from pathlib import Path

import pytest

from pipeline.engine.loader import folders, load_detections
from pipeline.errors import ConfigurationError
from pipeline.scheduler.live import LiveDetections

SOURCE = '''"""Title {title}."""
from pipeline.detection import Severity, Threshold, minutes

detection = Threshold(
    severity=Severity.HIGH,
    where={{"event.code": "LOGIN_FAILURE"}},
    group_by="source.address",
    at_least={at_least},
    within=minutes(15),
)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    own = tmp_path / "own"
    own.mkdir()
    write(own, "first")
    return own


def write(folder: Path, name: str, at_least: int = 5) -> None:
    (folder / f"{name}.py").write_text(SOURCE.format(title=name, at_least=at_least))


def live(folder: Path) -> LiveDetections:
    return LiveDetections(lambda: (folder,), load_detections)


def ids(detections: LiveDetections) -> list[str]:
    return [detection.id for detection in detections.detections]


def test_without_a_change_nothing_is_loaded(folder: Path) -> None:
    detections = live(folder)
    before = detections.detections
    assert not detections.refresh()
    assert detections.detections is before


def test_a_new_file_begins_and_one_that_is_gone_stops(folder: Path) -> None:
    detections = live(folder)
    write(folder, "second")
    assert detections.refresh()
    assert ids(detections) == ["first", "second"]
    (folder / "first.py").unlink()
    assert detections.refresh()
    assert ids(detections) == ["second"]


def test_a_changed_file_takes_effect(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    detections = live(folder)
    write(folder, "first", at_least=50)
    with caplog.at_level(logging.WARNING):
        assert detections.refresh()
    assert detections.detections[0].kind.at_least == 50  # type: ignore[attr-defined]
    assert "changed: first" in caplog.text


def test_a_broken_new_version_keeps_the_old_one_running_and_says_so_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    detections = live(folder)
    before = detections.detections
    (folder / "first.py").write_text("def broken(:\n")
    write(folder, "second")
    assert detections.refresh()
    assert ids(detections) == ["first", "second"]
    assert detections.detections[0] == before[0]
    assert "first.py" in str(detections.failures[0])
    assert caplog.text.count("the old one goes on") == 1
    assert not detections.refresh()
    (folder / "first.py").unlink()
    assert detections.refresh()
    assert ids(detections) == ["second"]


def test_a_broken_new_version_of_what_replaces_a_built_in_keeps_the_old_one_running(tmp_path: Path) -> None:
    built_in, own = tmp_path / "built_in", tmp_path / "own"
    for folder, at_least in ((built_in, 5), (own, 50)):
        folder.mkdir()
        write(folder, "first", at_least=at_least)
    detections = LiveDetections(lambda: (built_in, own), load_detections)
    (own / "first.py").write_text("nonsense")
    assert detections.refresh()
    assert [one.path for one in detections.detections] == [own / "first.py"]
    (own / "first.py").write_text("detection = None")
    assert detections.refresh()
    assert not detections.detections
    (own / "first.py").unlink()
    assert detections.refresh()
    assert [one.path for one in detections.detections] == [built_in / "first.py"]


def test_what_was_broken_from_the_start_begins_once_it_is_repaired(folder: Path) -> None:
    (folder / "second.py").write_text("nonsense")
    detections = live(folder)
    assert ids(detections) == ["first"]
    write(folder, "second")
    assert detections.refresh()
    assert ids(detections) == ["first", "second"]
    assert detections.failures == ()


def test_a_signal_loads_even_without_a_change(folder: Path) -> None:
    detections = live(folder)
    detections.ask()
    assert detections.refresh()
    assert not detections.refresh()


def test_a_folder_that_is_gone_changes_nothing_and_is_said_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    detections = LiveDetections(lambda: folders(folder), load_detections)
    before = ids(detections)
    folder.rename(folder.with_name("moved"))
    assert not detections.refresh()
    assert not detections.refresh()
    assert ids(detections) == before
    assert caplog.text.count("the detections stay as they are") == 1
    folder.with_name("moved").rename(folder)
    detections.ask()
    assert detections.refresh()
    assert detections.failures == ()


def test_a_folder_that_is_wrong_from_the_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="SIEMLITE_DETECTIONS"):
        LiveDetections(lambda: folders(tmp_path / "nowhere"), load_detections)
