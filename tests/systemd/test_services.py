"""The three services as Debian's own systemd runs them, installed by install.sh and hardened as they ship."""

from __future__ import annotations

import re
import time

import pytest

from tests.systemd.site import ADMIN, DEVICE, LOCK, SERVICES, SETTINGS, Site
from tests.waiting import until

pytestmark = [pytest.mark.nspawn, pytest.mark.timeout(900)]

HIGHEST_EXPOSURE = 1.5
"""Of 10, by `systemd-analyze security`: what the issue asks for."""

STOP_LIMIT_S = {DEVICE: 2.0, LOCK: 2.0, ADMIN: 5.0}
"""The page waits for requests that are under way."""

WATCHDOG_S = 10.0
RESTART_S = 2.0
"""WatchdogSec and RestartSec of latchkey-device.service."""

READY_LIMIT_S = 15.0
LOG_LINE = re.compile(r"(INFO|WARNING|ERROR) latchkey\.\w+: \S.*")
"""What the door writes; the journal adds time and name."""


def test_somebody_who_is_enrolled_is_let_in_by_services_that_may_do_nothing_else(site: Site) -> None:
    since = f"--since=@{time.time():.3f}"
    assert until(lambda: "The lock opens." in site.machine.journal(LOCK, "-o", "cat", since), 30)
    # Recorded right after: nobody waits before a door for a disk.
    assert until(lambda: any("granted: granted" in line for line in site.machine.journal(DEVICE, "-o", "cat", since)))


@pytest.mark.parametrize("service", SERVICES)
def test_the_running_service_is_exposed_to_little(site: Site, service: str) -> None:
    assert site.is_active(service)
    said = site.machine.run("systemd-analyze", "security", "--no-pager", service)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert found is not None, said
    print(f"{service}: {found.group(1)}")
    assert float(found.group(1)) <= HIGHEST_EXPOSURE, said


def test_no_system_call_that_a_service_makes_was_missed(site: Site) -> None:
    """A refused call fails with EPERM: it must not show as an error in what the services say."""
    for service in SERVICES:
        wrong = [line for line in site.machine.journal(service) if "not permitted" in line or "Traceback" in line]
        assert wrong == []


def test_the_door_is_ready_only_with_its_model(site: Site) -> None:
    good = site.read(SETTINGS)
    site.machine.run("systemctl", "stop", DEVICE)
    site.write("/etc/latchkey/broken.latchkey", b"no bundle")
    site.write(SETTINGS, f'models = "/etc/latchkey/broken.latchkey"\n{good}'.encode())
    # The one that it ran before is in its state; a door that has never run has only the broken one.
    site.machine.run("mv", "/var/lib/latchkey", "/var/lib/latchkey.away")
    site.machine.run("install", "-d", "-o", "latchkey", "-g", "latchkey", "-m", "700", "/var/lib/latchkey")
    try:
        assert site.machine.try_run("systemctl", "start", DEVICE).returncode != 0
        assert not site.is_active()
    finally:
        site.machine.run("systemctl", "stop", DEVICE)
        site.write(SETTINGS, good.encode())
        site.machine.run("rm", "-rf", "/var/lib/latchkey")
        site.machine.run("mv", "/var/lib/latchkey.away", "/var/lib/latchkey")
    before = time.monotonic()
    site.machine.run("systemctl", "start", DEVICE)
    assert time.monotonic() - before < READY_LIMIT_S
    # `start` came back because the door said so: model and camera loop were up, and the status line is the loop's own.
    assert site.is_active()
    assert until(lambda: "frames/s" in site.status, 10)


def test_a_door_without_a_camera_is_up_and_says_so(site: Site) -> None:
    good = site.read(SETTINGS)
    site.set_camera("/dev/video9")
    try:
        site.machine.run("systemctl", "restart", DEVICE)
        assert site.is_active()
        assert until(lambda: "/dev/video9" in site.status, 10), site.status
    finally:
        site.write(SETTINGS, good.encode())
        site.machine.run("systemctl", "reload", DEVICE)


def test_a_loop_that_hangs_is_ended_by_the_watchdog_and_started_again(site: Site) -> None:
    before, hung_at = site.pid(), time.monotonic()
    site.machine.run("systemctl", "kill", "--kill-who=main", "--signal=STOP", DEVICE)
    assert until(lambda: site.pid() not in (before, 0), WATCHDOG_S + RESTART_S + READY_LIMIT_S, 0.2)
    assert time.monotonic() - hung_at >= WATCHDOG_S - 1  # the last sign of life may be older than the signal
    assert until(site.is_active, READY_LIMIT_S)
    assert any("Watchdog timeout" in line for line in site.machine.journal(DEVICE))


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_service_comes_back_after_a_pause(site: Site, service: str) -> None:
    before, killed_at = site.pid(service), time.monotonic()
    site.machine.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", service)
    assert until(lambda: site.pid(service) not in (before, 0), RESTART_S + READY_LIMIT_S, 0.1)
    assert time.monotonic() - killed_at >= RESTART_S
    assert until(lambda: site.is_active(service), 60)


def test_wrong_settings_are_not_tried_again_and_again(site: Site) -> None:
    good = site.read(SETTINGS)
    site.machine.run("systemctl", "stop", DEVICE)
    try:
        site.write(SETTINGS, f"colour = 1\n{good}".encode())
        assert site.machine.try_run("systemctl", "start", DEVICE).returncode != 0
        time.sleep(RESTART_S + 1)
        assert site.machine.show(DEVICE, "ActiveState") == "failed"
        assert site.machine.show(DEVICE, "ExecMainStatus") == "2"
        assert any("colour: there is no such setting" in line for line in site.machine.journal(DEVICE))
    finally:
        site.write(SETTINGS, good.encode())


def test_reload_reads_the_settings_again(site: Site) -> None:
    good, before = site.read(SETTINGS), site.pid()
    try:
        site.set_camera("/dev/video8")
        site.machine.run("systemctl", "reload", DEVICE)
        assert until(lambda: "/dev/video8" in site.status, 10), site.status
        site.set_camera("no camera at all")
        site.machine.run("systemctl", "reload", DEVICE)
        assert until(lambda: "The settings stay as they were" in "\n".join(site.machine.journal(DEVICE)), 10)
        assert until(lambda: "/dev/video8" in site.status, 10), site.status
    finally:
        site.write(SETTINGS, good.encode())
        site.machine.run("systemctl", "reload", DEVICE)
    assert until(lambda: "frames/s" in site.status, 10)
    assert site.pid() == before


@pytest.mark.parametrize("service", SERVICES)
def test_a_stop_is_clean_and_quick(site: Site, service: str) -> None:
    took = []
    # The best of three: what else this machine does must not count as the service's slowness.
    while len(took) < 3 and min(took, default=99.0) >= STOP_LIMIT_S[service]:
        site.make_well()
        before = time.monotonic()
        site.machine.run("systemctl", "stop", service)
        took.append(time.monotonic() - before)
        assert site.machine.show(service, "Result") == "success"
        assert site.pid(service) == 0
    assert min(took) < STOP_LIMIT_S[service]


def test_the_journal_is_readable(site: Site) -> None:
    line = next(one for one in reversed(site.machine.journal(DEVICE, "-o", "short")) if "granted" in one)
    assert re.fullmatch(
        r"\w{3} \d\d [\d:]{8} \S+ latchkey-device\[\d+\]: INFO latchkey\.daemon: granted: granted\b.*", line
    )
    own = site.machine.journal(DEVICE, "-o", "cat", f"_PID={site.pid()}")
    assert own
    # A sentence about several settings goes on in indented lines; OpenCV has a form of its own.
    assert [one for one in own if not (LOG_LINE.match(one) or one.startswith(("  ", "[ WARN:")))] == []


def test_the_check_sees_what_the_service_sees(site: Site) -> None:
    said = site.machine.run("latchkey-door", "check")
    assert "PROBLEM" not in said
    assert "This is office/front." in said
    site.machine.run("latchkey-door", "audit", "verify")
