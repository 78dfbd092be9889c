"""A whole building for the browser: broker, page, lock and door as processes, and a Chromium with a fake webcam."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from admin_ui.service import Office
from device.demo_camera import HEIGHT, WIDTH
from firmware_config.face import ImageArray
from tests.brokers import Mosquitto
from tests.page_server import PageServer

WEBCAM_PERSON = 31
"""An AT&T person that no encoder is trained on."""
DEMO = f"demo:?owners={WEBCAM_PERSON}&strangers=1-5&photos=1"
"""The person of the webcam walks up to the door, and strangers by turns."""
OFFLINE_FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
)


def chromium_program() -> str:
    """The program, or: the test is skipped here and fails where CI=true, both with the package's name."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found:
        return found
    sentence = "this test needs Chromium: apt-get install chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture(scope="session")
def faces(att: dict[int, list[ImageArray]]) -> dict[int, list[ImageArray]]:
    """AT&T people, grey."""
    return att


@pytest.fixture(scope="session")
def webcam(faces: dict[int, list[ImageArray]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip in which WEBCAM_PERSON sits before the desk's webcam: JPEG after JPEG, as Chromium reads it."""
    photo = faces[WEBCAM_PERSON][0]
    grown = cv2.resize(photo, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    left, top = (WIDTH - grown.shape[1]) // 2, (HEIGHT - grown.shape[0]) // 2
    frame = cv2.copyMakeBorder(
        grown, top, HEIGHT - top - grown.shape[0], left, WIDTH - left - grown.shape[1], cv2.BORDER_REPLICATE
    )
    path = tmp_path_factory.mktemp("webcam") / "webcam.mjpeg"
    noise = np.random.default_rng(1)
    with path.open("wb") as clip:
        for _ in range(10):
            moved = np.asarray(frame).astype(int) + noise.integers(-2, 3, (HEIGHT, WIDTH))
            clip.write(cv2.imencode(".jpg", np.clip(moved, 0, 255).astype(np.uint8))[1].tobytes())
    return path


class Building:
    """One site with the door `front`: everything runs as it does in a real one, `demo:` is its camera."""

    def __init__(self, folder: Path, broker: Mosquitto, camera: str = DEMO) -> None:
        self.folder = folder
        self.broker = broker
        self.page = PageServer(folder, broker_url=broker.settings.url)
        office = Office(self.page.settings)
        try:
            self.pairing = office.add_door("front", "test")
        finally:
            office.stop()
        self.leaf = folder / "leaf"
        """Contact and exit button: a pipe that the simulated lock makes and obeys."""
        self.settings = folder / "door.toml"
        self.settings.write_text(
            f'pairing = "{self.pairing / "door"}"\nstate = "{folder / "door"}"\n[camera]\nsource = "{camera}"\n',
            encoding="utf-8",
        )
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self.page.start()
        self.run("lock", "--simulate", "--control", str(self.leaf), "--pairing", str(self.pairing / "lock"))
        self.start_door()

    def start_door(self) -> None:
        self.door = self.run("run", "--settings", str(self.settings))

    def stop_door(self) -> None:
        self._end(self.door)
        self._running.remove(self.door)

    def run(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "device.cli", *arguments]
        with (self.folder / "door.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        self._running.append(process)
        return process

    def stop(self) -> None:
        for process in reversed(self._running):
            self._end(process)
        self.page.stop()

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        process.wait(15)


@pytest.fixture(scope="session")
def building(faces: dict[int, list[ImageArray]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Building]:
    """Everything runs. One for all tests: each leaves it as it found it, but for generations and events."""
    folder = tmp_path_factory.mktemp("building")
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder / "broker", persistence=True))
        made = Building(folder, broker)
        stack.callback(made.stop)
        made.start()
        yield made


@pytest.fixture(scope="session")
def chromium(webcam: Path) -> Iterator[Browser]:
    """A browser whose webcam shows the clip."""
    program = chromium_program()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=[
                *OFFLINE_FLAGS,
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-video-capture={webcam}",
            ],
        )
        yield browser
        browser.close()
