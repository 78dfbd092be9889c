"""The door as it is installed: how soon the relay moves, what it costs while nobody comes, how soon it is ready."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from benchmarks.board.faces import OWNER
from benchmarks.board.site import Site
from firmware_config.roster import Policy
from tests.faults.mjpeg import NOBODY, NetworkCamera, draw_views
from tests.faults.mjpeg import OWNER as OWNER_VIEW
from tests.faults.network import Loopback
from tests.faults.programs import device_command
from tests.waiting import until

WALK_UPS: Final = Policy(tau=1.2, tau_strict=0.4, votes_needed=3, votes_window=5, cooldown_s=1.0, hold_ms=200)
"""The rule by default, 3 of 5; tau wide, for the encoder is not what is measured."""

EVERY_FRAME: Final = Policy(
    tau=2.0, tau_strict=2.0, margin=0.0, votes_needed=1, votes_window=1, cooldown_s=0, hold_ms=200
)
"""Each picture opens: what is timed is one picture's way."""

EMPTY_S: Final = 5.0
"""Nobody between two visits: the door rests again, and the next visit is one of its own."""

OPEN_LIMIT_S: Final = 20.0
START_LIMIT_S: Final = 120.0
TICKS: Final = os.sysconf("SC_CLK_TCK")


def in_memory(count: int) -> dict[str, dict[str, Any]]:
    """See in_memory.py; with lock, broker and office beside it. By the clock on the wall, and a tenth of the frames by
    the processor's."""
    with _folder() as folder, Site(folder, Loopback(), "demo:?owners=1&strangers=&walkups=1", EVERY_FRAME) as site:
        assert site.door.stop() == 0, site.door.last_words()
        settings, counts = str(folder / "door.toml"), {"wall": count, "cpu": max(100, count // 10)}
        return {
            clock: said_by("benchmarks.board.in_memory", settings, str(frames), clock)
            for clock, frames in counts.items()
        }


def walk_ups(visits: int, idle_s: float) -> dict[str, Any]:
    """relay_ms: from the first picture of somebody's face to the relay, for each visit. Then, with nobody: cpu, of one
    core, and rss_mb."""
    views = draw_views(OWNER, 5)
    with (
        _bytecode(),
        _folder() as folder,
        NetworkCamera(views, seed=1) as camera,
        Site(folder, Loopback(), camera.url, WALK_UPS) as site,
    ):
        relay = [_visit(site, camera) for _ in range(visits)]
        time.sleep(EMPTY_S)
        pid = site.door.process.pid
        before, begun = _processor_s(pid), time.monotonic()
        time.sleep(idle_s)
        cpu = (_processor_s(pid) - before) / (time.monotonic() - begun)
        rss = _resident_mb(pid)
    missed = sum(value is None for value in relay)
    return {"relay_ms": [value for value in relay if value is not None], "missed": missed, "cpu": cpu, "rss_mb": rss}


def _visit(site: Site, camera: NetworkCamera) -> float | None:
    time.sleep(EMPTY_S)
    shown, opened = camera.sent.get(OWNER_VIEW, 0), len(site.lock.openings)
    camera.view = OWNER_VIEW
    assert until(lambda: camera.sent.get(OWNER_VIEW, 0) > shown, OPEN_LIMIT_S, 0.002)
    first = camera.last_fresh
    in_time = until(lambda: len(site.lock.openings) > opened, OPEN_LIMIT_S, 0.005)
    camera.view = NOBODY
    return (site.lock.openings[opened] - first) * 1000 if in_time else None


def starts(rounds: int) -> dict[str, float]:
    """Median seconds, by turns: `ready`, from the command to READY=1; `imports`, of OpenCV and onnxruntime alone. And
    both in processor time, ready_cpu and imports_cpu."""
    taken: dict[str, list[float]] = {"ready": [], "imports": [], "ready_cpu": [], "imports_cpu": []}
    address = "demo:?owners=1&strangers=&walkups=1"
    with _bytecode(), _folder() as folder, Site(folder, Loopback(), address, WALK_UPS) as site:
        assert site.door.stop() == 0, site.door.last_words()
        _imports_s()  # writes the bytecode that the door has not
        for _ in range(rounds):
            for name, measure in (("imports", _imports_s), ("ready", partial(_ready_s, folder))):
                wall, cpu = measure()
                taken[name].append(wall)
                taken[f"{name}_cpu"].append(cpu)
    return {name: median(values) for name, values in taken.items()}


def _imports_s() -> tuple[float, float]:
    """-> seconds, and of processor time."""
    begun, before = time.monotonic(), os.times()
    subprocess.run([sys.executable, "-c", "import cv2, onnxruntime"], check=True, env=_environment())
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - begun, cpu


def _ready_s(folder: Path) -> tuple[float, float]:
    """From the command to READY=1 of a door with a thousand people -> seconds, and of processor time."""
    address = folder / "notify"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, (folder / "start.log").open("ab") as log:
        channel.bind(str(address))
        channel.settimeout(START_LIMIT_S)
        environment = _environment() | {"NOTIFY_SOCKET": str(address)}
        begun = time.monotonic()
        command = device_command("run", "--settings", str(folder / "door.toml"))
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603
        try:
            while b"READY=1" not in channel.recv(4096):
                pass
            return time.monotonic() - begun, _processor_s(process.pid)
        finally:
            process.terminate()
            process.wait(30)


def said_by(module: str, *arguments: str) -> dict[str, Any]:
    """Runs a part of the bench in a process of its own -> what it printed last, JSON. Raises CalledProcessError."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env=_environment(), stdout=subprocess.PIPE, check=True)  # noqa: S603
    found: dict[str, Any] = json.loads(done.stdout.decode().strip().splitlines()[-1])
    return found


def percentile(values: list[float], share: float) -> float:
    """NaN of nothing."""
    return float(np.percentile(values, share)) if values else float("nan")


def _environment() -> dict[str, str]:
    return {**os.environ, "ORT_DISABLE_TELEMETRY": "1", "PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def _bytecode() -> Iterator[None]:
    """Processes that are started meanwhile keep their bytecode, as pip does when it installs a door: one that compiles
    its files at every start is no door."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="latchkey-bytecode-") as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="latchkey-bench-") as name:
        yield Path(name)


def _processor_s(pid: int) -> float:
    # proc(5): user and system time are fields 14 and 15, and the name in brackets may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * 4096 / 1e6
