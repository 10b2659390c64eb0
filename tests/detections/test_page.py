"""The page of the built-in detections says what they say."""

from xml.etree import ElementTree as ET

from docs.detections import MATRIX, PAGE, TACTICS, TECHNIQUES, matrix, page
from pipeline.engine.loader import BUILT_IN, load_detections

DETECTIONS = load_detections([BUILT_IN]).detections


def test_the_page_and_the_picture_are_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(DETECTIONS), "run `make docs`"
    assert MATRIX.read_text(encoding="utf-8") == matrix(DETECTIONS), "run `make docs`"


def test_every_technique_has_its_name_and_tactics() -> None:
    used = {technique.partition(".")[0] for detection in DETECTIONS for technique in detection.attack}
    assert used == TECHNIQUES.keys()
    assert {tactic for _, tactics in TECHNIQUES.values() for tactic in tactics} == set(TACTICS)


def test_the_picture_shows_every_technique() -> None:
    root = ET.fromstring(MATRIX.read_text(encoding="utf-8"))
    words = " ".join(element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text"))
    for technique in TECHNIQUES:
        assert technique in words
