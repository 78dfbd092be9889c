"""What a door for tests sees: a camera and a way of a frame that are doubles.

A frame carries a word for what it shows: "" nobody, "ana" Ana herself, "ana@1.05" somebody at that distance from
her, "dark" a face that the quality gate refuses, "boom" something that makes the way of a frame raise.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone
from hashlib import sha256

import numpy as np

from device.camera import Camera, Frame
from device.decide import Observation
from device.model import Active
from device.picture import Pixels
from device.sight import Seen
from firmware_config.bundle import Golden, Manifest, golden_bytes, pack_bundle
from firmware_config.calibration import Calibration, Histogram, OperatingPoint
from firmware_config.face import FloatArray, ImageArray, Reason
from firmware_config.keys import SigningKey
from firmware_config.messages import encode

FRAME_S = 0.02


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
        self.image: ImageArray = np.zeros((2, 2, 3), np.uint8)

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
        return Frame(Pixels(self.image), captured, self.taken, self.showing)

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
