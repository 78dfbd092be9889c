"""The face detector's file as the door runs it is made once, and the same everywhere."""

from __future__ import annotations

from pathlib import Path

from device.detector_file import detector_model
from firmware_config.assets import fetch


def test_it_is_the_same_each_time_it_is_made_and_then_kept(tmp_path: Path) -> None:
    official = fetch("yunet")
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / official.name).write_bytes(official.read_bytes())
        made.append(detector_model(tmp_path / name))
    assert made[0].read_bytes() == made[1].read_bytes()
    at = made[0].stat().st_mtime_ns
    assert detector_model(tmp_path / "a") == made[0]
    assert made[0].stat().st_mtime_ns == at
