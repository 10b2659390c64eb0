"""Slack's messages: within its limits, and nothing in them comes alive."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from pipeline.delivery.channels.slack import escaped, message
from pipeline.delivery.notice import Notice
from tests.unit.delivery.notices import EVIL, HOSTILE, ORDINARY


def texts(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every text object of a message."""
    if isinstance(node, dict):
        if node.get("type") in ("plain_text", "mrkdwn"):
            yield node
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)


def test_the_text_begins_with_severity_and_title_and_then_says_what_happened() -> None:
    assert message(ORDINARY)["text"] == f"[HIGH] {ORDINARY.title}\n{ORDINARY.summary}"


def test_a_message_says_all_that_is_needed_at_a_glance() -> None:
    said = json.dumps(message(ORDINARY))
    for fact in ("203.0.113.7", "23", ORDINARY.first, ORDINARY.last, "T1110.001", ORDINARY.guide, "0123456789ab"):
        assert fact in said
    [button] = [b for block in message(ORDINARY)["blocks"] for b in block.get("elements", []) if b["type"] == "button"]
    assert button["url"] == ORDINARY.links[0].url


@pytest.mark.parametrize("notice", [ORDINARY, HOSTILE, replace(HOSTILE, title="&" * 500, summary="<" * 9000)])
def test_a_message_keeps_within_slacks_limits(notice: Notice) -> None:
    body = message(notice)
    assert len(body["text"]) <= 4000
    assert len(body["blocks"]) <= 50
    for block in body["blocks"]:
        if block["type"] == "header":
            assert 1 <= len(block["text"]["text"]) <= 150
        if block["type"] == "section" and "text" in block:
            assert 1 <= len(block["text"]["text"]) <= 3000
        assert len(block.get("fields", [])) <= 10
        assert all(len(field["text"].encode("utf-16-le")) <= 4000 for field in block.get("fields", []))


def test_nothing_from_outside_is_parsed() -> None:
    body = message(HOSTILE)
    assert {text["type"] for text in texts(body["blocks"])} == {"plain_text"}
    assert not any(text["emoji"] for text in texts(body["blocks"]))
    assert (body["mrkdwn"], body["parse"], body["link_names"], body["unfurl_links"]) == (False, "none", False, False)
    for said in (body["text"], *(text["text"] for text in texts(body["blocks"]))):
        assert "<" not in said
        assert ">" not in said
        assert re.search(r"&(?!amp;|lt;|gt;)", said) is None


@pytest.mark.parametrize("limit", range(1, 40))
def test_a_cut_never_splits_an_entity(limit: int) -> None:
    cut = escaped("a<b>&" * 10, limit)
    assert len(cut) <= limit
    assert re.fullmatch(r"(a|b|&lt;|&gt;|&amp;)*…?", cut)


def test_what_fits_is_whole() -> None:
    assert escaped(EVIL, 1000).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == EVIL


def test_a_possible_repetition_says_so() -> None:
    assert "may repeat" not in json.dumps(message(ORDINARY))
    assert "may repeat" in json.dumps(message(replace(ORDINARY, repeated=True)))


@pytest.mark.parametrize("notice", [ORDINARY, HOSTILE, replace(ORDINARY, examples=(), guide="", links=())])
def test_every_block_has_what_slack_requires_of_it(notice: Notice) -> None:
    blocks = message(notice)["blocks"]
    for block in blocks:
        required = {"header": "text", "context": "elements", "actions": "elements"}.get(block["type"])
        assert block.get(required) if required else block.get("text") or block.get("fields")
    said = [block["text"]["text"] for block in blocks if "text" in block]
    assert said[:2] == [escaped(notice.heading, 150), escaped(notice.summary, 3000)]


def test_of_a_silence_no_event_is_said_to_have_come_last() -> None:
    silent = replace(ORDINARY, span=("Quiet since", "Noticed"))
    names = [field["text"] for field in message(silent)["blocks"][2]["fields"]]
    assert {f"Quiet since\n{silent.first}", f"Noticed\n{silent.last}"} <= set(names)
