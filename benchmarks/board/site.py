"""A whole site for the bench: Mosquitto with TLS, lock, office and door as processes, a thousand people enrolled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.board.faces import OWNER
from device.detect import Detector
from device.detector_file import detector_model
from device.embed import Encoder
from device.outfit import default_bundle
from firmware_config.att import att_faces
from firmware_config.bundle import read_bundle
from firmware_config.face import EMBEDDING_SIZE
from firmware_config.roster import Person, Policy, template_bytes
from tests.faults.network import Network
from tests.faults.rig import FPS, Rig
from tests.pixels import enrolled

PEOPLE: Final = 1000


def strangers_enrolled(count: int) -> list[Person]:
    """People who do not exist, in all directions."""
    vectors = np.random.default_rng(1).standard_normal((count, EMBEDDING_SIZE)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [
        Person(id=f"m{number}", name=f"Made up {number}", templates=[template_bytes(vector)])
        for number, vector in enumerate(vectors)
    ]


class Site(Rig):
    """The default encoder, one owner of AT&T and 999 made-up people; the rule is given."""

    def __init__(self, folder: Path, network: Network, camera: str, policy: Policy) -> None:
        self._policy = policy
        super().__init__(folder, network, camera)

    def _enrol(self) -> None:
        data = default_bundle().read_bytes()
        bundle = read_bundle(data, None)
        encoder, detector = Encoder(bundle.onnx), Detector(detector_model())
        people = [enrolled(OWNER, att_faces(), encoder, detector), *strangers_enrolled(PEOPLE - 1)]
        self.office.enrol(people, encoder.encoder_id, data, self._policy)

    def _knows_people(self) -> bool:
        return any(health.people == PEOPLE for _, health in list(self.probe.healths))

    def _write_settings(self) -> None:
        lines = ['pairing = "door"', 'state = "state"', "[camera]", f"source = {json.dumps(self._camera)}"]
        lines += [f"fps = {FPS}", ""]
        (self.folder / "door.toml").write_text("\n".join(lines), encoding="utf-8")
