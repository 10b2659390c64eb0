"""The protocol of sd_notify."""

import os
import socket
from pathlib import Path

import pytest

from pipeline.scheduler.systemd import Systemd


def test_a_service_manager_hears_ready_alive_and_stopping(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(5)
        systemd = Systemd({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())})
        for say in (systemd.ready, systemd.alive, systemd.stopping):
            say()
        assert [manager.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]
    assert systemd.watchdog_s == 10


def test_an_abstract_socket_is_understood() -> None:
    name = f"siemlite-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        manager.settimeout(5)
        Systemd({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("environment", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}])
def test_without_a_watchdog_for_this_process_there_is_none(environment: dict[str, str]) -> None:
    systemd = Systemd(environment)
    systemd.alive()
    assert systemd.watchdog_s is None


def test_a_manager_that_is_gone_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1000000"})
    systemd.ready()
    for _ in range(3):
        systemd.alive()
    assert [record.message.partition(":")[0] for record in caplog.records] == ["systemd cannot be told READY=1"]
