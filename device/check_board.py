"""The board itself, looked at for `latchkey-device check`: whose defaults, which networks run where, the camera."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from device.finding import Finding
from firmware_config.bundle import BundleRefused, read_bundle
from firmware_config.errors import LatchkeyError
from firmware_config.settings import DoorSettings, board_names

if TYPE_CHECKING:
    from device.camera import Camera

# OpenCV and onnxruntime are loaded inside: `check` must be able to say that they are missing.


def look_at_board(settings: DoorSettings) -> Finding:
    """Whether the defaults are this machine's."""
    from device.board import foreign_board, machine_model  # noqa: PLC0415

    model, there = machine_model(), os.cpu_count() or 1
    wrong = foreign_board(settings, model)
    if wrong:
        return Finding("board", False, wrong, f"Write the right board into door.toml: {', '.join(board_names())}.")
    if any(core >= there for core in settings.runtime.cpus):
        wrong = f"runtime.cpus names core {max(settings.runtime.cpus)}, and this board has cores 0 to {there - 1}."
        return Finding("board", False, wrong, "Until it is mended all cores are used.")
    return Finding("board", True, f"{settings.board}: {model or 'a PC'}, {there} cores.")


def look_at_runtime(settings: DoorSettings) -> Finding:
    """On what the networks run, and how long they take here; what the daemon measured is shown, not measured anew."""
    from device.detector_file import detector_model  # noqa: PLC0415
    from device.outfit import DETECTOR, ENCODER, HALF, detector_example, encoder_example, usual_bundle  # noqa: PLC0415
    from device.providers import Chooser, Example, in_words, timed  # noqa: PLC0415
    from device.runtime import version  # noqa: PLC0415

    runtime = settings.runtime
    chooser = Chooser(runtime.providers, runtime.threads, settings.state)
    chooser.stop_measuring()
    networks: list[tuple[str, bytes, Example]] = [
        (DETECTOR, detector_model().read_bytes(), detector_example(runtime)),
    ]
    half = None
    with contextlib.suppress(OSError, BundleRefused):  # the line about the model says so
        bundle = read_bundle(usual_bundle(settings).read_bytes(), None)
        networks.append((ENCODER, bundle.onnx, encoder_example()))
        half = bundle.half
    words = [f"onnxruntime {version()}, {runtime.threads} thread{'s' if runtime.threads > 1 else ''}."]
    for what, model, example in networks:
        try:
            choice = chooser.kept(model) or timed(what, model, runtime.threads, example)
        except LatchkeyError as error:
            return Finding("runtime", False, str(error), "Install what is missing, or ship another bundle.")
        words.append(in_words(what, choice))
    of_half = chooser.kept(half) if half is not None else None
    if of_half is not None:
        words.append(in_words(HALF, of_half))
    if chooser.missing:
        words.append(f"This build has no {', '.join(chooser.missing)}; the CPU stands in.")
        advice = "Take it out of runtime.providers, or install a build of onnxruntime that has it: docs/boards.md."
        return Finding("runtime", False, " ".join(words), advice)
    return Finding("runtime", True, " ".join(words))


def look_at_camera(settings: DoorSettings, camera: Camera, shown: str, wait_s: float) -> Finding:
    """camera: open. shown: its address without a password."""
    frame = camera.newest(wait_s)
    if frame is None:
        return Finding(
            "camera",
            False,
            camera.why or f"{shown} gives no frame within {wait_s:.0f} s.",
            "Look at the cable and at camera.source; a camera that the daemon has open gives no second stream: stop "
            "the daemon to check it.",
        )
    height, width = frame.image.shape[:2]
    asked = settings.camera
    if (width, height) != (asked.width, asked.height):
        return Finding(
            "camera", True, f"{shown} gives {width}x{height}, not the {asked.width}x{asked.height} asked for."
        )
    return Finding("camera", True, f"{shown} gives {width}x{height}.")
