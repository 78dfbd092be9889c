"""A Debian 12 of its own, booted by its own systemd in systemd-nspawn. Needs root; nothing of it outlives the test.

Layers: a base (Debian, made once and kept in Latchkey's cache) below, what a boot changes on top. The top of one boot
may be a layer below the next, so that what takes long is done once.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import pytest

from firmware_config.assets import default_cache
from tests.waiting import until

PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "util-linux",
    "ip": "iproute2",
}
SUITE = "bookworm"
PACKAGES = ["systemd", "systemd-sysv", "dbus", "python3-venv", "libgl1", "libglib2.0-0", "mosquitto"]
"""What install.sh would ask Debian for (the container has no network), the machine itself, and a broker."""

BOOT_S = 60.0
HALT_S = 30.0


def give_up(sentence: str) -> NoReturn:
    """The test is skipped for a user; where CI=true it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


def need_container_tools() -> None:
    """Skips, or fails in CI, when this machine cannot boot a container; says what is missing."""
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        give_up(f"this test needs {', '.join(missing)}: apt-get install {' '.join(missing)}")
    if os.geteuid() != 0:
        give_up("this test boots a container with systemd-nspawn, which only root may: run it as root")


def debian_base() -> Path:
    """A folder with Debian and PACKAGES, made at the first call. Skips, or fails in CI, when it cannot be made."""
    digest = sha256(" ".join([SUITE, *PACKAGES]).encode()).hexdigest()[:12]
    base = default_cache() / "tests" / f"{SUITE}-{digest}"
    if base.is_dir():
        return base
    fresh = base.with_name(f"{base.name}.{os.getpid()}")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    # Without dpkg's fsync for every file, in 60 s instead of 160: a base that breaks is made anew.
    command += ["--dpkgopt=force-unsafe-io", SUITE, str(fresh)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=540)
    if done.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        give_up(f"mmdebstrap could not make a Debian {SUITE} to boot: {done.stderr[-500:]}")
    fresh.rename(base)
    return base


class Container:
    """One boot. `layers`: folders below, the uppermost first; `top`: a new folder that takes the changes."""

    def __init__(self, layers: Sequence[Path], top: Path, binds: dict[Path, str]) -> None:
        """binds: folders of this machine and where the container sees them, read-only."""
        self.top, self._layers, self._binds = top, list(layers), binds
        self._work = top.with_name(f"{top.name}.work")
        self._mount = top.with_name(f"{top.name}.root")
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    @property
    def root(self) -> Path:
        """The container's / as this machine sees it."""
        return Path(f"/proc/{self._leader}/root")

    def __enter__(self) -> Container:
        for folder in (self.top, self._work, self._mount):
            folder.mkdir(parents=True)
        lower = ":".join(str(layer) for layer in self._layers)
        # In a mount namespace of its own: however this test ends, no mount is left behind.
        script = (
            f"mount -t overlay overlay -o lowerdir={lower},upperdir={self.top},workdir={self._work} {self._mount}"
            ' && exec "$@"'
        )
        nspawn = ["systemd-nspawn", "--boot", "--register=no", "--quiet", "--console=pipe", "--link-journal=no"]
        nspawn += ["--directory", str(self._mount), f"--machine=latchkey-{os.getpid()}-{self.top.name}"]
        # A network of its own, with loopback only; bpf() is how systemd enforces IPAddressDeny= and DeviceAllow=.
        nspawn += ["--private-network", "--system-call-filter=bpf", "--capability=CAP_BPF"]
        nspawn += [f"--bind-ro={here}:{there}" for here, there in self._binds.items()]
        if not Path("/run/systemd/system").is_dir():
            nspawn.append("--keep-unit")  # no systemd here that could make a unit for it
        guard = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"]
        self._log = (self.top.with_name(f"{self.top.name}.log")).open("w+b")
        self._process = subprocess.Popen(
            [*guard, "sh", "-c", script, "sh", *nspawn],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=os.environ | {"UNIFIED_CGROUP_HIERARCHY": "1"},  # also where this machine still has version 1
        )
        try:
            if not until(self._is_up, BOOT_S, 0.2):
                self._log.seek(0)
                said = self._log.read().decode(errors="replace")[-800:]
                give_up(f"systemd-nspawn could not boot Debian on this kernel or in this container: {said}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            give_up(f"systemd-nspawn ended at once: {Path(self._log.name).read_text()[-800:]}")
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        if not children:
            return False
        self._leader = int(children[0])
        return self.try_run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        if self._leader and self._process.poll() is None:
            self.try_run("systemctl", "poweroff")
        try:
            self._process.wait(HALT_S)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
        self._log.close()

    def try_run(self, *command: str, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run as the container's root -> what came of it."""
        enter = ["nsenter", "--target", str(self._leader), "--mount", "--uts", "--ipc", "--net", "--pid"]
        clean = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
        return subprocess.run(
            [*enter, *clean, *command], check=False, capture_output=True, text=True, timeout=timeout_s
        )

    def run(self, *command: str, timeout_s: float = 120.0) -> str:
        """Run as the container's root -> stdout; a failure fails the test with all that was said."""
        done = self.try_run(*command, timeout_s=timeout_s)
        assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def run_outside(self, *command: str) -> None:
        """Run a program of this machine's in the container's network."""
        enter = ["nsenter", "--target", str(self._leader), "--net"]
        subprocess.run([*enter, *command], check=True, capture_output=True, timeout=60)

    def show(self, service: str, key: str) -> str:
        """One property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", key, service).strip()

    def journal(self, service: str, *options: str) -> list[str]:
        """The unit's lines in the journal, oldest first."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--no-pager", "-u", service, *(options or ("-o", "cat"))).splitlines()
