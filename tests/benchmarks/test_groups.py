"""Two encoders beside each other on the strangers of each group, and which pictures a door would have compared."""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.groups import line, passing, rows_of, said
from benchmarks.peers import ours
from device.align import align
from device.detect import Detector
from device.outfit import default_bundle
from firmware_config.att import att_faces
from firmware_config.bundle import read_bundle
from trainer.data import BORDER
from trainer.measuring.groups import AtTau, GroupRate


def test_the_gate_keeps_a_face_and_drops_a_wall_and_a_dark_room(detector: Detector) -> None:
    bundle = read_bundle(default_bundle().read_bytes(), None)
    photo = cv2.cvtColor(cv2.resize(att_faces()[1][0], None, fx=3, fy=3), cv2.COLOR_GRAY2BGR)
    face = align(photo, detector.detect(photo)[0].landmarks, border=BORDER)
    pictures = np.stack([np.full_like(face, 90), face, face // 12, face])
    crops = pictures[:, BORDER:-BORDER, BORDER:-BORDER]
    assert passing(pictures, crops, bundle.quality or b"").tolist() == [1, 3]
    rows = rows_of(ours("ours", bundle.onnx, "ours"), crops)
    assert np.array_equal(rows[1], rows[3])
    assert rows.shape == (4, 128)


def test_a_row_tells_the_best_and_the_worst_group() -> None:
    groups = [
        GroupRate("many alike", 10, 45, 9, 0.2, (0.1, 0.3)),
        GroupRate("few alike", 10, 45, 1, 1 / 45, (0.0, 0.1)),
    ]
    row = said("ours", 20, [AtTau(1.2, 190, 0.1, groups), AtTau(1.1, 190, 0.01, groups)])
    text = line(row)
    assert "20 images: 10.00% for 1.0%, by group 2.22% (few alike) to 20.00% (many alike); 1.00% for 0.1%" in text
