"""Documents and doors to test with: toy encoders, signed bundles, sealed rosters. No face is in any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

import numpy as np

from device.roster import Holdings
from firmware_config.bundle import Golden, Manifest, golden_bytes, pack_bundle
from firmware_config.calibration import Calibration, Histogram, OperatingPoint
from firmware_config.errors import BadInput
from firmware_config.face import CROP_SIZE, EMBEDDING_SIZE, FloatArray, ImageArray
from firmware_config.keys import SecretKey, SigningKey
from firmware_config.messages import Topics, encode
from firmware_config.roster import Person, Policy, Roster, seal_roster, template_bytes

TOY_MARK = b"toy encoder "
POLICY = Policy(tau=0.9, tau_strict=0.7)


def unit(seed: int) -> FloatArray:
    """float32[128], unit length."""
    vector = np.random.default_rng(seed).normal(size=EMBEDDING_SIZE)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def toy_onnx(seed: int = 1) -> bytes:
    """What ToyEncoder takes for an ONNX file."""
    return TOY_MARK + str(seed).encode()


class ToyEncoder:
    """An Embedder without onnxruntime: a random projection of the crop's coarse pixels."""

    def __init__(self, onnx: bytes) -> None:
        if not onnx.startswith(TOY_MARK):
            raise BadInput("This is not a toy encoder.")
        self.encoder_id = sha256(onnx).hexdigest()
        generator = np.random.default_rng(int(onnx[len(TOY_MARK) :]))
        self._weights = generator.normal(size=(14 * 14 * 3, EMBEDDING_SIZE))

    def embed(self, crops: ImageArray) -> FloatArray:
        """uint8[N, 112, 112, 3] -> float32[N, 128], unit rows."""
        coarse = crops[:, ::8, ::8].reshape(len(crops), -1).astype(np.float64) - 127.0
        out = coarse @ self._weights
        return (out / np.linalg.norm(out, axis=1, keepdims=True)).astype(np.float32)


def calibration() -> Calibration:
    """Plausible, and quickly made."""
    bins = np.linspace(0, 2, 101)[:-1]
    genuine = (1000 * np.exp(-(((bins - 0.6) / 0.2) ** 2))).astype(int).tolist()
    impostor = (10000 * np.exp(-(((bins - 1.4) / 0.15) ** 2))).astype(int).tolist()
    points = [
        OperatingPoint(
            fmr=fmr, tau=tau, tau_low=tau - 0.02, tau_high=tau + 0.02, fnmr=0.1, fnmr_low=0.05, fnmr_high=0.15
        )
        for fmr, tau in ((1e-2, 1.15), (1e-3, 1.0), (1e-4, 0.9), (1e-5, 0.8), (1e-6, 0.7))
    ]
    return Calibration(
        genuine=Histogram(counts=genuine),
        impostor=Histogram(counts=impostor),
        operating_points=points,
        identities=20,
        genuine_pairs=sum(genuine),
        impostor_pairs=sum(impostor),
        method="Made up for tests.",
        source="No images.",
    )


def bundle_parts(
    version: str = "1.0.0", onnx: bytes | None = None, golden_shift: float = 0.0, encoder_id: str = ""
) -> dict[str, bytes]:
    """The parts of a bundle around a toy encoder. golden_shift: how far off its golden outputs are."""
    onnx = toy_onnx() if onnx is None else onnx
    crops = np.random.default_rng(5).integers(0, 256, (3, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    known = onnx if onnx.startswith(TOY_MARK) else toy_onnx()
    outputs = ToyEncoder(known).embed(crops) + np.float32(golden_shift)
    manifest = Manifest(
        name="toy",
        version=version,
        encoder_id=encoder_id or sha256(onnx).hexdigest(),
        created=datetime(2026, 1, 1, tzinfo=timezone.utc),
        trained_on=["nothing"],
        licence="Apache-2.0",
    )
    return {
        "manifest.json": encode(manifest),
        "encoder.onnx": onnx,
        "calibration.json": encode(calibration()),
        "golden.npz": golden_bytes(Golden(crops, outputs.astype(np.float32))),
        "MODEL_CARD.md": b"# A toy\n",
    }


def toy_bundle(version: str = "1.0.0", seed: int = 1, key: SigningKey | None = None) -> bytes:
    """A bundle file around ToyEncoder(seed)."""
    return pack_bundle(bundle_parts(version, toy_onnx(seed)), key)


def person(name: str, seed: int, **more: object) -> Person:
    """Somebody with one template, unit(seed)."""
    return Person.model_validate({"id": f"id-{name}", "name": name, "templates": [template_bytes(unit(seed))], **more})


def encoder_id(seed: int = 1) -> str:
    """Of ToyEncoder(toy_onnx(seed))."""
    return sha256(toy_onnx(seed)).hexdigest()


@dataclass
class Premises:
    """A site with one door: all keys, and the two sides of everything. Files lie under `folder`."""

    folder: Path
    topics: Topics = field(default_factory=lambda: Topics("office", "front"))
    site_key: SigningKey = field(default_factory=SigningKey.generate)
    release_key: SigningKey = field(default_factory=SigningKey.generate)
    door_key: SecretKey = field(default_factory=SecretKey.generate)
    lock_key: SecretKey = field(default_factory=SecretKey.generate)

    @property
    def state(self) -> Path:
        """What the door keeps."""
        return self.folder / "state"

    @property
    def default_bundle(self) -> Path:
        """Version 1.0.0 around toy encoder 1, signed by the release key."""
        path = self.folder / "default.latchkey"
        if not path.exists():
            path.write_bytes(toy_bundle("1.0.0", 1, self.release_key))
        return path

    def holdings(self) -> Holdings:
        """Open the door's documents as the daemon does at its start."""
        return Holdings(
            self.state,
            self.topics,
            self.site_key.public,
            self.door_key,
            [self.release_key.public],
            self.default_bundle,
            ToyEncoder,
        )

    def roster(
        self,
        generation: int,
        people: Mapping[str, int] | Sequence[Person] = (),
        *,
        seed: int = 1,
        rollback_to: str = "",
        policy: Policy = POLICY,
    ) -> Roster:
        """people: name -> seed of the template, or Persons. seed: of the encoder that it was made with."""
        listed = [person(n, s) for n, s in people.items()] if isinstance(people, Mapping) else list(people)
        return Roster(
            site=self.topics.site,
            door=self.topics.door,
            generation=generation,
            encoder_id=encoder_id(seed),
            policy=policy,
            people=listed,
            rollback_to=rollback_to,
        )

    def sealed(self, roster: Roster) -> bytes:
        """As the page publishes it."""
        return seal_roster(roster, self.site_key, self.door_key)

    def bundle(self, version: str, seed: int) -> bytes:
        """As the page publishes it: signed by the site."""
        return toy_bundle(version, seed, self.site_key)
