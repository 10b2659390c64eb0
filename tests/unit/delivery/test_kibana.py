"""Links into Kibana, read as Kibana reads them."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest

from pipeline.alerts.episodes import Episode
from pipeline.alerts.record import Alert, new_alert
from pipeline.delivery.kibana import links
from pipeline.detection.conditions import at_least, not_
from pipeline.detection.timeline import Severity
from pipeline.detection.where import Where, compile_where, raw
from tests.unit.alerts.memory_engine import address, detection

NOW = 1_750_000_000_000
KIBANA = "https://kibana.example.org/"
HOSTILE = ["a'!\")) or (x", "DOM\\bob\\", "* or not (user.id: *)", "100%25 &a=b#c", "a\nb", "2001:db8::1", "x" * 1024]


def alert(value: str = "203.0.113.7", where: Where | None = None) -> Alert:
    found = detection()
    if where is not None:
        found = replace(found, kind=replace(found.kind, where=where))
    return new_alert(found, "key", address(value), Episode(1, NOW - 9000, NOW - 4000, NOW, Severity.HIGH, 5), count=7)


def state_of(url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the link says of the time and of all else."""
    there, _, said = url.partition("?")
    assert there == "https://kibana.example.org/app/discover#/"
    state = dict(part.split("=", 1) for part in said.split("&"))
    return Rison(unquote(state["_g"])).value(), Rison(unquote(state["_a"])).value()


class Rison:
    """Reads the notation of Kibana's addresses."""

    def __init__(self, text: str) -> None:
        self._rest = text

    def value(self) -> Any:
        """Return the next value."""
        if self._took("'"):
            return self._text()
        if self._took("("):
            return dict(self._items(lambda: (self.value(), self._took(":") and self.value())))
        if self._took("!("):
            return list(self._items(self.value))
        for word, meant in (("!t", True), ("!f", False), ("!n", None)):
            if self._took(word):
                return meant
        end = next((i for i, c in enumerate(self._rest) if c in "'!:(),*@$"), len(self._rest))
        word, self._rest = self._rest[:end], self._rest[end:]
        return json.loads(word) if word[:1].isdigit() or word[:1] == "-" else word

    def _items(self, item: Any) -> Any:
        while not self._took(")"):
            yield item()
            self._took(",")

    def _text(self) -> str:
        found = ""
        while not self._took("'"):
            self._took("!")
            found, self._rest = found + self._rest[0], self._rest[1:]
        return found

    def _took(self, word: str) -> bool:
        found = self._rest.startswith(word)
        self._rest = self._rest.removeprefix(word)
        return found


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_asked_for_whole_and_cannot_break_out(value: str) -> None:
    own, events = links(alert(value), KIBANA)
    assert (own.label, events.label) == ("Alert", "Events")
    _, state = state_of(events.url)
    name, _, asked = state["query"]["query"].partition(": ")
    assert (name, asked[0], asked[-1]) == ("source.address", '"', '"')
    assert asked[1:-1].replace('\\"', '"').replace("\\\\", "\\") == value


@pytest.mark.parametrize(
    "where",
    [
        {"event.code": "LOGIN_FAILURE", "event.reason": not_("it's !off")},
        {"siemlite.number.rows": at_least(1e22), "user.id": [True, 5, -0.5, "5", "!t"]},
        raw({"script": {"script": {"source": "doc['user.id'].size() > 1 && true", "params": {"x": None}}}}, "user.id"),
    ],
)
def test_what_the_detection_looks_at_is_a_filter_beside_it(where: Where) -> None:
    time, state = state_of(links(alert(where=where), KIBANA)[1].url)
    assert state["index"] == "security-logs"
    assert [one["query"] for one in state["filters"]] == [compile_where(where).query()]
    assert state["filters"][0]["meta"]["alias"] == "brute_force"
    assert time == {"time": {"from": "2025-06-15T15:06:31.000Z", "to": "2025-06-15T15:06:40.000Z"}}


def test_without_a_group_the_filter_alone_finds_the_events() -> None:
    whole = replace(alert(), group=())
    _, state = state_of(links(whole, KIBANA)[1].url)
    assert state["query"]["query"] == ""
    assert state["filters"]
    assert [link.label for link in links(replace(whole, query=""), KIBANA)] == ["Alert"]


def test_without_kibana_there_is_no_link() -> None:
    assert links(alert(), None) == ()
