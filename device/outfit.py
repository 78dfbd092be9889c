"""What a daemon sees and moves with: the real parts, made from settings. Tests hand in others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from device.camera import Camera, Frame, open_camera, parse_source
from device.detect import Detector, detector_model
from device.embed import Encoder
from device.inputs import Inputs, gpio_inputs
from device.model import Active
from device.relay import GpioRelay, Relay
from device.roster import Holdings
from device.sight import Seen, look
from firmware_config.errors import BadInput
from firmware_config.keys import VerifyKey
from firmware_config.pairing import DoorPairing
from firmware_config.settings import (
    CameraSettings,
    DoorSettings,
    LockSettings,
    RuntimeSettings,
    SettingsRefused,
    load_door,
)

Look = Callable[[Frame, Active], Seen]
"""The way of a frame up to the match."""


def load_settings(path: Path) -> DoorSettings:
    """door.toml, and that its camera is one. Raises SettingsRefused."""
    settings = load_door(path)
    try:
        parse_source(settings.camera.source)
    except BadInput as error:
        raise SettingsRefused(path, [f"camera.source: {error}"]) from error
    return settings


def default_bundle() -> Path:
    """The encoder that comes with the package."""
    return Path(str(resources.files("device"))) / "models" / "default.latchkey"


def release_keys() -> list[VerifyKey]:
    """Who may sign the bundle on a door's disk, besides its site. Raises BadState."""
    return [VerifyKey.load(Path(str(resources.files("firmware_config"))) / "release.pub")]


def real_holdings(settings: DoorSettings, pairing: DoorPairing) -> Holdings:
    """Raises BadState when no encoder can be run."""
    return Holdings(
        settings.state,
        pairing.topics,
        pairing.site_key,
        pairing.door_key,
        release_keys(),
        settings.models or default_bundle(),
        lambda onnx: Encoder(onnx, settings.runtime.threads),
    )


def real_look(runtime: RuntimeSettings) -> Look:
    """Raises LostLink when the detector is not cached and cannot be fetched, BadState when it is damaged."""
    detector = Detector(detector_model(), runtime.threads, runtime.detect_size)
    return lambda frame, active: look(frame, detector, active)


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
