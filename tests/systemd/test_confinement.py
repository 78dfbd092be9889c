"""What the hardened services cannot reach, and where their keys lie."""

from __future__ import annotations

import time

import pytest

from tests.systemd.container import Container
from tests.systemd.site import DEVICE, PAIRINGS, Site
from tests.waiting import until

pytestmark = [pytest.mark.nspawn, pytest.mark.timeout(900)]

PAIRING = "/etc/latchkey/pairing"
KEYS = ["door.key", "lock.key", "site.pub"]


def as_a_service(machine: Container, name: str, script: str, *properties: str) -> str:
    """What a shell script prints as latchkey-NAME.service: hardening.conf is for every unit of such a name."""
    options = [option for one in properties for option in ("-p", one)]
    command = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", f"--unit=latchkey-{name}"]
    return machine.try_run(*command, "-p", "User=latchkey", *options, "sh", "-c", f"{{ {script}; }} 2>&1").stdout


def test_nothing_leaves_the_building(site: Site) -> None:
    machine = site.machine
    lines = [
        "import socket, sys, fcntl",
        "server = socket.create_server(('0.0.0.0', 7999))",
        "server.settimeout(2)",
        "for host in sys.argv[1:]:",
        "    try: socket.create_connection((host, 7999), 1); print(host, 'reached')",
        "    except OSError as error: print(host, 'not reached')",
    ]
    site.write("/opt/reach.py", "\n".join(lines).encode())
    # Addresses of the documentation's network (RFC 5737) and of a private one, both this machine's own.
    for address in ("203.0.113.1", "192.168.77.1"):
        site.add_address(address)
    hosts = ["127.0.0.1", "192.168.77.1", "203.0.113.1"]
    free = machine.run("python3", "/opt/reach.py", *hosts).splitlines()
    assert free == [f"{host} reached" for host in hosts]
    confined = as_a_service(machine, "reach", f"python3 /opt/reach.py {' '.join(hosts)}").splitlines()
    assert confined == ["127.0.0.1 reached", "192.168.77.1 reached", "203.0.113.1 not reached"]
    allowed = as_a_service(machine, "allowed", "python3 /opt/reach.py 203.0.113.1", "IPAddressAllow=203.0.113.1")
    assert allowed == "203.0.113.1 reached\n"


def test_only_the_named_devices_open(site: Site) -> None:
    # Real devices of this kernel under the names of cameras: what counts is the name in the unit.
    nodes = "mknod /dev/video0 c 10 229; mknod /dev/video1 c 1 11"
    site.machine.run("sh", "-c", f"{nodes}; chgrp video /dev/video*; chmod 660 /dev/video*")
    script = "for camera in /dev/video0 /dev/video1; do (: <> $camera) && echo $camera; done"
    unit = site.read("/etc/systemd/system/latchkey-device.service")
    allowed = [line for line in unit.splitlines() if line.startswith("DeviceAllow=")]
    try:
        said = as_a_service(site.machine, "devices", script, *allowed).splitlines()
        assert "/dev/video0" in said
        assert "/dev/video1" not in said
        assert any("Operation not permitted" in line for line in said)
        # The drop-in that docs/operations.md has for cameras of other names.
        said = as_a_service(site.machine, "more", script, *allowed, "DeviceAllow=/dev/video1 r").splitlines()
        assert "/dev/video0" in said
    finally:
        site.machine.run("sh", "-c", "rm /dev/video0 /dev/video1")


def test_a_camera_plugged_in_later_opens_after_what_the_udev_rule_does(site: Site) -> None:
    script = "while sleep 0.2; do (: <> /dev/video0) 2>/dev/null && echo open; done"
    run = site.machine.run
    options = ["-p", "User=latchkey", "-p", "DeviceAllow=/dev/video0 rw", "-p", "StandardOutput=journal"]
    run("systemd-run", "--quiet", "--collect", "--unit=latchkey-late", *options, "sh", "-c", script)
    try:
        run("sh", "-c", "mknod /dev/video0 c 10 229; chgrp video /dev/video0; chmod 660 /dev/video0")
        time.sleep(1)
        assert "open" not in site.machine.journal("latchkey-late")
        rule = site.read("/etc/udev/rules.d/90-latchkey.rules")
        assert 'SUBSYSTEM=="video4linux|gpio", RUN+="/bin/systemctl --no-block daemon-reload"' in rule
        run("/bin/systemctl", "--no-block", "daemon-reload")
        assert until(lambda: "open" in site.machine.journal("latchkey-late"), 10)
    finally:
        run("systemctl", "stop", "latchkey-late")
        run("rm", "-f", "/dev/video0")


def test_paired_keys_are_nowhere_in_the_clear(site: Site) -> None:
    for key in KEYS:
        secret = (site.machine.root / f"{PAIRINGS}/door/{key}".lstrip("/")).read_bytes().strip()
        assert len(secret) >= 32
        assert site.files_with(secret, "/etc", "/var/lib/latchkey") == []
        assert (site.machine.root / f"{PAIRING}/{key}.cred".lstrip("/")).stat().st_mode & 0o777 == 0o600
    denied = site.machine.try_run("runuser", "-u", "latchkey", "--", "cat", f"{PAIRING}/door.key.cred")
    assert "Permission denied" in denied.stderr


def test_an_encrypted_key_is_worthless_on_another_machine(site: Site) -> None:
    run = site.machine.run
    own = "/var/lib/systemd/credential.secret"
    run("systemctl", "stop", DEVICE)
    run("mv", own, f"{own}.away")
    try:
        assert site.machine.try_run("systemd-creds", "decrypt", f"{PAIRING}/door.key.cred", "-").returncode != 0
        assert site.machine.try_run("systemctl", "start", DEVICE).returncode != 0
        assert not site.is_active()
    finally:
        run("mv", f"{own}.away", own)
        run("systemctl", "stop", DEVICE)


def test_keys_may_also_lie_in_files_that_only_root_reads(site: Site) -> None:
    run = site.machine.run
    said = run("latchkey-pair", "--plain", f"{PAIRINGS}/door")
    try:
        assert "Whoever copies this disk has them" in said
        assert site.is_active()
        place = site.machine.root / f"{PAIRING}/door.key".lstrip("/")
        assert (place.stat().st_mode & 0o777, place.stat().st_uid) == (0o600, 0)
        assert "This is office/front." in run("latchkey-door", "check")
    finally:
        said = run("latchkey-pair", f"{PAIRINGS}/door")
    # There is no TPM in a container, and the administrator is told what that means.
    assert "the key to them lies on the same disk" in " ".join(said.split())
    assert site.is_active()
    assert not place.exists()
