"""What commands write."""

import orjson
import pytest

from pipeline.cli.output import show_json

HOSTILE = "h\u009b31mred\x7f\u202eevil\u2028x\u2066 \u00e4"


def test_a_document_says_what_it_says_and_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"ip": HOSTILE})
    text = capsys.readouterr().out
    assert orjson.loads(text) == {"ip": HOSTILE}
    assert not set(text) & set("\u009b\x7f\u202e\u2028\u2066")
