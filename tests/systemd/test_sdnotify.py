"""What systemd hears from us, on a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_config.sdnotify import STATUS_MAX, Notifier


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        yield listener


def notifier(systemd: socket.socket, **more: str) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": systemd.getsockname(), **more})


def heard(systemd: socket.socket) -> list[str]:
    return systemd.recv(4096).decode().split("\n")


def nothing_more(systemd: socket.socket) -> bool:
    systemd.setblocking(False)
    try:
        systemd.recv(4096)
    except BlockingIOError:
        return True
    return False


def test_ready_status_and_stopping_arrive(systemd: socket.socket) -> None:
    service = notifier(systemd)
    service.ready("watching the door")
    service.status("no camera")
    service.stopping()
    assert heard(systemd) == ["READY=1", "STATUS=watching the door"]
    assert heard(systemd) == ["STATUS=no camera"]
    assert heard(systemd) == ["STOPPING=1"]


def test_reloading_carries_the_time_that_systemd_asks_for(systemd: socket.socket) -> None:
    notifier(systemd).reloading(123)
    assert heard(systemd) == ["RELOADING=1", "MONOTONIC_USEC=123"]


def test_a_status_stays_on_one_short_line(systemd: socket.socket) -> None:
    notifier(systemd).status("lost\nWATCHDOG=1\n" + "x" * 1000)
    lines = heard(systemd)
    assert len(lines) == 1
    assert len(lines[0]) == len("STATUS=") + STATUS_MAX


def test_the_watchdog_hears_us_only_when_it_listens(systemd: socket.socket) -> None:
    unwatched = notifier(systemd)
    unwatched.alive()
    assert unwatched.watchdog_s is None
    assert nothing_more(systemd)
    watched = notifier(systemd, WATCHDOG_USEC="10000000", WATCHDOG_PID=str(os.getpid()))
    watched.alive()
    assert watched.watchdog_s == 10.0
    systemd.settimeout(5)
    assert heard(systemd) == ["WATCHDOG=1"]


@pytest.mark.parametrize("usec", ["", "0", "soon", "-5"])
def test_a_watchdog_time_that_is_none_is_no_watchdog(usec: str) -> None:
    assert Notifier({"WATCHDOG_USEC": usec}).watchdog_s is None


def test_a_child_is_not_watched_in_its_parents_place() -> None:
    assert Notifier({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid() + 1)}).watchdog_s is None


def test_an_abstract_socket_is_reached() -> None:
    name = f"latchkey-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name)
        listener.settimeout(5)
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert listener.recv(100) == b"READY=1"


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    Notifier({}).ready("alone")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("systemd is gone")
