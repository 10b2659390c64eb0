"""The compose file cannot run where Docker is missing; what can be known without it is held here.

Every command, setting, port and path in it exists in the project, nothing secret is written in it, and its
set-up script is run for real against a server that notes what it is asked.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.cli.main import main
from pipeline.node.distribution import VERSION
from pipeline.settings import load_settings, variable_names
from tests.unit.node.web import Request, answering, body

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SECRET = re.compile(r"PASSWORD|SECRET|WEBHOOK$|_KEY$|TOKEN")


def strings(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)


def instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.removeprefix(name).strip() for line in joined.splitlines() if line.startswith(f"{name} ")]


def test_the_promised_services_are_there() -> None:
    assert {"elasticsearch", "kibana", "setup", "shipper", "scheduler"} <= set(SERVICES)
    assert set(OURS) == {"setup", "shipper", "scheduler"}


def test_elasticsearch_and_kibana_are_the_version_that_is_embedded_too() -> None:
    images = {service["image"] for service in SERVICES.values() if service not in OURS.values()}
    assert images == {
        f"docker.elastic.co/elasticsearch/elasticsearch:{VERSION}",
        f"docker.elastic.co/kibana/kibana:{VERSION}",
    }


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_command_is_one_of_siemlites(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*OURS[name]["command"], "--help"]) == 0
    assert f"siemlite {OURS[name]['command'][0]}" in capsys.readouterr().out


def test_commands_in_health_checks_are_ones_of_siemlites() -> None:
    checks = [service["healthcheck"]["test"] for service in OURS.values() if "healthcheck" in service]
    assert len(checks) == 2
    for check in checks:
        assert check[0] == "CMD"
        if check[1] == "siemlite":
            assert main([*check[2:], "--help"]) == 0


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_variable_of_ours_is_a_setting_with_a_value_that_is_accepted(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment: dict[str, str] = OURS[name]["environment"]
    assert set(environment) <= set(variable_names())
    for variable, value in environment.items():
        default = re.fullmatch(r"\$\{\w+:-(.*)\}", value)
        monkeypatch.setenv(variable, default[1] if default else value)
    load_settings(None)


def test_the_scheduler_is_asked_for_its_health_where_it_tells_it() -> None:
    scheduler = SERVICES["scheduler"]
    assert f"http://{scheduler['environment']['SIEMLITE_HEALTH']}/readyz" in scheduler["healthcheck"]["test"][-1]
    compile(scheduler["healthcheck"]["test"][-1], "healthcheck", "exec")


def test_no_variable_in_dot_env_is_refused_by_siemlite_itself() -> None:
    asked_for = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert {name for name in asked_for if name.startswith("SIEMLITE_")} <= set(variable_names())


def test_no_secret_is_written_in_the_file_and_none_may_be_empty() -> None:
    found = 0
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable):
                found += 1
                optional = variable in ("SLACK_WEBHOOK", "PAGERDUTY_KEY")
                assert re.fullmatch(r"\$\{\w+:-\}" if optional else r"\$\{\w+:\?[^}]+\}", value), variable
    assert found >= 8
    for text in strings(COMPOSE):
        assert not re.search(r"://[^/\s]*:[^/\s]*@", text), text


def test_security_is_on() -> None:
    assert SERVICES["elasticsearch"]["environment"]["xpack.security.enabled"] == "true"


def test_ports_are_published_on_loopback_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:9200:9200", "127.0.0.1:5601:5601"]


def test_every_address_names_a_service_and_a_port_that_it_listens_on() -> None:
    listening = {"elasticsearch": "9200", "kibana": "5601"}
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            for host, port in re.findall(r"http://([\w.]+):(\d+)", value):
                if host != "127.0.0.1":
                    assert listening[host] == port, variable
    for name, port in listening.items():
        assert f"http://localhost:{port}/" in SERVICES[name]["healthcheck"]["test"][1]


def test_who_waits_for_health_waits_for_a_service_that_tells_it() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES, name
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[needed]
            else:
                assert how["condition"] == "service_completed_successfully"
                assert SERVICES[needed]["restart"].startswith("on-failure")


def test_what_runs_for_ever_is_started_again_and_checked() -> None:
    for name in ("elasticsearch", "kibana", "shipper", "scheduler"):
        assert SERVICES[name]["restart"] == "unless-stopped"
        assert "healthcheck" in SERVICES[name]


def test_volumes_are_declared_and_siemlites_is_its_home() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])
    home = re.search(r"SIEMLITE_HOME=(\S+)", DOCKERFILE)
    assert home
    for service in OURS.values():
        assert service["volumes"] == [f"home:{home[1]}"]
    assert home[1] in instructions("VOLUME")
    assert any(home[1] in line and "--owner=siemlite" in line for line in instructions("RUN"))


def test_the_image_holds_what_the_package_needs_and_runs_it_as_no_root() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    copied = {source for line in instructions("COPY") for source in line.split()[:-1]}
    assert all((ROOT / source).exists() for source in copied)
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {"pyproject.toml", project["project"]["readme"], *wheel} <= copied
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    assert allowed[0] == "*"
    assert {f"!{source}" for source in copied} <= set(allowed)
    assert instructions("FROM") == ["python:3.12-slim"]
    assert json.loads(instructions("ENTRYPOINT")[0]) == [next(iter(project["project"]["scripts"]))]
    assert instructions("USER") == ["siemlite"]


# What breaks naive quoting: for a shell, for JSON and for curl's configuration.
HOSTILE = "a'b\"c\\d $(id) `id` é #x"


@pytest.mark.skipif(not (shutil.which("bash") and shutil.which("curl")), reason="needs bash and curl")
def test_the_accounts_are_made_as_written_whatever_the_passwords_hold() -> None:
    accounts = SERVICES["accounts"]
    requests = run_accounts(
        {
            **{name: accounts["environment"][name] for name in ("SHIPPER_ROLE", "SCHEDULER_ROLE")},
            "ELASTIC_PASSWORD": f"elastic {HOSTILE}",
            "KIBANA_PASSWORD": f"kibana {HOSTILE}",
            "SHIPPER_PASSWORD": f"shipper {HOSTILE}",
            "SCHEDULER_PASSWORD": f"scheduler {HOSTILE}",
        }
    )
    credentials = base64.b64encode(f"elastic:elastic {HOSTILE}".encode()).decode()
    assert {request.headers["authorization"] for request in requests} == {f"Basic {credentials}"}
    assert [(request.method, request.path, json.loads(request.body)) for request in requests] == [
        ("POST", "/_security/user/kibana_system/_password", {"password": f"kibana {HOSTILE}"}),
        ("PUT", "/_security/role/siemlite_shipper", json.loads(accounts["environment"]["SHIPPER_ROLE"])),
        (
            "PUT",
            "/_security/user/siemlite_shipper",
            {"password": f"shipper {HOSTILE}", "roles": ["siemlite_shipper"]},
        ),
        ("PUT", "/_security/role/siemlite_scheduler", json.loads(accounts["environment"]["SCHEDULER_ROLE"])),
        (
            "PUT",
            "/_security/user/siemlite_scheduler",
            {"password": f"scheduler {HOSTILE}", "roles": ["siemlite_scheduler"]},
        ),
    ]
    for name, user in (("shipper", "siemlite_shipper"), ("scheduler", "siemlite_scheduler"), ("setup", "elastic")):
        assert SERVICES[name]["environment"]["ES_USER"] == user


@pytest.mark.skipif(not (shutil.which("bash") and shutil.which("curl")), reason="needs bash and curl")
def test_a_refused_account_fails_the_set_up() -> None:
    names = ("SHIPPER_ROLE", "SCHEDULER_ROLE", "ELASTIC_PASSWORD", "KIBANA_PASSWORD", "SHIPPER_PASSWORD")
    with pytest.raises(subprocess.CalledProcessError):
        run_accounts(dict.fromkeys((*names, "SCHEDULER_PASSWORD"), "{}"), status=400)


def run_accounts(environment: dict[str, str], status: int = 200) -> list[Request]:
    """Run the accounts service's script as its container would."""
    accounts = SERVICES["accounts"]
    script = accounts["command"][0].replace("$$", "$")
    assert accounts["entrypoint"][0] == "/bin/bash"
    with answering(body(b"{}", status=status)) as server:
        subprocess.run(
            ["bash", *accounts["entrypoint"][1:], script],
            env={"PATH": os.environ["PATH"], "ELASTIC": server.host, **environment},
            check=True,
            capture_output=True,
        )
    return server.asked
