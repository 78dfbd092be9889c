"""systemd takes the unit files without a word, and they hold what a door needs."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.systemd.container import give_up

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
UNITS = sorted(SYSTEMD.glob("*.service"))
SERVICES = [pytest.param(unit, id=unit.stem) for unit in UNITS]


BROKERS_OWN = {"mqtt.password", "mqtt.crt", "mqtt.key", "ca.crt"}


def systemd_program(name: str) -> str:
    return needed_program(name, "systemd")


def needed_program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        give_up(f"this test needs {name}: apt-get install {package}")
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


@pytest.mark.parametrize(
    ("file", "key"),
    [("latchkey-device.service", "WatchdogSec="), ("latchkey-.service.d/hardening.conf", "ProtectSystem=")],
)
def test_an_unknown_key_would_be_noticed(tmp_path: Path, file: str, key: str) -> None:
    shutil.copytree(SYSTEMD, tmp_path / "systemd")
    wrong = tmp_path / "systemd" / file
    wrong.write_text(wrong.read_text(encoding="utf-8").replace(key, f"Un{key}"), encoding="utf-8")
    done = subprocess.run(
        [systemd_program("systemd-analyze"), "verify", str(tmp_path / "systemd" / "latchkey-device.service")],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert f"Un{key[:-1]}" in done.stderr


@pytest.mark.parametrize("unit", SERVICES)
def test_the_service_is_restarted_and_is_not_root(unit: Path) -> None:
    service = keys_of(unit, "Service")
    assert ("Restart", "on-failure") in service
    assert ("RestartPreventExitStatus", "2") in service
    assert dict(service)["User"] not in ("root", "")


def test_every_service_is_hardened_by_one_file() -> None:
    hardening = SYSTEMD / "latchkey-.service.d" / "hardening.conf"
    rules = keys_of(hardening, "Service")
    for key in ("CapabilityBoundingSet", "AmbientCapabilities"):
        assert (key, "") in rules
    for rule in (("NoNewPrivileges", "yes"), ("ProtectSystem", "strict"), ("IPAddressDeny", "any")):
        assert rule in rules
    # onnxruntime reads /proc/cpuinfo to find the processor's int8 instructions.
    assert "ProcSubset" not in dict(rules)
    # A unit that said such a key itself would weaken or hide what stands there.
    for unit in UNITS:
        assert {key for key, _ in keys_of(unit, "Service")}.isdisjoint({key for key, _ in rules})


@pytest.mark.parametrize("unit", SERVICES)
def test_devices_are_allowed_by_name_only(unit: Path) -> None:
    allowed = [value for key, value in keys_of(unit, "Service") if key == "DeviceAllow"]
    assert all(value.startswith("/dev/") for value in allowed)
    assert bool(allowed) == (unit.stem != "latchkey-admin")


@pytest.mark.parametrize("script", sorted(SYSTEMD.glob("*.sh")), ids=lambda script: script.name)
def test_shellcheck_says_nothing_about_the_scripts(script: Path) -> None:
    done = subprocess.run(
        [needed_program("shellcheck", "shellcheck"), str(script)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_a_command_at_the_door_runs_as_closed_as_its_service() -> None:
    given = set(re.findall(r"-p (\w+=\S+)", (SYSTEMD / "door.sh").read_text(encoding="utf-8")))
    service = keys_of(SYSTEMD / "latchkey-device.service", "Service")
    service += keys_of(SYSTEMD / "latchkey-.service.d" / "hardening.conf", "Service")
    same = {"User", "UMask", "LimitCORE"}
    same |= {f"{kind}Directory{mode}" for kind in ("State", "Cache") for mode in ("", "Mode")}
    assert given == {f"{key}={value}" for key, value in service if key in same}
    assert len(given) == len(same)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_cameras_password_is_for_root_and_the_door(tmp_path: Path) -> None:
    (tmp_path / "etc/latchkey").mkdir(parents=True)
    (tmp_path / "var/lib").mkdir(parents=True)
    accounts = {"root": 0, "latchkey": 901, "latchkey-admin": 902}
    passwd = "".join(f"{name}:x:{number}:{number}::/:/bin/false\n" for name, number in accounts.items())
    (tmp_path / "etc/passwd").write_text(passwd)
    (tmp_path / "etc/group").write_text("".join(f"{name}:x:{number}:\n" for name, number in accounts.items()))
    settings = tmp_path / "etc/latchkey/door.toml"
    settings.write_text('[camera]\nsource = "rtsp://admin:secret@10.0.0.5/1"\n')
    settings.chmod(0o644)
    command = [systemd_program("systemd-tmpfiles"), "--create", f"--root={tmp_path}"]
    subprocess.run([*command, str(SYSTEMD / "latchkey.tmpfiles.conf")], check=True, capture_output=True, timeout=60)
    found = settings.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o640, 0, accounts["latchkey"])


def test_who_cannot_fetch_the_detector_is_told_what_to_do_and_promised_nothing() -> None:
    """No service may reach the internet, so none can make up for it when it starts."""
    prepare = re.search(
        r"^prepare\(\).*?^}", (SYSTEMD / "install.sh").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert prepare is not None
    stubs = 'say() { printf "%s" "$*"; }; install() { :; }; runuser() { return 1; }'
    script = f"{stubs}\nwheels= PREFIX=/nowhere\n{prepare[0]}\nprepare admin"
    said = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True, timeout=60).stdout
    assert "latchkey-admin cannot fetch the face detector itself" in said
    assert "run install.sh again" in said


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
        "latchkey-device": {"site.pub", "door.key", "lock.key"},
        "latchkey-lock": {"lock.key"},
        "latchkey-admin": set(),
    }
    assert loaded == expected[unit.stem] | BROKERS_OWN
    # Not every broker asks for these: without a stand-in, a file that is missing would keep the service from starting.
    stand_ins = {value.partition(":")[0] for key, value in keys_of(unit, "Service") if key == "SetCredential"}
    assert stand_ins == BROKERS_OWN


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
