"""What the package promises to those who install it."""

from pathlib import Path

import pipeline


def test_type_checkers_believe_the_packages_annotations() -> None:
    assert (Path(pipeline.__file__).parent / "py.typed").is_file()
