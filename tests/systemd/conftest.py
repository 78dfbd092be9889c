"""Debian with Latchkey installed by install.sh, booted once for all tests that put back what they change."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.detect import Detector
from firmware_config.assets import default_cache
from firmware_config.face import ImageArray
from tests.systemd.container import Container, debian_base, give_up, need_container_tools
from tests.systemd.site import Site

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHECKOUT = Path(__file__).resolve().parents[2]
ROLES = ["device", "lock", "admin"]
DEBIANS_PYTHON = "3.11"
OWNER = 36
"""Who is enrolled: one of the AT&T people that the demo's camera shows."""


@pytest.fixture(scope="session")
def base() -> Path:
    need_container_tools()
    return debian_base()


@pytest.fixture(scope="session")
def wheels(base: Path) -> Path:
    """All that pip needs to install the roles, for Debian's Python; fetched once and kept."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    for extra in [*ROLES, "gpio"]:
        wanted += [one for one in project["project"]["optional-dependencies"][extra] if "latchkey[" not in one]
    folder = default_cache() / "tests" / f"wheels-{sha256(repr(sorted(wanted)).encode()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    fresh = folder.with_name(f"{folder.name}.new")
    fresh.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(fresh), "--only-binary=:all:"]
    command += ["--python-version", DEBIANS_PYTHON, *wanted]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=500)
    if done.returncode != 0:
        give_up(f"pip could not fetch the wheels that the container installs: {done.stderr[-500:]}")
    fresh.rename(folder)
    return folder


@pytest.fixture(scope="session")
def binds(wheels: Path, detector: Detector, att: dict[int, list[ImageArray]]) -> dict[Path, str]:
    """What the container sees of this machine. The detector and the faces are there, since they were asked for."""
    return {CHECKOUT: "/checkout", wheels: "/wheels", default_cache(): "/fetched"}


@pytest.fixture(scope="session")
def founded(
    base: Path, binds: dict[Path, str], att: dict[int, list[ImageArray]], tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """Layers: Debian, and on it what install.sh did and a site with a door, its lock and somebody enrolled.

    The container is off again; at its next boot all services run.
    """
    top = tmp_path_factory.mktemp("systemd") / "founded"
    photo = cv2.imencode(".png", np.asarray(cv2.resize(att[OWNER][0], None, fx=4, fy=4)))[1].tobytes()
    with Container([base], top, binds) as machine:
        for cache in ("latchkey", "latchkey-admin"):
            place = f"/var/cache/{cache}"
            machine.run("sh", "-c", f"mkdir {place}; cp /fetched/*.onnx /fetched/*.whl {place}; chmod a+r {place}/*")
        machine.run("/checkout/systemd/install.sh", *ROLES, "--wheels", "/wheels", timeout_s=400)
        Site(machine).found(OWNER, photo)
    return [top, base]


@pytest.fixture(scope="session")
def running(
    founded: list[Path], binds: dict[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    with Container(founded, tmp_path_factory.mktemp("systemd") / "running", binds) as machine:
        yield machine


@pytest.fixture
def site(running: Container) -> Site:
    """The site in the running container, all well."""
    site = Site(running)
    site.make_well()
    return site
