"""A whole door for tests: real daemon, link, journal, rules and disk; the camera and the way of a frame are doubles.

A frame carries a word for what it shows: "" nobody, "ana" Ana herself, "ana@1.05" somebody at that distance from
her, "dark" a face that the quality gate refuses, "boom" something that makes the way of a frame raise.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from device.actuator import LockActuator
from device.camera import Camera, Frame
from device.daemon import Daemon
from device.decide import Observation
from device.model import Active
from device.outfit import Look, Outfit
from device.relay import SimulatedRelay
from device.roster import Holdings
from device.sight import Seen
from firmware_config.broker import Connection, Incoming
from firmware_config.bundle import Golden, Manifest, golden_bytes, pack_bundle
from firmware_config.calibration import Calibration, Histogram, OperatingPoint
from firmware_config.face import FloatArray, ImageArray, Reason
from firmware_config.keys import SecretKey, SigningKey
from firmware_config.messages import (
    Answer,
    Applied,
    Ask,
    Challenge,
    Event,
    EventAck,
    EventDetail,
    Health,
    LockResult,
    Message,
    Topics,
    decode,
    encode,
    open_event,
    seal,
    unseal,
)
from firmware_config.pairing import DoorPairing, load_lock, write_pairing
from firmware_config.roster import Person, Policy, Roster, seal_roster, template_bytes
from firmware_config.settings import BrokerSettings, CameraSettings, DoorSettings, LockSettings, RuntimeSettings
from tests.waiting import until
from tests.wires import PlayedInputs

TOPICS = Topics("home", "front")
FRAME_S = 0.02
POLICY: dict[str, Any] = {"tau": 1.0, "tau_strict": 0.7, "hold_ms": 200, "cooldown_s": 0.5}


def face_of(word: str) -> FloatArray:
    """A word's embedding: float32[128], unit; "NAME@D" lies at distance D from NAME's."""
    name, _, distance = word.partition("@")
    generator = np.random.default_rng(int.from_bytes(sha256(name.encode()).digest()[:8], "big"))
    vectors = generator.standard_normal((2, 128))
    base = vectors[0] / np.linalg.norm(vectors[0])
    if distance:
        across = vectors[1] - (vectors[1] @ base) * base
        cosine = 1 - float(distance) ** 2 / 2
        base = cosine * base + np.sqrt(1 - cosine**2) * across / np.linalg.norm(across)
    face: FloatArray = base.astype(np.float32)
    return face


class ToyEncoder:
    """Answers the self-test; frames never come to it."""

    def __init__(self, onnx: bytes) -> None:
        self.encoder_id = sha256(onnx).hexdigest()

    def embed(self, crops: ImageArray) -> FloatArray:
        """The same unit row for every crop."""
        return np.repeat(face_of("golden")[None], len(crops), axis=0)


def toy_bundle(key: SigningKey, version: str = "1.0.0", onnx: bytes = b"toy encoder") -> bytes:
    """A signed bundle whose encoder is a few bytes."""
    manifest = Manifest(
        name="toy",
        version=version,
        encoder_id=sha256(onnx).hexdigest(),
        created=datetime(2025, 1, 1, tzinfo=timezone.utc),
        trained_on=["nothing"],
        licence="Apache-2.0",
    )
    point = OperatingPoint(fmr=1e-4, tau=1.0, tau_low=0.9, tau_high=1.1, fnmr=0.1, fnmr_low=0.0, fnmr_high=0.2)
    calibration = Calibration(
        genuine=Histogram(counts=[1] * 50),
        impostor=Histogram(counts=[1] * 50),
        operating_points=[point],
        identities=2,
        genuine_pairs=50,
        impostor_pairs=50,
        method="none",
        source="none",
    )
    golden = Golden(np.zeros((1, 112, 112, 3), np.uint8), face_of("golden")[None])
    parts = {
        "manifest.json": encode(manifest),
        "encoder.onnx": onnx,
        "calibration.json": encode(calibration),
        "golden.npz": golden_bytes(golden),
        "MODEL_CARD.md": b"A toy.\n",
    }
    return pack_bundle(parts, key)


class StagedCamera(Camera):
    """Shows what the test says, a new frame every 20 ms."""

    def __init__(self) -> None:
        self.showing = ""
        self.trouble = ""
        self.delay_s = 0.0
        self.taken = 0

    def __enter__(self) -> StagedCamera:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def newest(self, timeout_s: float) -> Frame | None:
        """A frame with the word of now, unless there is trouble."""
        time.sleep(FRAME_S)
        if self.trouble:
            return None
        self.taken += 1
        captured = time.monotonic() - self.delay_s
        return Frame(np.zeros((2, 2, 3), np.uint8), captured, self.taken, self.showing)

    @property
    def state(self) -> str:
        return "lost" if self.trouble else "ok"

    @property
    def why(self) -> str:
        return self.trouble


def look(frame: Frame, active: Active) -> Seen:
    """The way of a frame, by the frame's word."""
    if frame.label == "boom":
        raise ZeroDivisionError("the way of a frame fell over")
    reason = Reason.TOO_DARK if frame.label == "dark" else None
    match = None
    if frame.label and reason is None and active.gallery is not None:
        match = active.gallery.nearest(face_of(frame.label))
    seen = Observation(frame.captured_at, frame.sequence, reason, match, face=bool(frame.label))
    return Seen(seen, {"detect": 1.0})


class Page:
    """The other end of the door's topics: what the admin page would see and say."""

    def __init__(self, broker: BrokerSettings, door_key: SecretKey) -> None:
        self.heard: list[Incoming] = []
        self._door_key = door_key
        self.connection = Connection(
            broker,
            f"test-page-{id(self)}",
            subscriptions=[("latchkey/#", 1)],
            on_message=self.heard.append,
            on_connected=lambda: None,
        )
        self.connection.start()
        assert self.connection.wait(10)

    def payloads(self, leaf: str) -> list[bytes]:
        return [message.payload for message in list(self.heard) if message.topic == TOPICS[leaf]]

    def _last(self, kind: type[Message], leaf: str) -> Any:
        payloads = self.payloads(leaf)
        return decode(kind, payloads[-1], leaf) if payloads else None

    @property
    def applied(self) -> Applied | None:
        found: Applied | None = self._last(Applied, "applied")
        return found

    @property
    def health(self) -> Health | None:
        found: Health | None = self._last(Health, "health")
        return found

    def events(self) -> list[Event]:
        return [decode(Event, payload, "event") for payload in self.payloads("event")]

    def happened(self) -> list[tuple[str, str]]:
        """(outcome, reason) of each event, the same event once."""
        once = {event.id: (event.outcome, event.reason) for event in self.events()}
        return list(once.values())

    def detail(self, event: Event) -> EventDetail:
        return open_event(self._door_key, TOPICS, event)

    def lock_results(self) -> list[LockResult]:
        return [decode(LockResult, payload, "lock/result") for payload in self.payloads("lock/result")]

    def acknowledge_all(self) -> None:
        ids = list({event.id for event in self.events()})
        assert self.connection.publish(TOPICS["event/ack"], encode(EventAck(ids=ids)))

    def ask_unlock(self, by: str = "olga") -> Answer:
        """Ask with the door's newest challenge and wait for the answer."""
        known = len(self.payloads("answer"))
        challenge: Challenge = self._last(Challenge, "challenge")
        ask = Ask(id="ab" * 16, challenge=challenge.challenge, action="unlock", by=by)
        assert self.connection.publish(TOPICS["ask"], seal(self._door_key, TOPICS["ask"], ask), qos=0)
        assert until(lambda: len(self.payloads("answer")) > known)
        return unseal(self._door_key, TOPICS["answer"], Answer, self.payloads("answer")[-1])


class Door:
    """A paired door in a folder of its own. start() and stop() as often as the test likes."""

    def __init__(self, folder: Path, broker: BrokerSettings) -> None:
        self.folder = folder
        self.broker = broker
        self.site, self.release = SigningKey.generate(), SigningKey.generate()
        self.door_key, self.lock_key = SecretKey.generate(), SecretKey.generate()
        write_pairing(folder / "pairing", TOPICS, broker, self.lock_key, self.site.public, self.door_key)
        self.bundle = folder / "default.latchkey"
        self.bundle.write_bytes(toy_bundle(self.release))
        self.settings = DoorSettings(
            pairing=folder / "pairing", state=folder / "state", models=self.bundle, camera=CameraSettings(source="0")
        )
        self.camera = StagedCamera()
        self.relay = SimulatedRelay(say=lambda _line: None)
        self.inputs = PlayedInputs()
        self.look: Look = look
        self.codes: list[int | BaseException] = []
        self._running: list[tuple[Callable[[], None], threading.Thread]] = []
        self.daemon: Daemon | None = None

    @property
    def encoder_id(self) -> str:
        return sha256(b"toy encoder").hexdigest()

    def _holdings(self, settings: DoorSettings, pairing: DoorPairing) -> Holdings:
        return Holdings(
            settings.state,
            pairing.topics,
            pairing.site_key,
            pairing.door_key,
            [self.release.public],
            self.bundle,
            ToyEncoder,
        )

    def roster(
        self, generation: int, *names: str, topics: Topics = TOPICS, encoder_id: str = "", **policy: Any
    ) -> bytes:
        """A sealed roster that knows these people."""
        people = [Person(id=f"id-{n}", name=n.title(), templates=[template_bytes(face_of(n))]) for n in names]
        roster = Roster(
            site=topics.site,
            door=topics.door,
            generation=generation,
            encoder_id=encoder_id or self.encoder_id,
            policy=Policy(**(POLICY | policy)),
            people=people,
        )
        return seal_roster(roster, self.site, self.door_key)

    def start(self) -> Daemon:
        """Run the daemon on a thread."""

        def make_look(_runtime: RuntimeSettings) -> Look:
            def current(frame: Frame, active: Active) -> Seen:
                return self.look(frame, active)  # which the test may replace while the door runs

            return current

        def make_relay(_lock: LockSettings) -> SimulatedRelay:
            return self.relay

        outfit = Outfit(lambda _camera: self.camera, make_look, make_relay, self._holdings, lambda _lock: self.inputs)
        daemon = self.daemon = Daemon(self.settings, None, outfit)

        def run() -> None:
            try:
                self.codes.append(daemon.run())
            except BaseException as error:  # noqa: BLE001 - the test asserts on it
                self.codes.append(error)

        self._spawn(run, daemon.stop.set)
        return daemon

    def start_lock(self) -> LockActuator:
        """Run the simulated lock on a thread."""
        stop = threading.Event()
        lock = LockActuator(load_lock(self.folder / "pairing"), self.relay, inputs=self.inputs)
        self._spawn(lambda: lock.run(stop), stop.set)
        return lock

    def _spawn(self, work: Callable[[], None], stop: Callable[[], None]) -> None:
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
