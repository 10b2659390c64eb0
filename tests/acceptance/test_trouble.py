"""What goes wrong is said in one clear line; nothing is lost, and what can go on goes on."""

import json
import re
import shlex
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pipeline.elastic.client import connect
from pipeline.settings import Settings
from tests.command import COMMAND, environment, running, siemlite
from tests.node import TestNode, free_ports


def lines_file(path: Path, count: int) -> Path:
    with path.open("w") as file:
        for number in range(count):
            event = {"timestamp": "2026-11-20T08:00:00Z", "event": "LOGIN_FAILURE", "userId": f"u{number}"}
            file.write(json.dumps(event) + "\n")
    return path


def one_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


def test_elasticsearch_killed_in_the_middle_of_ship_is_waited_for_and_nothing_is_lost(
    mortal_node: TestNode, tmp_path: Path
) -> None:
    total = 60_000
    env = environment(tmp_path / "home", ELASTICSEARCH_URL=mortal_node.url)
    assert siemlite(env, "setup").returncode == 0
    client = connect(Settings(_env_file=None), mortal_node.url)
    with running(env, "ship", "--json", str(lines_file(tmp_path / "events.jsonl", total))) as ship:
        ship.until(lambda: client.indices.exists(index="security-logs-2026.11.20").body, "the first events are sent")
        mortal_node.kill()
        ship.says("Elasticsearch does not answer")
        mortal_node.start()
        ship.ends(240)
    said = "".join(ship.stderr)
    assert ship.process.returncode == 0, said
    assert json.loads(ship.stdout[-1]) == {"read": total, "stored": total, "refused": 0, "waiting": 0} or (
        json.loads(ship.stdout[-1])["waiting"] == 0
    )
    assert "going on" in said
    client.indices.refresh(index="security-logs-*")
    assert client.count(index="security-logs-*")["count"] == total
    users = client.search(
        index="security-logs-*",
        size=0,
        aggs={"u": {"cardinality": {"field": "user.id", "precision_threshold": 40000}}},
    )["aggregations"]["u"]["value"]
    assert abs(users - total) < total * 0.01


_SETUP, _SHIP, _SCHEDULER, _UP = ("setup",), ("ship", "-"), ("scheduler",), ("up",)


def test_lines_that_are_not_of_the_format_are_said_to_be_so(es_url: str, tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_text("Nov 26 10:00:00 host sshd[1]: Failed password for root from 192.0.2.7 port 1 ssh2\n" * 3 + "{}\n")
    env = environment(tmp_path, ELASTICSEARCH_URL=es_url)
    assert siemlite(env, "setup").returncode == 0
    done = siemlite(env, "ship", str(log))
    assert "3 of 4 events come from lines that are no json; is it --format authlog?" in done.stderr
    other = tmp_path / "copy.log"
    other.write_text(log.read_text())
    done = siemlite(env, "ship", "--format", "authlog", str(other))
    assert "1 of 4 events come from lines that are no authlog; is it --format json?" in done.stderr
    log.write_text("{}\n")
    assert "come from lines" not in siemlite(env, "ship", str(log)).stderr


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("localhost:9200", _SETUP),
        ("ftp://localhost:9200", _SHIP),
        ("http://", _SCHEDULER),
        ("http://a b:9200", _UP),
        ("http://localhost:99999", ("check",)),
    ],
)
def test_a_malformed_url_is_one_line_that_names_the_setting(tmp_path: Path, url: str, command: tuple[str, ...]) -> None:
    done = siemlite(environment(tmp_path, ELASTICSEARCH_URL=url), *command)
    assert done.returncode == 2
    assert one_line(done.stderr).startswith("siemlite: ELASTICSEARCH_URL")


class _Refusing(BaseHTTPRequestHandler):
    def _refuse(self) -> None:
        self.send_response(401)
        self.send_header("content-length", "0")
        self.send_header("x-elastic-product", "Elasticsearch")
        self.end_headers()

    do_GET = do_HEAD = do_POST = do_PUT = _refuse  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        return


@pytest.mark.parametrize("command", [_SETUP, _SHIP, _SCHEDULER, _UP])
def test_a_refused_password_is_one_line_that_names_the_setting_and_never_shows_it(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        env = environment(tmp_path, ELASTICSEARCH_URL=url, ES_USER="elastic", ES_PASSWORD="hunter2-secret")
        done = siemlite(env, *command)
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("siemlite:")]
    assert "ES_PASSWORD" in line
    assert "hunter2" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ("setup",),
        ("scheduler",),
        ("test",),
        ("drill", "root_login"),
        ("detect", "--from", "2026-01-01", "--to", "2026-01-02"),
        ("backtest", "root_login", "--from", "2026-01-01", "--to", "2026-01-02"),
    ],
)
def test_an_unreachable_server_is_waited_for_and_said_once(tmp_path: Path, command: tuple[str, ...]) -> None:
    env = environment(tmp_path, ELASTICSEARCH_URL=f"http://127.0.0.1:{free_ports(1)[0]}")
    with running(env, *command) as process:
        process.says("does not answer")
        process.process.terminate()
        assert process.ends() in (0, 130)
    assert sum("waiting" in line and "does not answer" in line for line in process.stderr) == 1


def test_shipping_to_an_unreachable_server_spools_says_so_and_ends_with_what_waits(tmp_path: Path) -> None:
    env = environment(tmp_path, ELASTICSEARCH_URL=f"http://127.0.0.1:{free_ports(1)[0]}")
    with running(env, "ship", str(lines_file(tmp_path / "events.jsonl", 500))) as ship:
        ship.says("Elasticsearch does not answer")
        ship.process.terminate()
        ship.ends()
    assert "500 waiting in the spool" in "".join(ship.stderr)
    status = json.loads(siemlite(env, "status", "--json").stdout)
    assert sum(spool["events"] for spool in status["spools"]) == 500


@pytest.mark.parametrize(
    "command",
    [("alerts", "list"), ("silence", "list"), ("dead-letters", "list"), ("check",), ("coverage",), ("status",)],
)
def test_a_command_that_only_asks_loads_all_it_needs_by_itself_and_waits_for_no_server(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    env = environment(tmp_path, ELASTICSEARCH_URL=f"http://127.0.0.1:{free_ports(1)[0]}")
    with running(env, *command) as process:
        status = process.ends()
    said = "\n".join(process.stdout + process.stderr)
    assert "Traceback" not in said
    assert "does not answer" in said
    assert status == (0 if command == ("status",) else 1)


def test_a_broken_detection_is_one_line_that_names_it_and_the_others_still_run(es_url: str, tmp_path: Path) -> None:
    broken = {
        "broken_a": ('"""Title."""\ndetection = Threshold(', "syntax error"),
        "broken_b": ('"""Title."""\nfrom pipeline.detection import Nope\n', "Nope"),
        "broken_c": ('"""Title."""\nx = 1\n', "has no `detection`"),
        "broken_d": (
            "from pipeline.detection import *\n"
            "detection = Threshold(severity=Severity.LOW, group_by='user.id', at_least=1, within=minutes(1),\n"
            "    suppress_for=minutes(1))\n",
            "docstring",
        ),
    }
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, (content, _) in broken.items():
        (folder / f"{name}.py").write_text(content)
    (folder / "good_one.py").write_text(
        '"""A good one.\n\nTriage: look.\nFalse positives: none.\n"""\n'
        "from pipeline.detection import Severity, Threshold, minutes\n"
        'detection = Threshold(severity=Severity.LOW, where={"event.code": "LOGIN_FAILURE"}, group_by="user.id",\n'
        "    at_least=1, within=minutes(1), suppress_for=minutes(1))\n"
    )
    env = environment(tmp_path / "home", ELASTICSEARCH_URL=es_url, SIEMLITE_DETECTIONS=str(folder))
    assert siemlite(env, "setup").returncode == 0
    assert siemlite(env, "ship", str(lines_file(tmp_path / "events.jsonl", 3))).returncode == 0
    done = siemlite(env, "detect", "--from", "2026-11-20", "--to", "2026-11-21", "--json")
    assert done.returncode == 2
    for name, (_, named) in broken.items():
        (line,) = [line for line in done.stderr.splitlines() if f"{name}.py" in line]
        assert named in line
    assert "Traceback" not in done.stderr
    opened = {entry["detection"]: entry["opened"] for entry in map(json.loads, done.stdout.splitlines())}
    assert opened["good_one"] == 3
    assert "brute_force_by_address" in opened


def test_a_missing_detections_folder_is_one_line_that_names_the_setting(es_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, ELASTICSEARCH_URL=es_url, SIEMLITE_DETECTIONS=str(tmp_path / "nowhere"))
    done = siemlite(env, "scheduler")
    assert done.returncode == 2
    assert "SIEMLITE_DETECTIONS" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("ship", "/nowhere/auth.log"), "/nowhere/auth.log"),
        (("ship", "/"), "/"),
        (("ship", "--format", "cvs", "-"), "json"),
        (("ship", "--format", "authlog", "--timezone", "Mars/Olympus", "-"), "Mars/Olympus"),
        (("detect", "--from", "soon", "--to", "2026-01-01"), "soon"),
        (("detect", "--from", "2026-01-02", "--to", "2026-01-01"), "--from"),
        (("detect", "--from", "2026-01-01", "--to", "2026-01-02", "--id", "nope"), "nope"),
        (("drill", "nope"), "nope"),
        (("shipp",), "shipp"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_thing(
    es_url: str, tmp_path: Path, arguments: tuple[str, ...], named: str
) -> None:
    done = siemlite(environment(tmp_path, ELASTICSEARCH_URL=es_url), *arguments)
    assert done.returncode == 2, done.stderr
    assert re.search(re.escape(named), one_line(done.stderr))


def test_an_unknown_setting_is_one_line_that_suggests_the_nearest(tmp_path: Path) -> None:
    done = siemlite(environment(tmp_path, SIEMLITE_SPOOL_MAXBYTES="1g"), "setup")
    assert done.returncode == 2
    line = one_line(done.stderr)
    assert "SIEMLITE_SPOOL_MAXBYTES" in line
    assert "SIEMLITE_SPOOL_MAX_BYTES" in line


@pytest.mark.parametrize(
    ("output", "status", "said"), [(">/dev/full", 1, "make room"), (">&-", 0, ""), ("| true", 0, "")]
)
def test_a_result_that_nobody_can_take_is_no_traceback(tmp_path: Path, output: str, status: int, said: str) -> None:
    for command in ("siemlite --version", "siemlite node status"):
        told = shlex.join([*COMMAND, *command.split()[1:]])
        env = environment(tmp_path)
        done = subprocess.run(["sh", "-c", f"{told} {output}"], env=env, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        if command.endswith("version"):
            assert (done.returncode, said in done.stderr) == (status, True)
