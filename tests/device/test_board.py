"""Whose board the settings are for, and what of it is not here: said, and the door runs all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from device import board
from device.board import bind_cores, foreign_board, machine_model
from device.camera import Camera, open_camera
from device.check_board import look_at_board, look_at_camera, look_at_runtime
from device.detect import Detector
from firmware_config.settings import CameraSettings, DoorSettings, RuntimeSettings, board_names, load_door
from tests.staging import StagedCamera


def settings_of(name: str, folder: Path, *more: str) -> DoorSettings:
    path = folder / "door.toml"
    path.write_text("\n".join([f'board = "{name}"', *more]) + "\n")
    return load_door(path)


@pytest.mark.parametrize("name", board_names())
def test_every_boards_file_reads(name: str, tmp_path: Path) -> None:
    settings = settings_of(name, tmp_path)
    assert settings.board == name
    assert settings.runtime.threads >= 1


def test_a_pis_settings_on_another_board_are_told(tmp_path: Path) -> None:
    settings = settings_of("raspberry-pi-5", tmp_path)
    assert foreign_board(settings, "Raspberry Pi 5 Model B Rev 1.0") == ""
    assert "this is NVIDIA Jetson" in foreign_board(settings, "NVIDIA Jetson Orin Nano Developer Kit")
    assert "another machine" in foreign_board(settings, "")
    found = look_at_board(settings)
    assert machine_model() or not found.ok
    assert found.ok or "workstation" in found.advice


def test_the_model_is_what_the_device_tree_says(tmp_path: Path) -> None:
    said = tmp_path / "model"
    said.write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    assert machine_model(said) == "Raspberry Pi 5 Model B Rev 1.0"
    assert machine_model(tmp_path / "missing") == ""


def test_the_door_keeps_to_the_cores_of_its_settings() -> None:
    before = os.sched_getaffinity(0)
    try:
        core = max(before)
        assert bind_cores(RuntimeSettings(cpus=[core])) == ""
        assert os.sched_getaffinity(0) == {core}
    finally:
        os.sched_setaffinity(0, before)


def test_a_core_that_is_not_there_is_told_and_all_are_used(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    assert "core 900" in bind_cores(RuntimeSettings(cpus=[0, 900]))
    assert os.sched_getaffinity(0) == before
    found = look_at_board(settings_of("workstation", tmp_path, "[runtime]", "cpus = [0, 900]"))
    assert (found.ok, "core 900" in found.sentence) == (False, True)


def test_a_sandbox_that_keeps_the_cores_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(board.os, "sched_setaffinity", refuse)
    assert "CPUAffinity=" in bind_cores(RuntimeSettings(cpus=[0]))


def test_check_says_on_what_the_networks_run_and_how_long_they_take(tmp_path: Path, detector: Detector) -> None:
    del detector  # asked for so that a missing one skips
    found = look_at_runtime(settings_of("workstation", tmp_path, 'state = "state"'))
    assert found.ok
    assert "1 thread." in found.sentence
    assert "The encoder on cpu: cpu " in found.sentence
    assert "The detector on cpu: cpu " in found.sentence


def test_check_says_which_provider_is_not_there(tmp_path: Path, detector: Detector) -> None:
    del detector
    wanted = ["[runtime]", 'providers = ["acl", "cpu"]']
    found = look_at_runtime(settings_of("workstation", tmp_path, 'state = "state"', *wanted))
    assert not found.ok
    assert "has no acl; the CPU stands in" in found.sentence


def test_a_camera_of_another_size_is_told_and_its_password_is_not(tmp_path: Path) -> None:
    settings = DoorSettings(camera=CameraSettings(width=640, height=480))
    camera: Camera = StagedCamera()
    found = look_at_camera(settings, camera, "rtsp://***@cam/1", 1.0)
    assert (found.ok, found.sentence) == (True, "rtsp://***@cam/1 gives 2x2, not the 640x480 asked for.")


def test_a_camera_without_a_picture_is_told(tmp_path: Path) -> None:
    with open_camera(CameraSettings(source=str(tmp_path))) as camera:
        found = look_at_camera(DoorSettings(), camera, str(tmp_path), 0.5)
    assert not found.ok
