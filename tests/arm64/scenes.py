"""Frames and a roster to replay on two processors: python -m tests.arm64.scenes FOLDER.

Two owners and two strangers of AT&T walk up; the owners are enrolled with other photos of theirs by the encoder that
comes with the package, on this machine, as the page would.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import cv2

from device.demo_camera import DemoScene, parse_demo
from device.detect import Detector
from device.detector_file import detector_model
from device.embed import Encoder
from device.outfit import default_bundle
from firmware_config.att import att_faces
from firmware_config.bundle import read_bundle
from firmware_config.messages import encode
from firmware_config.roster import Policy, Roster
from tests.pixels import enrolled

FPS: Final = 8.0
DEMO: Final = "demo:?owners=31,32&strangers=5,6&photos=2&walkups=4&gap=1.3&seed=3"


def main(folder: Path) -> None:
    plan, faces = parse_demo(DEMO), att_faces()
    scene = DemoScene(plan, faces)
    frames = folder / "frames"
    frames.mkdir(parents=True)
    for number in range(int(4 * plan.period_s * FPS)):
        image, label = scene.at(number / FPS)
        # Without loss: two decoders of JPEG may differ by a grey level, and the processors are to be compared.
        assert cv2.imwrite(str(frames / f"{number:04}-{label or 'nobody'}.png"), image)
    bundle = read_bundle(default_bundle().read_bytes(), None)
    encoder, detector = Encoder(bundle.onnx), Detector(detector_model())
    tau = next(point.tau for point in bundle.calibration.operating_points if point.fmr <= 1e-4)
    roster = Roster(
        site="home",
        door="front",
        generation=1,
        encoder_id=encoder.encoder_id,
        policy=Policy(tau=tau, tau_strict=tau / 2),
        people=[enrolled(person, faces, encoder, detector) for person in (31, 32)],
    )
    (folder / "roster.json").write_bytes(encode(roster))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
