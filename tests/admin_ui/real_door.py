"""A door that the office has paired: real daemon, lock rule and disk; the camera is a stage, the eyes are given."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from device.actuator import LockActuator
from device.camera import Frame
from device.daemon import Daemon
from device.decide import Observation
from device.embed import Encoder
from device.model import Active
from device.outfit import Outfit
from device.relay import SimulatedRelay
from device.roster import Holdings
from device.sight import Seen
from firmware_config.face import FloatArray
from firmware_config.pairing import DoorPairing, load_lock
from firmware_config.settings import CameraSettings, DoorSettings
from tests.staging import StagedCamera


class RealDoor:
    """start() and stop() as often as the test likes. `embedding`: of whom the camera shows; None: nobody."""

    def __init__(self, pairing: Path, state: Path, bundle: Path) -> None:
        self._pairing = pairing
        self._settings = DoorSettings(
            pairing=pairing / "door", state=state, models=bundle, camera=CameraSettings(source="0")
        )
        self.camera = StagedCamera()
        self.embedding: FloatArray | None = None
        self.box: tuple[float, float, float, float] | None = None
        """Where the camera's face is; None where it shows none."""
        self.relay = SimulatedRelay(say=lambda _line: None)
        self.daemon: Daemon | None = None
        self._running: list[tuple[Callable[[], None], threading.Thread]] = []

    def _look(self, frame: Frame, active: Active) -> Seen:
        shown = self.embedding
        match = active.gallery.nearest(shown) if shown is not None and active.gallery is not None else None
        seen = Observation(frame.captured_at, frame.sequence, None, match, face=shown is not None)
        return Seen(seen, {"match": 1.0}, box=self.box)

    def _holdings(self, settings: DoorSettings, pairing: DoorPairing) -> Holdings:
        assert settings.models is not None
        return Holdings(
            settings.state,
            pairing.topics,
            pairing.site_key,
            pairing.door_key,
            [],
            settings.models,
            lambda onnx: Encoder(onnx, 1),
        )

    def start(self) -> None:
        """Run daemon and lock, each on a thread."""
        outfit = Outfit(lambda _: self.camera, lambda _: self._look, lambda _: self.relay, self._holdings)
        daemon = self.daemon = Daemon(self._settings, None, outfit)
        halt = threading.Event()
        lock = LockActuator(load_lock(self._pairing / "lock"), self.relay)
        self._spawn(lambda: lock.run(halt), halt.set)
        self._spawn(daemon.run, daemon.stop.set)

    def _spawn(self, work: Callable[[], object], stop: Callable[[], None]) -> None:
        thread = threading.Thread(target=work)
        thread.start()
        self._running.append((stop, thread))

    def stop(self) -> None:
        """Stop what runs, in reverse."""
        while self._running:
            stop, thread = self._running.pop()
            stop()
            thread.join(10)
            assert not thread.is_alive()
