"""systemd takes the unit files without a word, and they hold what a door needs."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
UNITS = sorted(SYSTEMD.glob("*.service"))
SERVICES = [pytest.param(unit, id=unit.stem) for unit in UNITS]


def systemd_program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        sentence = f"this test needs {name}: apt-get install systemd"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    return found


def keys_of(unit: Path, section: str) -> list[tuple[str, str]]:
    """All KEY=VALUE lines of a section, in order; a key may stand more than once."""
    lines, inside = [], False
    for line in unit.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            inside = line == f"[{section}]"
        elif inside and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            lines.append((key, value))
    return lines


def test_there_is_a_unit_for_door_page_and_lock() -> None:
    assert [unit.stem for unit in UNITS] == ["latchkey-admin", "latchkey-device", "latchkey-lock"]


@pytest.mark.parametrize("unit", SERVICES)
def test_systemd_says_nothing_about_the_unit(unit: Path) -> None:
    # Exit status 0 alone would let unknown keys pass, so silence is asked for as well.
    done = subprocess.run(
        [systemd_program("systemd-analyze"), "verify", str(unit)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_unknown_key_would_be_noticed(tmp_path: Path) -> None:
    text = (SYSTEMD / "latchkey-device.service").read_text(encoding="utf-8")
    wrong = tmp_path / "latchkey-device.service"
    wrong.write_text(text.replace("WatchdogSec=", "WatchDogSec="), encoding="utf-8")
    done = subprocess.run(
        [systemd_program("systemd-analyze"), "verify", str(wrong)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "WatchDogSec" in done.stderr


@pytest.mark.parametrize("unit", SERVICES)
def test_the_service_is_restarted_and_without_rights(unit: Path) -> None:
    service = keys_of(unit, "Service")
    assert ("Restart", "on-failure") in service
    assert ("RestartPreventExitStatus", "2") in service
    for key in ("CapabilityBoundingSet", "AmbientCapabilities"):
        assert (key, "") in service
    assert ("NoNewPrivileges", "yes") in service
    assert ("ProtectSystem", "strict") in service
    # onnxruntime reads /proc/cpuinfo to find the processor's int8 instructions.
    assert ("ProcSubset", "pid") not in service
    assert dict(service)["User"] not in ("root", "")


@pytest.mark.parametrize("name", ["latchkey-device", "latchkey-admin"])
def test_door_and_page_report_readiness_and_are_watched(name: str) -> None:
    # The lock needs no watchdog: a lock that hangs lets its challenge grow stale, and the door says lock_offline.
    service = dict(keys_of(SYSTEMD / f"{name}.service", "Service"))
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0


@pytest.mark.parametrize("unit", SERVICES)
def test_every_secret_comes_as_a_credential(unit: Path) -> None:
    loaded = {value.partition(":")[0] for key, value in keys_of(unit, "Service") if key == "LoadCredential"}
    expected = {
        "latchkey-device": {"site.pub", "door.key", "lock.key", "mqtt.password"},
        "latchkey-lock": {"lock.key", "mqtt.password"},
        "latchkey-admin": {"mqtt.password"},
    }
    assert loaded == expected[unit.stem]


def test_the_users_of_the_services_are_made_by_sysusers() -> None:
    done = subprocess.run(
        [systemd_program("systemd-sysusers"), "--dry-run", str(SYSTEMD / "latchkey.sysusers.conf")],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    users = {dict(keys_of(unit, "Service"))["User"] for unit in UNITS}
    made = {
        line.split()[1]
        for line in (SYSTEMD / "latchkey.sysusers.conf").read_text(encoding="utf-8").splitlines()
        if line.startswith("u ")
    }
    assert users == made


def test_the_backoff_has_the_keys_that_systemd_254_knows() -> None:
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys are case sensitive
    parser.read(SYSTEMD / "systemd-254" / "backoff.conf")
    assert dict(parser["Service"]) == {"RestartSteps": "6", "RestartMaxDelaySec": "60"}
