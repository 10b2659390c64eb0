"""`siemlite alerts` and `siemlite silence` as people and programs use them."""

import json
import shlex
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from pipeline.alerts.silences import Silence
from pipeline.app.shipping import ShippingApp
from pipeline.cli.silence import _doubts
from pipeline.clock import SystemClock
from pipeline.elastic.client import connect
from pipeline.engine.loader import BUILT_IN, load_detections
from pipeline.errors import ConfigurationError
from pipeline.events.values import instant_text
from pipeline.settings import Settings
from tests.acceptance.attacks import fail_logins
from tests.command import environment, on_a_terminal, running, siemlite
from tests.unit.clocks import ManualClock
from tests.unit.waiting import until

HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold red]x[/] \u202e<!channel>\n evil"


@pytest.fixture
def env(es_ready: str, tmp_path: Path) -> dict[str, str]:
    client = connect(Settings(_env_file=None), es_ready)
    now = time.time_ns() // 1_000_000
    for name in ("203.0.113.7", "203.0.113.8", HOSTILE):
        fail_logins(client, name, [now - n for n in range(5)])
    client.close()
    found = environment(tmp_path, ELASTICSEARCH_URL=es_ready)
    day = 86_400_000
    done = siemlite(
        found,
        *("detect", "--id", "brute_force_by_address"),
        *("--from", instant_text(now - day), "--to", instant_text(now + day)),
    )
    assert done.returncode == 0, done.stderr
    return found


def json_of(env: Mapping[str, str], *arguments: str) -> list[dict[str, object]]:
    done = siemlite(env, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def ids(env: Mapping[str, str], *arguments: str) -> list[str]:
    return [str(line["event"]["id"]) for line in json_of(env, "alerts", "list", *arguments)]  # type: ignore[index]


def test_what_the_terminals_encoding_lacks_is_shown_as_an_escape(env: dict[str, str]) -> None:
    ascii_only = env | {"PYTHONIOENCODING": "ascii", "COLUMNS": "60"}
    listed = siemlite(ascii_only, "alerts", "list")
    assert (listed.returncode, listed.stdout.isascii()) == (0, True), listed.stderr
    assert json_of(ascii_only, "alerts", "list") == json_of(env, "alerts", "list")
    assert "\u202e" in json.dumps(json_of(ascii_only, "alerts", "list"), ensure_ascii=False)


def test_a_narrow_terminal_shows_whole_names_and_groups(env: dict[str, str]) -> None:
    heading, names, *lines = on_a_terminal(env, 80, "alerts", "list")
    assert (heading.split()[0], names.split()) == ("ID", ["DETECTION", "GROUP"])
    assert sum(line.startswith("    brute_force_by_address  source.address=203.0.113.") for line in lines) == 2
    wide, *rows = on_a_terminal(env, 200, "alerts", "list")
    assert wide.split()[-2:] == ["DETECTION", "GROUP"]
    assert len(rows) == 3


def test_a_detection_that_there_is_not_is_told_from_one_without_alerts(env: dict[str, str]) -> None:
    ours = ("--detection", "siemlite_detections", "--detection", "root_login", "--detection", "brute_force_by_adress")
    done = siemlite(env, "alerts", "list", *ours)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    assert done.stderr.splitlines() == [
        "0 alerts",
        "siemlite: no detection here is called brute_force_by_adress, and no alert is one of it; did you mean "
        "brute_force_by_address or brute_force_by_account?",
    ]
    one = siemlite(env, "alerts", "list", "--value", "203.0.113.7")
    assert one.stderr.splitlines() == ["1 alert"]


def test_a_clock_that_is_ahead_of_elasticsearchs_closes_nothing(env: dict[str, str]) -> None:
    settings = Settings(_env_file=None, elasticsearch_url=env["ELASTICSEARCH_URL"])
    now_ms = SystemClock().now_ms()
    ShippingApp(settings, print, ManualClock(now_ms)).refuse_wrong_clock()
    with pytest.raises(ConfigurationError, match="ahead of Elasticsearch's"):
        ShippingApp(settings, print, ManualClock(now_ms + 120_000)).refuse_wrong_clock()


def test_alerts_are_listed_shown_acknowledged_and_closed(env: dict[str, str]) -> None:
    listed = siemlite(env, "alerts", "list")
    assert listed.returncode == 0
    assert "3 alerts" in listed.stderr
    assert "\x1b" not in listed.stdout
    assert "\u202e" not in listed.stdout
    assert r'source.address="\u001b[2J\u001b]0;owned\u0007[bold red]x[/] \u202e<!channel>\n evil"' in listed.stdout
    assert len(listed.stdout.splitlines()) == 4
    [seven] = ids(env, "--value", "203.0.113.7")
    [eight] = ids(env, "--value", "203.0.113.8")
    assert ids(env, "--value", "source.address=203.0.113.7") == [seven]
    assert len(ids(env)) == 3
    assert ids(env, "--severity", "critical") == []
    assert ids(env, "--detection", "password_spraying") == []
    assert ids(env, "--since", "2099-01-01") == []
    assert len(ids(env, "--limit", "2")) == 2

    shown = siemlite(env, "alerts", "show", seven[:10])
    assert shown.returncode == 0
    for fact in (seven, "203.0.113.7", "events:          5", "T1110.001", "console open: sent", "LOGIN_FAILURE"):
        assert fact in shown.stdout

    [acknowledged] = json_of(env, "alerts", "ack", seven[:10], "--by", "kim", "-m", "on it")
    assert acknowledged["state"] == "acknowledged"
    assert ids(env, "--state", "acknowledged") == [seven]
    assert siemlite(env, "alerts", "close", seven, "-m", "a pentest").returncode == 0
    assert len(ids(env)) == 2
    for action in ("ack", "close"):
        half = siemlite(env, "alerts", action, eight, "ffffffffff")
        assert (half.returncode, half.stdout) == (1, "")
        assert "there is no alert" in half.stderr
        assert eight in ids(env, "--state", "open"), "nothing is done where not all are known"
    closed = siemlite(env, "alerts", "show", seven).stdout
    assert "by kim: on it" in closed
    assert "a pentest" in closed
    again = siemlite(env, "alerts", "ack", seven)
    assert (again.returncode, again.stdout) == (1, "")
    assert "is closed" in again.stderr


def test_an_alert_hands_out_a_command_that_finds_its_events_and_no_others(env: dict[str, str]) -> None:
    client = connect(Settings(_env_file=None), env["ELASTICSEARCH_URL"])
    others = [instant_text(time.time_ns() // 1_000_000 - n) for n in range(3)]
    for alert_id in ids(env):
        [shown] = json_of(env, "alerts", "show", alert_id)
        address = shown["siemlite"]["group"][0]["value"]  # type: ignore[index]
        for other in (shown["siemlite"]["first"], *others):  # type: ignore[index]
            event = {"@timestamp": other, "event": {"code": "LOGOUT"}, "source": {"address": address}}
            client.index(index="security-logs-2099.01.01", document=event)
    client.indices.refresh(index="security-logs-2099.01.01")
    client.close()
    for alert_id in ids(env):
        [command] = [
            line
            for line in siemlite(env, "alerts", "show", alert_id).stdout.splitlines()
            if line.startswith("curl -sS ")
        ]
        _, _, url, _, header, _, body = shlex.split(command)
        answer = httpx.post(url, headers=dict([header.split(": ")]), content=body).json()
        assert [hit["_source"]["event"]["code"] for hit in answer["hits"]["hits"]] == 5 * ["LOGIN_FAILURE"]


def test_who_comes_second_is_told_who_came_first(env: dict[str, str]) -> None:
    [seven] = ids(env, "--value", "203.0.113.7")
    for action, state in (("ack", "acknowledged"), ("close", "closed")):
        for person in ("kim", "lee"):
            done = siemlite(env, "alerts", action, seven, "--by", person)
            assert f"  {state} by kim  " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("alerts", "show", "ffffffffff"), 1, "there is no alert"),
        (("alerts", "list", "--state", "broken"), 2, "--state 'broken' is none of open, acknowledged, closed"),
        (("alerts", "list", "--severity", "huge"), 2, "--severity"),
        (("alerts", "list", "--since", "yesterday"), 2, "--since 'yesterday' is no instant"),
        (("silence", "add", "-m", "x", "--for", "1h"), 2, "nothing silences everything"),
        (("silence", "add", "-m", "x", "--detection", "a"), 2, "give the end of the silence"),
        (("silence", "add", "-m", "x", "--detection", "a", "--for", "soon"), 2, "--for 'soon'"),
        (
            ("silence", "add", "-m", "x", "--detection", "a", "--for", "9999d"),
            *(2, "the silence would last more than 3660 days; give an earlier end"),
        ),
        (
            ("silence", "add", "-m", "x", "--detection", "a", "--for", "9" * 400 + "d"),
            *(2, "is longer than 100 years"),
        ),
        (("silence", "add", "-m", "x", "--for", "1h", "--value", "nonsense"), 2, "is not FIELD=VALUE"),
        (("silence", "expire", "nothing"), 1, "there is no silence 'nothing'"),
    ],
)
def test_a_mistake_is_one_line(
    es_ready: str, tmp_path: Path, arguments: tuple[str, ...], status: int, said: str
) -> None:
    done = siemlite(environment(tmp_path, ELASTICSEARCH_URL=es_ready), *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    [line] = done.stderr.splitlines()
    assert said in line


def test_a_silence_is_added_listed_expired_and_recorded_as_an_event(env: dict[str, str]) -> None:
    [added] = json_of(
        env,
        *("silence", "add", "--reason", "a pentest", "--for", "2h", "--by", "kim"),
        *("--cidr", "203.0.113.0/24", "--detection", "brute_*"),
    )
    [listed] = json_of(env, "silence", "list")
    assert listed["id"] == added["id"]
    assert (listed["author"], listed["reason"], listed["cidr"]) == ("kim", "a pentest", "203.0.113.0/24")
    assert str(added["id"]) in siemlite(env, "silence", "list").stdout
    assert siemlite(env, "silence", "expire", str(added["id"]), "--by", "lee").returncode == 0
    assert json_of(env, "silence", "list") == []
    [kept] = json_of(env, "silence", "list", "--all")
    assert kept["expired_by"] == "lee"
    with running(env, "ship"):
        until(lambda: len(changes(env)) == 2)
    assert changes(env) == [
        ("kim", f"silence added: {added['id']}", "a pentest"),
        ("lee", f"silence expired: {added['id']}", "a pentest"),
    ]


def test_what_is_typed_in_another_encoding_keeps_nothing_else_from_being_read(env: dict[str, str]) -> None:
    latin = "W\udce4rme"  # as Python hands on a byte that is no UTF-8
    [added] = json_of(env, "silence", "add", "-m", latin, "--by", latin, "--for", "1h", "--value", f"user.id={latin}")
    [seven] = ids(env, "--value", "203.0.113.7")
    json_of(env, "alerts", "ack", seven, "-m", latin, "--by", latin)
    foreign = {"type": "silence", "silence": {**added, "values": [], "cidr": "192.0.2.0/24", "reason": "\ud800"}}
    with httpx.Client(base_url=env["ELASTICSEARCH_URL"], params={"refresh": "true"}) as http:
        path = "/security-control-v1/_create/silence:foreign"
        http.post(path, headers={"Content-Type": "application/json"}, content=json.dumps(foreign)).raise_for_status()
    assert {str(silence["reason"]) for silence in json_of(env, "silence", "list")} == {"W?rme", "?"}
    assert len(ids(env)) == 3
    assert "by W?rme: W?rme" in siemlite(env, "alerts", "show", seven).stdout
    assert ids(env, "--value", latin) == []


def test_a_silence_that_leaves_no_trace_in_this_home_is_a_mistake_of_one_line(es_ready: str, tmp_path: Path) -> None:
    (tmp_path / "spool").touch()
    env = environment(tmp_path, ELASTICSEARCH_URL=es_ready)
    done = siemlite(env, "silence", "add", "-m", "x", "--for", "1h", "--cidr", "192.0.2.0/24")
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"siemlite: SIEMLITE_HOME: {tmp_path / 'spool'} cannot be made")


def changes(env: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return who changed the configuration, how and why, in order, as the stored events say it."""
    with httpx.Client(base_url=env["ELASTICSEARCH_URL"]) as http:
        http.post("/security-logs-*/_refresh")
        query = {"query": {"term": {"event.code": "CONFIG_CHANGE"}}, "sort": ["@timestamp"]}
        sources = [hit["_source"] for hit in http.post("/security-logs-*/_search", json=query).json()["hits"]["hits"]]
    return [(source["user"]["id"], source["message"], source["event"]["reason"]) for source in sources]


def test_a_silence_that_silences_nothing_there_is_says_so(env: dict[str, str]) -> None:
    done = siemlite(env, "silence", "add", "--for", "1h", "-m", "a test", "--detection", "nosuch_detection")
    assert (done.returncode, "no detection here is called nosuch_detection" in done.stderr) == (0, True)


@pytest.mark.parametrize(
    ("detection", "value", "doubts"),
    [
        ("nosuch*", None, ["no detection here is called nosuch*;"]),
        ("brute_*", ("userid", "bob"), ["no detection here called brute_* groups by userid;"]),
        (None, ("userid", "bob"), ["no detection here groups by userid;"]),
        ("brute_force_by_*", ("source.address", "192.0.2.1"), []),
        ("siemlite_operations", ("userid", "bob"), []),
    ],
)
def test_what_a_silence_may_not_silence_is_told(
    detection: str | None, value: tuple[str, str] | None, doubts: list[str]
) -> None:
    kept = Silence("id", "kim", "why", 1, 2, detection, () if value is None else (value,))
    found = list(_doubts(kept, load_detections([BUILT_IN]).detections))
    assert [doubt.partition(";")[0] + ";" for doubt in found] == doubts


def test_a_silence_is_kept_though_the_detections_cannot_be_read(env: dict[str, str], tmp_path: Path) -> None:
    wrong = env | {"SIEMLITE_DETECTIONS": str(tmp_path / "missing")}
    done = siemlite(wrong, "silence", "add", "--for", "1h", "-m", "a test", "--detection", "brute_force_by_address")
    assert (done.returncode, "which is not a folder" in done.stderr) == (0, True)
