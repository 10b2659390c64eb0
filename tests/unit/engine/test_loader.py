"""Loading detections: what is wrong with one file is said in one line, and costs no other."""

import os
import sys
from pathlib import Path

import pytest

from pipeline.detection import Detection
from pipeline.engine import loader
from pipeline.engine.loader import BUILT_IN, changes, folders, load_detection, load_detections, not_loaded
from pipeline.errors import ConfigurationError

GOOD = '''"""A title.

Triage: look.
"""
from pipeline.detection import Severity, Threshold, minutes

detection = Threshold(severity=Severity.LOW, at_least=5, within=minutes(1))
'''


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def loaded(path: Path) -> Detection:
    found = load_detection(path)
    assert found is not None
    return found


OWN_CLAUSE = '''"""T."""
from pipeline.detection import Match, Severity

class Own:
    def query(self):
        return {"match_all": {}}

    def matches(self, document):
        return True

    def fields(self):
        return FIELDS

detection = Match(severity=Severity.LOW, where=Own())
'''


def test_a_file_is_a_detection_with_its_stem_for_an_id_and_its_docstring_for_a_guide(tmp_path: Path) -> None:
    before = set(sys.modules)
    found = loaded(write(tmp_path, "my_own.py", GOOD))
    assert (found.id, found.title, found.guide) == ("my_own", "A title", "Triage: look.")
    assert set(sys.modules) == before
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = (", "broken.py:1: syntax error: '(' was never closed"),
        ("import nothing_like_this", "broken.py:1: ModuleNotFoundError: No module named 'nothing_like_this'"),
        ('"""T."""\nx = Threshold()', "broken.py:2: NameError: name 'Threshold' is not defined"),
        ('"""T."""\nraise SystemExit(3)', "broken.py:2: SystemExit: 3"),
        ('"""T."""\nraise KeyboardInterrupt', "broken.py:2: KeyboardInterrupt: "),
        ('"""T."""', "broken.py: has no `detection`; add `detection = Threshold(…)`"),
        ('"""T."""\ndetection = 5', "broken.py: `detection` is a int; make it a kind"),
        (
            '"""T."""\nfrom pipeline.detection import Match as detection',
            "is the class Match; make it a kind",
        ),
        (
            GOOD.replace("at_least=5", "limit=5"),
            "Threshold has no field 'limit'; beside those of all kinds it has at_least, within",
        ),
        (GOOD.replace('"""A title.\n\nTriage: look.\n"""', ""), "broken.py: has no docstring"),
        (GOOD.replace("A title", "A \x07title"), "broken.py: the docstring has characters that cannot be printed"),
        (GOOD.replace("at_least=5", "at_least=0"), "broken.py:7: at_least is 0; give a whole number of at least 1"),
        (
            GOOD.replace("at_least=5", "atleast=5"),
            "broken.py:7: Threshold has no field 'atleast'; did you mean 'at_least'?",
        ),
        (GOOD.replace("at_least=5, ", ""), "broken.py:7: Threshold needs 'at_least'; add it"),
        (OWN_CLAUSE.replace("FIELDS", '[["a"]]'), "broken.py: where: it does not say which fields it looks at: TypeE"),
        (OWN_CLAUSE.replace("FIELDS", "[7]"), "broken.py: where: 7 is no field's name; let `fields` return texts"),
        (GOOD.replace("severity=Severity.LOW", "5"), "Threshold takes named fields only"),
        (
            GOOD.replace("at_least=5", "where={'event.code': [10**40]}, at_least=5"),
            "broken.py: where: Integer exceeds 64-bit range; use texts, and numbers of up to 64 bits",
        ),
        (
            GOOD.replace("at_least=5", "where={'event.code': 'A\\ud800'}, at_least=5"),
            "broken.py: where: str is not valid UTF-8: surrogates not allowed; use texts",
        ),
        (
            GOOD.replace("at_least=5", "where=deep, at_least=5").replace(
                "\ndetection",
                "from pipeline.detection import all_of\ndeep = {'event.code': 'A'}\n"
                "for _ in range(800): deep = all_of(deep, {'event.code': 'A'})\n\ndetection",
            ),
            "broken.py: where: ",  # newer versions of Python name another cause
        ),
    ],
)
def test_a_wrong_file_is_named_with_its_line_and_repair_and_the_others_load(
    tmp_path: Path, text: str, words: str
) -> None:
    write(tmp_path, "broken.py", text)
    write(tmp_path, "good.py", GOOD)
    write(tmp_path, "_helper.py", "x = (")
    loaded = load_detections([tmp_path])
    assert [found.id for found in loaded.detections] == ["good"]
    (failure,) = loaded.failures
    assert words in str(failure)
    assert "\n" not in str(failure)


def test_what_looks_like_a_detection_and_is_not_loaded_is_named(tmp_path: Path) -> None:
    for name in ("good.py", "_draft.py", "RULE.PY", "rule.yml", "notes.txt"):
        write(tmp_path, name, GOOD)
    for folder in ("linux", "__pycache__", "empty"):
        (tmp_path / folder).mkdir()
    write(tmp_path / "linux", "one.py", GOOD)
    write(tmp_path / "__pycache__", "two.py", GOOD)
    assert list(not_loaded(tmp_path)) == [
        f"{tmp_path}/RULE.PY is not loaded; a detection is a file that ends in .py",
        f"{tmp_path}/_draft.py begins with an underscore and is not loaded",
        f"{tmp_path}/linux is a folder, of which no file is loaded (1 *.py); move them to {tmp_path} itself",
        f"{tmp_path}/rule.yml is not loaded; a detection is a file that ends in .py",
    ]


def test_a_file_of_a_later_folder_takes_the_place_of_one_before_and_a_broken_one_does_not(tmp_path: Path) -> None:
    built_in, own = tmp_path / "built_in", tmp_path / "own"
    built_in.mkdir()
    own.mkdir()
    for name in ("same.py", "off.py", "broken.py"):
        write(built_in, name, GOOD)
    write(own, "same.py", GOOD.replace("at_least=5", "at_least=6"))
    write(own, "off.py", "detection = None")
    write(own, "broken.py", "detection = Threshold()")
    write(own, "nothing.py", "detection = None")
    found = load_detections([built_in, own])
    assert [one.path for one in found.detections] == [built_in / "broken.py", own / "same.py"]
    assert (found.replaced, found.off, set(found.broken)) == (("same",), ("off",), {"broken"})
    assert [str(failure).partition(": ")[0] for failure in found.failures] == [
        f"{own / 'broken.py'}:1",
        f"{own / 'nothing.py'}",
    ]


def test_a_file_that_does_not_come_to_an_end_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "LOAD_SECONDS", 1.0)
    write(tmp_path, "hangs.py", "import time\ntime.sleep(60)\n" + GOOD)
    write(tmp_path, "works.py", GOOD)
    os.mkfifo(tmp_path / "pipe.py")
    found = load_detections([tmp_path])
    assert [one.id for one in found.detections] == ["works"]
    assert [str(failure) for failure in found.failures] == [
        f"{tmp_path / 'hangs.py'}: takes longer than 1 s to load; let it define a detection and do nothing else",
        f"{tmp_path / 'pipe.py'}: is not a file; move it away",
    ]


def test_what_a_file_prints_is_no_answer_of_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    loaded(write(tmp_path, "prints.py", GOOD + "print('hello')\n"))
    assert capfd.readouterr() == ("", "hello\n")


def test_a_name_that_is_no_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="name the file in lower case letters"):
        load_detection(write(tmp_path, "My-Own.py", GOOD))


def test_an_edit_is_seen_however_quickly_it_follows(tmp_path: Path) -> None:
    path = write(tmp_path, "d.py", GOOD)
    first = loaded(path)
    write(tmp_path, "d.py", GOOD.replace("at_least=5", "at_least=6"))
    assert [found.kind.summary() for found in (first, loaded(path))] == [
        "5 events within 1 minute",
        "6 events within 1 minute",
    ]


def test_a_folder_that_is_missing_and_an_id_that_is_unknown_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"SIEMLITE_DETECTIONS is .*which is not a folder"):
        folders(tmp_path / "missing")
    assert folders(None) == (BUILT_IN,)
    write(tmp_path, "good.py", GOOD)
    with pytest.raises(ConfigurationError, match="there is no detection 'evil'; known are: good"):
        load_detections([tmp_path])["evil"]
    with pytest.raises(ConfigurationError, match=r"there is no detection 'god'; did you mean good\?"):
        load_detections([tmp_path])["god"]


def test_who_asks_for_a_detection_whose_file_is_broken_is_told_why(tmp_path: Path) -> None:
    write(tmp_path, "typo.py", "from pipeline.detection import Treshold")
    write(tmp_path, "good.py", GOOD)
    found = load_detections([tmp_path])
    with pytest.raises(ConfigurationError, match=r"typo\.py:1: ImportError: cannot import name 'Treshold'"):
        found["typo"]


def test_changed_files_are_told_apart_from_those_that_did_not(tmp_path: Path) -> None:
    path, other = write(tmp_path, "a.py", GOOD), write(tmp_path, "b.py", GOOD)
    looks = 0

    def ended() -> bool:
        nonlocal looks
        looks += 1
        if looks == 2:
            write(tmp_path, "a.py", GOOD + "# more\n")
        if looks == 3:
            other.unlink()
        return looks == 4

    assert list(changes([tmp_path], ended)) == [frozenset({path, other}), frozenset({path}), frozenset()]
