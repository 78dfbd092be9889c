"""What a daemon sees and moves with: the real parts, made from settings. Tests hand in others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from device.camera import Camera, Frame, open_camera, parse_source
from device.detect import MIN_SCORE, Detector, anchors
from device.detector_file import detector_model
from device.door_toml import read_door_toml
from device.embed import Encoder
from device.follow import Follower
from device.inputs import Inputs, gpio_inputs
from device.memory import settle_memory
from device.model import GOLDEN_TOLERANCE, Active
from device.providers import Chooser, Example, in_words
from device.relay import GpioRelay, Relay
from device.roster import Holdings
from device.runtime import CPU
from device.shelf import MODEL
from device.sight import Seen, look
from device.view import up
from firmware_config.bundle import Bundle
from firmware_config.errors import BadInput
from firmware_config.face import CROP_SIZE
from firmware_config.keys import VerifyKey
from firmware_config.pairing import DoorPairing
from firmware_config.schema import SettingsRefused
from firmware_config.settings import CameraSettings, DoorSettings, LockSettings, RuntimeSettings

log = logging.getLogger("latchkey.outfit")

DETECTOR_TOLERANCE: Final = 0.05
"""How far another provider's outputs may be from the CPU's: scores are 0 to 1, places in strides of 8 px up."""

ENCODER: Final = "The encoder"
HALF: Final = "The encoder in fp16"
DETECTOR: Final = "The detector"

Look = Callable[[Frame, Active], Seen]
"""The way of a frame up to the match."""


def load_settings(path: Path) -> DoorSettings:
    """door.toml, and that its camera is one. Raises SettingsRefused."""
    settings = read_door_toml(path)
    try:
        parse_source(settings.camera.source)
    except BadInput as error:
        raise SettingsRefused(path, [f"camera.source: {error}"]) from error
    return settings


AT_A_START: Final = {
    "providers": "runtime.providers takes effect at the next start: what runs the networks is chosen there.",
    "cpus": "runtime.cpus takes effect at the next start.",
    "threads": "runtime.threads is in force for the detector; the encoder has as many threads as before until the next"
    " start.",
}


def until_a_start(old: DoorSettings, fresh: DoorSettings) -> list[str]:
    """Sentences on what of fresh settings a door that runs does not take."""
    sentences = [
        sentence for key, sentence in AT_A_START.items() if getattr(fresh.runtime, key) != getattr(old.runtime, key)
    ]
    if fresh.model_copy(update={"camera": old.camera, "runtime": old.runtime}) != old:
        sentences.append("Only camera and runtime are read anew; the rest takes effect at the next start.")
    return sentences


def default_bundle() -> Path:
    """The encoder that comes with the package."""
    return Path(str(resources.files("device"))) / "models" / "default.latchkey"


def usual_bundle(settings: DoorSettings) -> Path:
    """What a door runs without being told: the one that it was sent, else the one that it was given."""
    kept = settings.state / MODEL
    return kept if kept.exists() else settings.models or default_bundle()


def release_keys() -> list[VerifyKey]:
    """Who may sign the bundle on a door's disk, besides its site. Raises BadState."""
    return [VerifyKey.load(Path(str(resources.files("firmware_config"))) / "release.pub")]


def encoder_example() -> Example:
    """What the encoder is timed with: a crop of noise, uint8[1, 112, 112, 3]."""
    return (np.random.default_rng(0).integers(0, 256, (1, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8),)


def detector_example(runtime: RuntimeSettings) -> Example:
    """What the detector is timed with: a grey picture of 4:3."""
    width, height = up(runtime.detect_size), up(runtime.detect_size * 3 // 4)
    grey = np.full((1, 3, height, width), 127, dtype=np.uint8)
    return grey, *anchors(height, width), np.array([MIN_SCORE**2], dtype=np.float32)


def make_encoder(onnx: bytes, runtime: RuntimeSettings, chooser: Chooser | None) -> Encoder:
    """On the provider that the chooser has for it. Raises BadInput."""
    if chooser is None:
        return Encoder(onnx, runtime.threads)
    provider = chooser.pick(ENCODER, onnx, encoder_example, GOLDEN_TOLERANCE)
    return Encoder(onnx, runtime.threads, provider, chooser.options(provider, onnx))


def make_half(bundle: Bundle, runtime: RuntimeSettings, chooser: Chooser | None) -> Encoder | None:
    """The bundle's fp16 variant, where a GPU runs it quicker than what make_encoder chose. Raises BadInput."""
    if chooser is None or bundle.half is None:
        return None
    provider = chooser.pick_half(HALF, bundle.half, encoder_example, GOLDEN_TOLERANCE, than=ENCODER)
    if not provider:
        return None
    options = chooser.options(provider, bundle.half)
    return Encoder(bundle.half, runtime.threads, provider, options, bundle.manifest.encoder_id)


def real_holdings(settings: DoorSettings, pairing: DoorPairing, chooser: Chooser | None = None) -> Holdings:
    """chooser: of execution providers; None: the CPU. Raises BadState when no encoder can be run."""
    return Holdings(
        settings.state,
        pairing.topics,
        pairing.site_key,
        pairing.door_key,
        release_keys(),
        settings.models or default_bundle(),
        lambda onnx: make_encoder(onnx, settings.runtime, chooser),
        lambda bundle: make_half(bundle, settings.runtime, chooser),
    )


def real_look(runtime: RuntimeSettings, chooser: Chooser | None = None) -> Look:
    """chooser: as for real_holdings. Raises LostLink when the detector is not cached and cannot be fetched, BadState
    when it is damaged."""
    # OpenCV's threads wake up for every small resize and cost more than they do.
    cv2.setNumThreads(runtime.threads)
    path = detector_model()
    provider, options = CPU, {}
    if chooser is not None:
        model = path.read_bytes()
        provider = chooser.pick(DETECTOR, model, partial(detector_example, runtime), DETECTOR_TOLERANCE)
        options = chooser.options(provider, model)
    detector = Detector(path, runtime.threads, runtime.detect_size, provider=provider, options=options)
    follower = Follower(detector)
    return lambda frame, active: look(frame, follower, active)


def real_relay(lock: LockSettings) -> Relay:
    """Raises BadState when the pin cannot be used."""
    return GpioRelay(lock.gpio_pin, lock.active_high, lock.fail == "safe")


def real_inputs(lock: LockSettings) -> Inputs:
    """Raises BadState when a pin cannot be used."""
    return gpio_inputs(lock.contact_pin, lock.exit_pin)


@dataclass(frozen=True)
class Outfit:
    """One maker for each part."""

    open_camera: Callable[[CameraSettings], Camera] = open_camera
    make_look: Callable[[RuntimeSettings], Look] = real_look
    make_relay: Callable[[LockSettings], Relay] = real_relay
    make_holdings: Callable[[DoorSettings, DoorPairing], Holdings] = real_holdings
    make_inputs: Callable[[LockSettings], Inputs] = real_inputs
    ready: Callable[[], None] = lambda: None
    """Called once everything runs: from here on nothing may take long."""


def equip(settings: DoorSettings) -> Outfit:
    """What `latchkey-device run` has: the networks on the providers that are quickest on this board."""
    chooser = Chooser(settings.runtime.providers, settings.runtime.threads, settings.state)

    def ready() -> None:
        chooser.stop_measuring()
        settle_memory()
        if chooser.missing:
            log.warning("This build of onnxruntime has no %s; the CPU stands in.", ", ".join(chooser.missing))
        for what, choice in chooser.choices.items():
            log.info("%s", in_words(what, choice))

    return Outfit(
        make_look=partial(real_look, chooser=chooser),
        make_holdings=partial(real_holdings, chooser=chooser),
        ready=ready,
    )
