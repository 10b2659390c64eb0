"""`siemlite ship FILE…`: beside other senders, with more files than descriptors, and with the wrong standard input."""

import json
import shlex
import subprocess
import threading
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from pipeline.elastic.client import connect
from pipeline.settings import Settings
from pipeline.shipping.locks import FileLock
from pipeline.shipping.spools import Spools
from pipeline.shipping.survey import survey
from tests.command import COMMAND, environment, running, siemlite

EVENTS = 500


def client_of(url: str) -> Elasticsearch:
    return connect(Settings(_env_file=None), url)


def written(path: Path, events: int = EVENTS) -> Path:
    lines = (json.dumps({"timestamp": "2026-11-24T08:00:00Z", "event": "X", "n": n}) for n in range(events))
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def found(client: Elasticsearch, code: str = "X") -> int:
    patient = client.options(ignore_status=[404, 503])  # while an index is being made
    patient.indices.refresh(index="security-logs-*")
    return int(patient.count(index="security-logs-*", query={"term": {"event.code": code}}).get("count", 0))


def test_a_spool_that_another_held_for_a_moment_is_sent_from_once_it_is_free(es_ready: str, tmp_path: Path) -> None:
    client = client_of(es_ready)
    home = tmp_path / "home"
    (home / "spool").mkdir(parents=True)
    other = FileLock(home / "spool" / "files-1.send")
    assert other.acquire()
    timer = threading.Timer(3.0, other.release)
    timer.start()
    env = environment(home, ELASTICSEARCH_URL=es_ready)
    done = siemlite(env, "ship", "--json", str(written(tmp_path / "a.jsonl")))
    timer.join()
    assert json.loads(done.stdout) == {"read": EVENTS, "stored": EVENTS, "refused": 0, "waiting": 0}
    assert found(client) == EVENTS


def test_what_another_process_sends_counts_as_stored(es_ready: str, tmp_path: Path) -> None:
    client = client_of(es_ready)
    home = tmp_path / "home"
    env = environment(home, ELASTICSEARCH_URL=es_ready)
    assert siemlite(env, "ship", str(written(tmp_path / "a.jsonl", 1))).returncode == 0
    sender = FileLock(home / "spool" / "files-1.send")
    with running(env, "ship") as ship:
        ship.until(sender.taken, "the sender has the readers' spool")
        done = siemlite(env, "ship", "--json", str(written(tmp_path / "b.jsonl")))
    assert json.loads(done.stdout) == {"read": EVENTS, "stored": EVENTS, "refused": 0, "waiting": 0}
    assert found(client) == EVENTS + 1


def test_what_another_process_sends_and_elasticsearch_refuses_counts_as_refused(es_ready: str, tmp_path: Path) -> None:
    client = client_of(es_ready)
    data = {"type": "flattened", "depth_limit": 2}
    mappings = {"properties": {"siemlite": {"properties": {"data": data}}}}
    client.indices.create(index="security-logs-2026.11.24", mappings=mappings)
    home = tmp_path / "home"
    env = environment(home, ELASTICSEARCH_URL=es_ready)
    assert siemlite(env, "ship", str(written(tmp_path / "a.jsonl", 1))).returncode == 0
    deep = {"timestamp": "2026-11-24T08:00:00Z", "event": "X", "context": {"a": {"b": {"c": {"d": "deep"}}}}}
    source = written(tmp_path / "b.jsonl", 2)
    with source.open("a") as file:
        file.write(json.dumps(deep) + "\n")
    sender = FileLock(home / "spool" / "files-1.send")
    with running(env, "ship") as ship:
        ship.until(sender.taken, "the sender has the readers' spool")
        done = siemlite(env, "ship", "--json", str(source))
    assert json.loads(done.stdout) == {"read": 3, "stored": 2, "refused": 1, "waiting": 0}


def test_what_an_earlier_reader_left_is_sent_whichever_file_is_read_next(es_ready: str, tmp_path: Path) -> None:
    client = client_of(es_ready)
    home = tmp_path / "home"
    away = environment(home, ELASTICSEARCH_URL="http://127.0.0.1:9")
    with running(away, "ship", "--follow", str(written(tmp_path / "a.log", 20))) as one:
        one.until(lambda: bool(list((home / "spool").glob("files-1.db"))), "the first follower has its spool")
        with running(away, "ship", "--follow", str(written(tmp_path / "b.log", 30))) as other:
            spools = Spools(home / "spool", 10**9)
            other.until(lambda: sum(spool.events for spool in survey(spools)) == 50, "both have spooled their files")
    done = siemlite(
        environment(home, ELASTICSEARCH_URL=es_ready), "ship", "--json", str(written(tmp_path / "c.log", 5))
    )
    assert json.loads(done.stdout) == {"read": 5, "stored": 55, "refused": 0, "waiting": 0}
    assert found(client) == 55


def test_a_follower_sends_what_the_applications_of_its_home_log(es_ready: str, tmp_path: Path) -> None:
    client = client_of(es_ready)
    home = tmp_path / "home"
    env = environment(home, ELASTICSEARCH_URL=es_ready)
    log = "from pipeline import *; SecurityLogger(service='x').log(SecurityEvent.{}, user_id='u', durable=True)"

    def logs(event: str) -> None:
        subprocess.run([COMMAND[0], "-c", log.format(event)], env=env, check=True, cwd="/")

    logs("LOGOUT")
    with running(env, "ship", "--follow", str(written(tmp_path / "a.log", 20))) as follower:
        logs("LOGIN_FAILURE")
        sent = {"X": 20, "LOGOUT": 1, "LOGIN_FAILURE": 1}
        follower.until(lambda: {code: found(client, code) for code in sent} == sent, "everything is sent")
        spools = Spools(home / "spool", 10**9)
        follower.until(lambda: len(spools.paths()) == 1, "what is sent whole is removed")


def test_more_files_than_descriptors_are_all_followed(es_ready: str, tmp_path: Path) -> None:
    client = client_of(es_ready)
    files = [written(tmp_path / f"{number:03}.log", 1) for number in range(160)]
    env = environment(tmp_path / "home", ELASTICSEARCH_URL=es_ready)
    limited = f"ulimit -n 120; exec {shlex.join([*COMMAND, 'ship', '--follow', str(tmp_path / '*.log')])}"
    with subprocess.Popen(["sh", "-c", limited], env=env, stderr=subprocess.PIPE, cwd="/") as process:
        try:
            for turn in (1, 2):
                for _ in range(600):
                    if found(client) == turn * len(files) or process.poll() is not None:
                        break
                    threading.Event().wait(0.1)
                assert found(client) == turn * len(files)
                for path in files:
                    with path.open("a") as file:
                        file.write('{"timestamp":"2026-11-24T09:00:00Z","event":"X"}\n')
        finally:
            process.terminate()
            _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert b"Traceback" not in said


def test_two_followers_of_a_home_with_different_formats_leave_each_other_alone(es_ready: str, tmp_path: Path) -> None:
    client = client_of(es_ready)
    env = environment(tmp_path / "home", ELASTICSEARCH_URL=es_ready)
    events, auth = written(tmp_path / "app.jsonl", 10), tmp_path / "auth.log"
    attack = "sshd[1]: Failed password for root from 192.0.2.1 port 22 ssh2"
    auth.write_text(f"Nov 24 08:00:00 h {attack}\n")
    with_format = ("--format", "authlog", "--year", "2026")
    for turn in (1, 2):  # Each is stopped in between, and the other sees what was rotated meanwhile first.
        with running(env, "ship", "--follow", str(events)) as one:
            one.until(lambda: found(client) == 10, "the application's events")
            if turn == 2:
                threading.Event().wait(2.0)  # Long enough for a look at the siblings of what it might take for its own.
        with running(env, "ship", "--follow", *with_format, str(auth)) as other:
            other.until(lambda t=turn: found(client, "LOGIN_FAILURE") == t, f"failed login {turn}")  # type: ignore[misc]
        if turn == 1:
            with auth.open("a") as file:
                file.write(f"Nov 24 08:00:01 h {attack}\n")
            auth.rename(auth.with_name("auth.log.1"))
            auth.write_text("Nov 24 08:00:02 h sshd[1]: Connection closed by 192.0.2.1 port 22\n")
    assert client.count(index="security-logs-*", query={"prefix": {"tags": "json_parse"}})["count"] == 0


@pytest.mark.parametrize(("given", "fault"), [("<&-", "is closed"), ("0>/dev/null", "cannot be read")])
def test_without_a_standard_input_there_is_one_clear_line(tmp_path: Path, given: str, fault: str) -> None:
    env = environment(tmp_path, ELASTICSEARCH_URL="http://127.0.0.1:9")
    command = f"{shlex.join([*COMMAND, 'ship', '-'])} {given}"
    done = subprocess.run(["sh", "-c", command], env=env, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 2
    assert done.stderr == f"siemlite: standard input {fault}; name a file, or feed events through a pipe\n"
