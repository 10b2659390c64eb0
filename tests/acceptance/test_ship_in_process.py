"""An application that sends what it logs itself."""

import subprocess
import sys
from pathlib import Path

from elasticsearch import Elasticsearch

from pipeline.elastic.client import connect
from pipeline.settings import Settings
from tests.command import environment, running

_APPLICATION = """
import sys, time
from pipeline import SecurityEvent, SecurityLogger
security = SecurityLogger(service="shop")
for number in range(200):
    security.log(SecurityEvent.LOGIN_FAILURE, user_id=f"u{number}", ip="192.0.2.1", password="hunter2")
print("logged", flush=True)
sys.stdin.readline()
"""


def test_an_application_may_send_what_it_logs_itself(es_ready: str, tmp_path: Path) -> None:
    client = connect(Settings(_env_file=None), es_ready)
    env = environment(tmp_path, ELASTICSEARCH_URL=es_ready, SIEMLITE_SHIP_IN_PROCESS="true")
    with subprocess.Popen(
        [sys.executable, "-c", _APPLICATION], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as application:
        assert application.stdout is not None
        assert application.stdout.readline() == "logged\n"
        found = 0
        for _ in range(300):
            client.indices.refresh(index="security-logs-*")
            found = client.options(ignore_status=[404, 503]).count(index="security-logs-*").get("count", 0)
            if found == 200:
                break
            try:
                application.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        application.communicate("\n", timeout=30)
    assert found == 200


_FORKING = """
import os, sys, threading, time
from pipeline import SecurityEvent, SecurityLogger
security = SecurityLogger(service="shop")
done = threading.Event()
def work():
    while not done.wait(0.0005):
        security.log(SecurityEvent.LOGOUT, user_id="parent")
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
children, hung = int(sys.argv[1]), 0
for child in range(children):
    pid = os.fork()
    if pid == 0:
        security.log(SecurityEvent.LOGIN_SUCCESS, user_id=f"child-{child}", durable=True)
        os._exit(0)
    end = time.monotonic() + 25
    while not os.waitpid(pid, os.WNOHANG)[0]:
        if time.monotonic() > end:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            hung += 1
            break
        time.sleep(0.001)
done.set()
for thread in threads:
    thread.join()
print("hung", hung, flush=True)
"""


def test_forking_while_threads_log_and_others_send_hangs_no_child(es_ready: str, tmp_path: Path) -> None:
    client = connect(Settings(_env_file=None), es_ready)
    env = environment(tmp_path, ELASTICSEARCH_URL=es_ready, SIEMLITE_SHIP_IN_PROCESS="true")
    done = subprocess.run(
        [sys.executable, "-c", _FORKING, "80"], env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "hung 0\n"
    with running(environment(tmp_path, ELASTICSEARCH_URL=es_ready), "ship") as shipper:
        shipper.until(lambda: _found(client, "LOGIN_SUCCESS") == 80, "what the children logged")


def _found(client: Elasticsearch, code: str) -> int:
    patient = client.options(ignore_status=[404, 503])  # while an index is being made
    patient.indices.refresh(index="security-logs-*")
    return int(patient.count(index="security-logs-*", query={"term": {"event.code": code}}).get("count", 0))
