"""A network camera that speaks RTSP: GStreamer's own server, read as any door reads one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from device import sources
from device.camera import open_camera
from firmware_config.settings import CameraSettings
from tests.brokers import free_port
from tests.waiting import until

DEBIANS_PYTHON = Path("/usr/bin/python3")
"""Debian's packages are for its own interpreter."""

SERVER = """
import sys
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch("( videotestsrc is-live=true pattern=ball "
                   "! video/x-raw,format=I420,width=320,height=240,framerate=15/1 "
                   "! jpegenc ! rtpjpegpay name=pay0 pt=26 )")
factory.set_shared(True)
server.get_mount_points().add_factory("/door", factory)
server.attach(None)
print("serving", flush=True)
GLib.MainLoop().run()
"""


def not_here(what: str) -> NoReturn:
    """Skipped for a user, a failure in CI, which has Debian's packages."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


class RtspCamera:
    """The server, as a process of its own: on, off, on again at the same address."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[str] | None = None

    def plug(self) -> None:
        command = [str(DEBIANS_PYTHON), "-c", SERVER, str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "serving\n":
            _, why = self._process.communicate()
            not_here(f"apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good: {why[-200:]}")

    def unplug(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@pytest.fixture
def camera() -> Iterator[RtspCamera]:
    if not DEBIANS_PYTHON.exists():
        not_here("this test needs Debian's own Python")
    made = RtspCamera()
    made.plug()
    yield made
    made.unplug()


@pytest.mark.slow
def test_an_rtsp_camera_comes_goes_and_comes_back(camera: RtspCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "RTSP_OPEN_MS", 30_000)  # a loaded machine's server takes its time
    with open_camera(CameraSettings(source=f"rtsp://127.0.0.1:{camera.port}/door")) as opened:
        frame = opened.newest(30)
        assert frame is not None, opened.why
        assert frame.image.shape == (240, 320, 3)
        camera.unplug()
        assert until(lambda: opened.state == "lost")
        camera.plug()
        assert until(lambda: opened.newest(1) is not None, 40), opened.why
