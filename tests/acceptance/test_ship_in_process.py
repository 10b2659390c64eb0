"""An application that sends what it logs itself."""

import subprocess
import sys
from pathlib import Path

from pipeline.elastic.client import connect
from pipeline.elastic.templates import install
from pipeline.settings import Settings
from tests.command import environment

_APPLICATION = """
import sys, time
from pipeline import SecurityEvent, SecurityLogger
security = SecurityLogger(service="shop")
for number in range(200):
    security.log(SecurityEvent.LOGIN_FAILURE, user_id=f"u{number}", ip="192.0.2.1", password="hunter2")
print("logged", flush=True)
sys.stdin.readline()
"""


def test_an_application_may_send_what_it_logs_itself(es_url: str, tmp_path: Path) -> None:
    client = connect(Settings(_env_file=None), es_url)
    install(client)
    env = environment(tmp_path, ELASTICSEARCH_URL=es_url, SIEMLITE_SHIP_IN_PROCESS="true")
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
