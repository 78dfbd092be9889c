"""install.sh on a Debian of its own: again, anew, and away."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.systemd.container import Container
from tests.systemd.site import DEVICE, SERVICES, SETTINGS, Site

pytestmark = [pytest.mark.nspawn, pytest.mark.timeout(900)]

INSTALL = "/checkout/systemd/install.sh"
NOT_OURS = ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log", "/var/lib/systemd", "/var/cache/private")
"""Where a Debian that has been booted has more files than one that has not."""

BOOTED = {"/etc/machine-id", "/etc/.pwd.lock", "/etc/.updated", "/var/.updated", "/etc/resolv.conf", "/etc/hostname"}
BOOTED |= {f"/etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")}
BOOTED |= {"/etc/sysusers.d", "/etc/udev", "/etc/udev/rules.d", "/var/lib/dbus/machine-id"}
BOOTED |= {"/checkout", "/wheels", "/fetched", "/var/lib/mosquitto/mosquitto.db", "/var/lib/private"}


def files(root: Path) -> set[str]:
    """Every path below root but for NOT_OURS and Python's caches."""
    found = set()
    for folder, folders, names in os.walk(root):
        inside = "/" + os.path.relpath(folder, root) if Path(folder) != root else ""
        folders[:] = [
            name for name in folders if f"{inside}/{name}" not in (*NOT_OURS, *BOOTED) and name != "__pycache__"
        ]
        found |= {f"{inside}/{name}" for name in [*folders, *names]}
    return found - BOOTED


def records(machine: Container) -> dict[str, bytes]:
    """The door's audit: lines are only ever added."""
    folder = machine.root / "var/lib/latchkey/audit"
    found = {path.name: path.read_bytes() for path in folder.glob("audit-*.log")}
    assert any(found.values())
    return found


def accounts(root: Path) -> list[str]:
    """Lines of passwd and group that belong to Latchkey."""
    lines = (root / "etc/passwd").read_text().splitlines() + (root / "etc/group").read_text().splitlines()
    return [line for line in lines if "latchkey" in line or line.startswith("gpio")]


def test_an_upgrade_keeps_data_and_a_second_run_changes_nothing(
    founded: list[Path], binds: dict[Path, str], tmp_path: Path
) -> None:
    with Container(founded, tmp_path / "top", binds) as machine:
        site = Site(machine)
        site.make_well()
        kept = {path: site.read(path) for path in (SETTINGS, "/etc/latchkey/pairing/pairing.toml")}
        cred = (machine.root / "etc/latchkey/pairing/door.key.cred").read_bytes()
        audit, pids = records(machine), [site.pid(service) for service in SERVICES]
        machine.run(
            "sh",
            "-c",
            "mkdir /newer; cd /checkout; cp -r pyproject.toml README.md LICENSE systemd "
            "firmware_config device admin_ui trainer /newer; "
            "sed -i 's/^version = .*/version = \"9.9.9\"/' /newer/pyproject.toml",
        )
        # One role named: the others on this machine share its programs, so they are upgraded with it.
        said = machine.run("/newer/systemd/install.sh", "device", "--wheels", "/wheels", timeout_s=400)
        assert "Latchkey 9.9.9 is installed." in said
        assert all(site.is_active(service) for service in SERVICES)
        assert all(site.pid(service) != before for service, before in zip(SERVICES, pids, strict=True))
        assert {path: site.read(path) for path in kept} == kept
        # The tests wrote it for all to read; a camera's address may hold a password.
        assert machine.run("stat", "--format=%a %U %G", SETTINGS).split() == ["640", "root", "latchkey"]
        assert (machine.root / "etc/latchkey/pairing/door.key.cred").read_bytes() == cred
        now = records(machine)
        assert all(now[name].startswith(before) for name, before in audit.items())
        assert "Ann" in site.admin("people", "list")
        site.make_well()


def test_uninstall_leaves_nothing(base: Path, founded: list[Path], binds: dict[Path, str], tmp_path: Path) -> None:
    with Container(founded, tmp_path / "top", binds) as machine:
        before = files(base)
        assert accounts(machine.root)
        refused = machine.try_run(INSTALL, "--uninstall")
        assert refused.returncode == 2
        assert "Nothing was removed" in refused.stderr
        assert Site(machine).is_active()
        machine.run(INSTALL, "--uninstall", "--yes")
        assert sorted(files(machine.root) - before) == []
        assert accounts(machine.root) == []
        assert machine.try_run("systemctl", "list-unit-files", "--no-legend", "latchkey*").stdout == ""
        machine.run(INSTALL, "--uninstall", "--yes")


def test_uninstall_can_keep_data_for_the_next_installation(
    founded: list[Path], binds: dict[Path, str], tmp_path: Path
) -> None:
    with Container(founded, tmp_path / "top", binds) as machine:
        machine.run(INSTALL, "--uninstall", "--keep-data", "--yes")
        assert not (machine.root / "opt/latchkey").exists()
        assert not (machine.root / "etc/systemd/system/latchkey-device.service").exists()
        assert stat.S_IMODE((machine.root / "var/lib/latchkey").stat().st_mode) == 0o700
        assert records(machine)
        assert (machine.root / "var/lib/latchkey-admin/keys/site.key").exists()
        assert accounts(machine.root)


def test_a_machine_with_only_a_lock_needs_no_opencv(base: Path, binds: dict[Path, str], tmp_path: Path) -> None:
    with Container([base], tmp_path / "top", binds) as machine:
        said = machine.run(INSTALL, "lock", "--wheels", "/wheels", timeout_s=400)
        assert "Next: latchkey-pair FOLDER" in said
        assert not list((machine.root / "opt/latchkey/lib").glob("python3*/site-packages/cv2"))
        machine.run("latchkey-device", "lock", "--help")
        # Unpaired, it is not started at boot: nothing fails, nothing is tried again and again.
        machine.run("systemctl", "start", "latchkey-lock")
        assert machine.show("latchkey-lock", "ConditionResult") == "no"
        assert machine.try_run("systemctl", "is-active", DEVICE).returncode != 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Say what this machine is: device, lock, admin."),
        (["door"], "There is no role or option door."),
        (["device", "--wheels", "/nowhere"], "--wheels needs a folder with wheels."),
    ],
)
def test_a_wrong_call_says_what_to_write(site: Site, arguments: list[str], sentence: str) -> None:
    done = site.machine.try_run(INSTALL, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
