"""Cameras through GStreamer: the boards' own pipeline strings, with GStreamer's test source in the sensor's place."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from device.camera import open_camera
from device.gstreamer import PROGRAM, PipeGrabber, pipeline
from device.outfit import load_settings
from device.sources import Kind, parse_source
from firmware_config.errors import BadInput, LostLink
from firmware_config.schema import SettingsRefused
from firmware_config.settings import CameraSettings
from tests.waiting import until

needs_gstreamer = pytest.mark.skipif(
    shutil.which(PROGRAM) is None and os.environ.get("CI") != "true",  # there it is a failure
    reason="Debian: gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good",
)
SMALL = CameraSettings(width=160, height=120, fps=20)
BALL = "videotestsrc is-live=true pattern=ball"


def with_test_source(text: str) -> str:
    """The same pipeline with what only the board has taken by GStreamer's own elements."""
    for only_there, everywhere in (
        ("libcamerasrc", BALL),
        ("nvarguscamerasrc sensor-id=0", BALL),
        ("nvvidconv", "videoconvert ! videoscale"),
        ("(memory:NVMM)", ""),
    ):
        text = text.replace(only_there, everywhere)
    return text


def rightmost_bright(image: np.ndarray) -> bool:
    return bool(image.max() > 200) and bool(image.min() < 40)


@needs_gstreamer
@pytest.mark.parametrize("address", ["libcamera:", "jetson:", f"gst:{BALL}"])
def test_the_boards_pipelines_give_pictures_of_the_size_asked_for(address: str) -> None:
    grabber = PipeGrabber(with_test_source(pipeline(address, SMALL)), address)
    try:
        reads = [grabber.read() for _ in range(4)]
    finally:
        grabber.release()
    pictures = [read[0].image for read in reads if read is not None]
    assert [picture.shape for picture in pictures] == [(120, 160, 3)] * 4
    assert all(rightmost_bright(picture) for picture in pictures), "a white ball before black"
    assert not np.array_equal(pictures[0], pictures[3]), "it moves"
    taken = [read[1] for read in reads if read is not None]
    assert taken == sorted(taken)
    assert taken[-1] <= time.monotonic()


@needs_gstreamer
def test_colours_come_through(tmp_path: Path) -> None:
    red = "gst:videotestsrc is-live=true pattern=red"
    grabber = PipeGrabber(pipeline(red, SMALL), red)
    try:
        read = grabber.read()
    finally:
        grabber.release()
    assert read is not None
    blue, green, red_mean = read[0].image.reshape(-1, 3).mean(axis=0)
    assert red_mean > 230
    assert max(blue, green) < 25


@needs_gstreamer
def test_a_camera_that_stops_is_gone_and_reopened() -> None:
    settings = SMALL.model_copy(update={"source": "gst:videotestsrc is-live=true pattern=snow num-buffers=20"})
    with open_camera(settings) as camera:
        assert camera.newest(20) is not None, camera.why
        assert until(lambda: camera.state == "lost")
        assert until(lambda: camera.newest(1) is not None), "opened once more"


@needs_gstreamer
def test_a_sensor_that_is_not_there_is_said_in_gstreamers_words() -> None:
    with pytest.raises(LostLink, match=r"cannot be opened: .*no element"):
        PipeGrabber(pipeline("gst:nosuchsrc", SMALL), "gst:nosuchsrc")


def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """A gst-launch-1.0 that does as a shell script says."""
    program = tmp_path / PROGRAM
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


HEADER = "printf 'YUV4MPEG2 W16 H2 C420jpeg F15:1\\n'"


def test_a_camera_that_changes_its_size_goes_on_at_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = "printf 'FRAME\\n'; head -c {} /dev/zero"
    other = "printf 'YUV4MPEG2 W32 H4 C420jpeg F15:1\\n'"
    fake(tmp_path, monkeypatch, f"{HEADER}; {frame.format(48)}; {other}; {frame.format(192)}")
    grabber = PipeGrabber("any", "it")
    try:
        shapes = [read[0].image.shape for read in (grabber.read(), grabber.read()) if read is not None]
        assert shapes == [(2, 16, 3), (4, 32, 3)]
        assert grabber.read() is None, "it has ended"
    finally:
        grabber.release()


def test_a_pipe_out_of_step_is_never_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(
        tmp_path,
        monkeypatch,
        f"{HEADER}; printf 'FRAME\\n'; head -c 40 /dev/zero; printf 'FRAME\\nxxxxxxxx\\n'; sleep 5",
    )
    grabber = PipeGrabber("any", "it")
    try:
        assert grabber.read() is not None, "48 bytes are a picture, whatever they are"
        with pytest.raises(BadInput, match="out of step"):
            grabber.read()
    finally:
        grabber.release()


def test_silence_ends_a_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, monkeypatch, f"{HEADER}; exec sleep 60")
    monkeypatch.setattr("device.gstreamer.READ_S", 0.3)
    grabber = PipeGrabber("any", "it")
    try:
        assert grabber.read() is None
    finally:
        grabber.release()


@pytest.mark.parametrize("header", ["hello", "YUV4MPEG2 W16 H2 C444", "YUV4MPEG2 W18 H2 C420", "YUV4MPEG2 Wx H2"])
def test_another_pixel_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header: str) -> None:
    fake(tmp_path, monkeypatch, f"printf '{header}\\n'; exec sleep 60")
    with pytest.raises(LostLink, match="sends"):
        PipeGrabber("any", "it")


def test_without_gstreamer_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LostLink, match=r"apt-get install gstreamer1\.0-tools"):
        PipeGrabber("any", "libcamera:")


def test_a_pi_with_two_cameras_names_one() -> None:
    text = pipeline("libcamera:/base/axi/pcie@1000120000/rp1/i2c@88000/imx708@1a", CameraSettings(fps=12.5))
    assert text.startswith("libcamerasrc camera-name=/base/axi/pcie@1000120000/rp1/i2c@88000/imx708@1a ! ")
    assert "framerate=25/2" in text


@pytest.mark.parametrize(
    ("address", "settings", "complaint"),
    [
        ("jetson:left", CameraSettings(), "jetson:NUMBER"),
        ("gst: ", CameraSettings(), "needs a pipeline"),
        ("gst:v4l2src extra-controls='c,exposure=1", CameraSettings(), "close each quote"),
        ("gst:videotestsrc \\", CameraSettings(), "put a backslash before"),
        ("libcamera:", CameraSettings(width=642), "multiple of 8"),
    ],
)
def test_what_cannot_be_a_pipeline_is_said(address: str, settings: CameraSettings, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        pipeline(address, settings)


def test_a_quote_that_is_not_closed_is_refused_with_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "door.toml"
    path.write_text('[camera]\nsource = "gst:v4l2src extra-controls=\'c,exposure=1"\n', encoding="utf-8")
    with pytest.raises(SettingsRefused, match=r"camera\.source: .*close each quote"):
        load_settings(path)


def test_quotes_and_backslashes_reach_gstreamer_as_they_were_meant() -> None:
    text = pipeline("gst:v4l2src extra-controls='c,exposure=1' name=\\' ! jpegdec", CameraSettings())
    assert shlex.split(text)[1:3] == ["extra-controls=c,exposure=1", "name='"]


def test_whatever_fails_at_opening_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, monkeypatch, "exec sleep 60")
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: Any, **streams: Any) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(*command, **streams))
        return started[-1]

    def no_descriptors(*_: object) -> None:
        raise OSError("too many open files")

    for module, name, stand_in in (("subprocess", "Popen", start), ("select", "select", no_descriptors)):
        double = SimpleNamespace(**{**vars(sys.modules[module]), name: stand_in})
        monkeypatch.setattr(f"device.gstreamer.{module}", double)
    with pytest.raises(OSError, match="too many"):
        PipeGrabber("any", "it")
    assert [process.returncode is None for process in started] == [False]


@pytest.mark.parametrize("text", ["libcamera:", "jetson:1", "gst:videotestsrc"])
def test_these_are_live_sources(text: str) -> None:
    source = parse_source(text)
    assert source.kind is Kind.PIPE
    assert source.live
