"""A whole building for the browser: broker, page, lock and door as processes, and a Chromium with a fake webcam."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from admin_ui.service import Office
from device.demo_camera import HEIGHT, WIDTH
from firmware_config.face import ImageArray
from tests.brokers import Mosquitto
from tests.browser.complaints import Complaints
from tests.page_server import PageServer

OpenPage = Callable[..., Page]
LONG_MS = 30_000
"""Milliseconds: two cores run broker, page, door and browser at once."""
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
        self.leaf = folder / "leaf"
        """Contact and exit button: a pipe that the simulated lock makes and obeys."""
        self._running: list[subprocess.Popen[bytes]] = []
        self.pairing, self.settings = self._pair("front", camera)

    def _pair(self, name: str, camera: str) -> tuple[Path, Path]:
        """-> pairing folder and door.toml of a new door."""
        office = Office(self.page.settings)
        try:
            pairing = office.add_door(name, "test")
        finally:
            office.stop()
        settings = self.folder / f"{name}.toml"
        settings.write_text(
            f'pairing = "{pairing / "door"}"\nstate = "{self.folder / name}"\n[camera]\nsource = "{camera}"\n',
            encoding="utf-8",
        )
        return pairing, settings

    def start(self) -> None:
        self.page.start()
        self.run("lock", "--simulate", "--control", str(self.leaf), "--pairing", str(self.pairing / "lock"))
        self.start_door()

    def start_door(self) -> None:
        self.door = self.run("run", "--settings", str(self.settings))

    def stop_door(self) -> None:
        self._end(self.door)
        self._running.remove(self.door)

    @contextmanager
    def another_door(self, name: str) -> Iterator[None]:
        """It runs beside `front`, with a camera of its own, and is revoked at the end."""
        pairing, settings = self._pair(name, DEMO)
        processes = [
            self.run("lock", "--simulate", "--pairing", str(pairing / "lock")),
            self.run("run", "--settings", str(settings)),
        ]
        yield
        for process in reversed(processes):
            self._end(process)
            self._running.remove(process)
        office = Office(self.page.settings)
        try:
            office.revoke_door(name, "test")
        finally:
            office.stop()
        shutil.rmtree(self.folder / name)

    def run(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "device", *arguments]
        with (self.folder / "door.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        self._running.append(process)
        return process

    def stop(self) -> None:
        with ExitStack() as running:  # one that does not end must not keep the others
            running.callback(self.page.stop)
            for process in self._running:
                running.callback(self._end, process)

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


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


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """Of all pages that the test opens. At the end there is none."""
    heard = Complaints()
    yield heard
    heard.check()


@pytest.fixture
def open_page(chromium: Browser, building: Building, complaints: Complaints) -> Iterator[OpenPage]:
    """open_page(**settings of browser.new_context) -> a page in a context of its own, watched and closed at the end."""
    with ExitStack() as stack:

        def make(**settings: Any) -> Page:
            context = chromium.new_context(**settings)
            stack.callback(context.close)
            complaints.watch(context, building.page.url)
            page = context.new_page()
            page.set_default_timeout(LONG_MS)
            return page

        yield make


@pytest.fixture
def desk(open_page: OpenPage, building: Building, complaints: Complaints) -> Iterator[Page]:
    """A logged-in page. At the end nothing was asked of anybody outside, nothing failed, and the console has no
    error."""
    from tests.browser import hands  # it needs Building

    page = open_page(viewport={"width": 1280, "height": 900}, permissions=["camera"])
    hands.log_in(page, building)
    yield page
    assert complaints.asked > 10
