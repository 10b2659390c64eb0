"""What `siemlite ship` says of arguments that do not go together."""

from typing import Any

import pytest

from pipeline.cli.ship import _refuse_contradictions
from pipeline.errors import ConfigurationError

NOTHING: dict[str, Any] = {
    "files": [],
    "listen": [],
    "follow": False,
    "format_": "json",
    "year": None,
    "tls": None,
}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"files": ["-", "a.log"]}, "standard input"),
        ({"files": ["a.log"], "tls": "cert.pem"}, "--tls-cert"),
        ({"files": ["a.log"], "year": 2026}, "--year"),
        ({"listen": ["udp://:514"], "year": 2026, "format_": "authlog"}, "--year"),
        ({"files": ["a.log"], "listen": ["udp://:514"]}, "--listen takes no files"),
        ({"follow": True}, "--follow"),
    ],
)
def test_arguments_that_contradict_each_other_are_a_wrong_configuration(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        _refuse_contradictions(**{**NOTHING, **arguments})


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"files": ["-"]},
        {"files": ["a.log"], "follow": True},
        {"files": ["a.log"], "format_": "authlog", "year": 2026},
        {"listen": ["tls://:6514"], "tls": "cert.pem"},
    ],
)
def test_arguments_that_go_together_are_taken(arguments: dict[str, Any]) -> None:
    _refuse_contradictions(**{**NOTHING, **arguments})
