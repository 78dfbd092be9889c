"""latchkey-device check: each part by itself, one line each, and what to do about what is wrong.

It changes nothing, and may run beside the daemon: it has a connection of its own and leaves no last will.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from device.check_board import look_at_board, look_at_camera, look_at_runtime
from device.check_kept import look_at_audit, look_at_key, look_at_roster, look_at_state
from device.door_toml import read_door_toml
from device.finding import Finding
from firmware_config.assets import default_cache, known_assets
from firmware_config.broker import Connection, Incoming
from firmware_config.broker_tls import WARN_BEFORE, expiry
from firmware_config.bundle import BundleRefused, read_bundle
from firmware_config.errors import LatchkeyError
from firmware_config.files import is_missing
from firmware_config.messages import LockState
from firmware_config.pairing import DoorPairing
from firmware_config.pairing import load_door as load_pairing
from firmware_config.schema import SettingsRefused
from firmware_config.settings import DoorSettings

__all__ = ["Finding", "check"]

WAIT_S: Final = 5.0
"""For a frame, for the broker and for the lock's next challenge: the lock's beat is two seconds, a USB camera
takes one to three to deliver its first frame."""


def check(settings_path: Path) -> list[Finding]:
    """Every part in the order in which they need each other; parts that cannot be looked at are left out."""
    try:
        settings = _settings(settings_path)
    except SettingsRefused as refused:
        advice = "" if is_missing(settings_path) else f"Mend it in {refused.path}."
        return [Finding("settings", False, problem, advice) for problem in refused.problems]
    findings = [Finding("settings", True, f"{settings_path} reads; board {settings.board}.")]
    findings += [_look("board", lambda: look_at_board(settings)), _look("state", lambda: look_at_state(settings))]
    detector = _look("detector", _detector)
    findings += [detector, *([_look("runtime", lambda: look_at_runtime(settings))] if detector.ok else [])]
    findings += [_look("camera", lambda: _camera(settings))]
    try:
        pairing = load_pairing(settings.pairing)
    except SettingsRefused as refused:
        return [*findings, *(Finding("pairing", False, problem) for problem in refused.problems)]
    except LatchkeyError as error:
        return [*findings, Finding("pairing", False, str(error))]
    findings.append(Finding("pairing", True, f"This is {pairing.topics.door_id}."))
    findings += [_look("key", lambda: look_at_key(settings))]
    findings += [_look("audit", lambda: look_at_audit(settings, pairing))]
    findings += [_look("model", lambda: _model(settings, pairing))]
    findings += [_look("roster", lambda: look_at_roster(settings, pairing))]
    if pairing.broker.cert_file is not None:
        findings += [_look("identity", lambda: _certificate(pairing))]
    return findings + _broker_and_lock(settings, pairing)


def _settings(path: Path) -> DoorSettings:
    try:
        from device.outfit import load_settings  # noqa: PLC0415
    except ImportError:
        return read_door_toml(path)  # OpenCV is missing: the camera's line will say so
    return load_settings(path)


def _look(part: str, examine: Callable[[], Finding]) -> Finding:
    try:
        return examine()
    except LatchkeyError as error:
        return Finding(part, False, str(error))
    except ImportError as error:
        return Finding(
            part,
            False,
            f"A library cannot be loaded: {error}.",
            "Install what is missing: pip install 'latchkey[device]'; on a bare Debian also "
            "apt-get install libgl1 libglib2.0-0, which OpenCV needs.",
        )


def _detector() -> Finding:
    asset = known_assets()["yunet"]
    path = asset.path_in(default_cache())
    if not path.is_file():
        return Finding(
            "detector",
            False,
            f"The face detector is not at {path} yet.",
            "Run `latchkey-device fetch` while this machine has a network.",
        )
    from device.detect import Detector  # noqa: PLC0415
    from device.detector_file import detector_model  # noqa: PLC0415

    Detector(detector_model())
    return Finding("detector", True, f"{asset.file} is there and loads.")


def _camera(settings: DoorSettings) -> Finding:
    from device.camera import open_camera, parse_source  # noqa: PLC0415

    with open_camera(settings.camera) as camera:
        return look_at_camera(settings, camera, str(parse_source(settings.camera.source)), WAIT_S)


def _model(settings: DoorSettings, pairing: DoorPairing) -> Finding:
    from device.embed import Encoder  # noqa: PLC0415
    from device.model import tested  # noqa: PLC0415
    from device.outfit import release_keys, usual_bundle  # noqa: PLC0415

    path = usual_bundle(settings)
    try:
        bundle = read_bundle(path.read_bytes(), [pairing.site_key, *release_keys()])
        tested(bundle, lambda onnx: Encoder(onnx, settings.runtime.threads))
    except OSError as error:
        return Finding("model", False, f"{path} cannot be read: {error.strerror}.", "Install the package again.")
    except BundleRefused as refused:
        return Finding("model", False, f"{path}: {refused}", "Ship a bundle from the admin page.")
    manifest = bundle.manifest
    return Finding(
        "model", True, f"{manifest.name} {manifest.version}, encoder {manifest.encoder_id[:12]}, self-test passed."
    )


class _LockWatch:
    """What a lock says within a few seconds. A retained challenge proves nothing: its lock may be long dead."""

    def __init__(self, pairing: DoorPairing) -> None:
        self._topics = pairing.topics
        self.beat = threading.Event()
        self.state = ""
        self.connection = Connection(
            pairing.broker,
            f"latchkey-check-{os.getpid()}",
            subscriptions=[(self._topics["lock/challenge"], 0), (self._topics["lock/state"], 0)],
            on_message=self._receive,
            on_connected=lambda: None,
        )

    def _receive(self, message: Incoming) -> None:
        if message.topic == self._topics["lock/state"]:
            self.state = message.payload.decode("ascii", "replace")
        elif not message.retained:
            self.beat.set()


def _certificate(pairing: DoorPairing) -> Finding:
    ends = expiry(pairing.broker)
    assert ends is not None
    left = ends - datetime.now(timezone.utc)
    sentence = (
        f"Our certificate at the broker {'is good until' if left > timedelta(0) else 'ended on'} {ends:%Y-%m-%d}."
    )
    advice = f"Run `latchkey-admin door renew {pairing.topics.door}` where the page runs and carry the folder here."
    return Finding("identity", left > WARN_BEFORE, sentence, "" if left > WARN_BEFORE else advice)


def _broker_and_lock(settings: DoorSettings, pairing: DoorPairing) -> list[Finding]:
    try:
        watch = _LockWatch(pairing)
    except LatchkeyError as error:
        return [Finding("broker", False, str(error))]
    watch.connection.start()
    try:
        if not watch.connection.wait(WAIT_S):
            broker = Finding(
                "broker",
                False,
                f"{watch.connection.why_down[:1].upper()}{watch.connection.why_down[1:]}.",
                f"Is the broker running, and is broker.url in {settings.pairing}/pairing.toml right?",
            )
            return [broker, *_lock(settings, None)]
        unheard = watch.connection.unheard
        advice = "Write the broker's list anew where the page runs: latchkey-admin broker write." if unheard else ""
        broker = Finding("broker", not unheard, unheard or f"{pairing.broker.url} lets us in.", advice)
        return [broker, *_lock(settings, watch)]
    finally:
        watch.connection.stop()


def _lock(settings: DoorSettings, watch: _LockWatch | None) -> list[Finding]:
    if settings.lock.kind == "gpio":
        return [_look("lock", lambda: _gpio(settings))]
    if watch is None:
        return []
    if not watch.beat.wait(WAIT_S):
        return [
            Finding(
                "lock",
                False,
                f"No lock renews its challenge within {WAIT_S:.0f} s.",
                "Is the lock powered and paired with this door? A Linux board: latchkey-device lock --gpio PIN.",
            )
        ]
    if watch.state == LockState.JAMMED.value:
        return [Finding("lock", False, "The lock says JAMMED.", "Look at the strike and at the relay.")]
    return [Finding("lock", True, f"The lock answers; it is {watch.state or 'silent about its state'}.")]


def _gpio(settings: DoorSettings) -> Finding:
    from device.inputs import gpio_inputs  # noqa: PLC0415
    from device.relay import GpioRelay  # noqa: PLC0415

    lock = settings.lock
    inputs = gpio_inputs(lock.contact_pin, lock.exit_pin)
    leaf, pressed = inputs.contact(), inputs.pressed()
    inputs.close()
    if pressed:
        advice = "Is somebody pressing it? If not, look for a short circuit: a button that is stuck lets nobody out."
        return Finding("lock", False, f"The exit button on GPIO {lock.exit_pin} is down.", advice)
    GpioRelay(lock.gpio_pin, lock.active_high, lock.fail == "safe").close()
    contact = f" The contact on GPIO {lock.contact_pin} says {leaf.value.lower()}." if leaf is not None else ""
    return Finding("lock", True, f"GPIO {lock.gpio_pin} can be used.{contact}")
