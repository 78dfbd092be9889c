"""A network runs where it is quickest on this board and computes the same; the CPU stands in for everything else."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from device.detector_file import detector_model
from device.outfit import DETECTOR, DETECTOR_TOLERANCE, detector_example, equip
from device.providers import NAMES, Chooser, in_words, timed
from device.runtime import CPU, available, open_session
from firmware_config.errors import BadInput
from firmware_config.settings import DoorSettings, RuntimeSettings
from tests.pixels import pixel_encoder

XNNPACK, CUDA = NAMES["xnnpack"], NAMES["cuda"]
EXAMPLE = (np.random.default_rng(3).integers(0, 256, (1, 112, 112, 3), dtype=np.uint8),)


class Bench:
    """onnxruntime with providers that this build has not: each takes so long, and computes so far off."""

    def __init__(self, **providers: tuple[float, float] | str) -> None:
        self.providers = {NAMES[name]: kind for name, kind in providers.items()}
        self.opened: list[str] = []
        self.options: list[dict[str, str]] = []

    def __call__(
        self, model: bytes, threads: int, what: str, provider: str, options_of_provider: Mapping[str, str]
    ) -> Any:
        self.opened.append(provider)
        self.options.append(dict(options_of_provider))
        kind = self.providers[provider]
        if isinstance(kind, str):
            raise BadInput(kind)
        return Slow(open_session(model, threads, what), *kind)

    def chooser(self, folder: Path, *wanted: str) -> Chooser:
        return Chooser(wanted or ("auto",), 1, folder, self, list(self.providers))


class Slow:
    def __init__(self, network: Any, seconds: float, off: float) -> None:
        self._network, self._seconds, self._off = network, seconds, off
        self.get_inputs = network.get_inputs

    def run(self, outputs: Any, feeds: Any) -> list[Any]:
        found: list[Any] = self._network.run(outputs, feeds)
        time.sleep(self._seconds)
        return [output + self._off for output in found]


def pick(chooser: Chooser) -> str:
    return chooser.pick("The encoder", pixel_encoder(), lambda: EXAMPLE, 0.02)


@pytest.mark.timed
def test_the_detector_is_compared_anchor_by_anchor_though_a_grey_picture_has_no_face(tmp_path: Path) -> None:
    bench = Bench(cpu=(0.02, 0.0), xnnpack=(0.0, 0.2), acl=(0.002, 0.0))
    chooser = bench.chooser(tmp_path)
    model, runtime = detector_model().read_bytes(), RuntimeSettings()
    assert chooser.pick(DETECTOR, model, lambda: detector_example(runtime), DETECTOR_TOLERANCE) == NAMES["acl"]
    assert "xnnpack cannot (its numbers are off by 0.200" in in_words(DETECTOR, chooser.choices[DETECTOR])


def test_the_quickest_that_computes_the_same_is_taken_and_kept(tmp_path: Path) -> None:
    bench = Bench(cpu=(0.02, 0.0), xnnpack=(0.002, 0.001), acl=(0.0, 0.3), cuda="libcudart.so is not there\nand more")
    chooser = bench.chooser(tmp_path)
    assert pick(chooser) == XNNPACK
    said = in_words("The encoder", chooser.choices["The encoder"])
    assert said.startswith("The encoder on xnnpack: cpu ")
    assert "acl cannot (its numbers are off by 0.300, at most 0.02 is rounding)" in said
    assert "cuda cannot (libcudart.so is not there)" in said
    again = Bench(cpu="not to be opened", xnnpack="", acl="", cuda="")
    assert pick(again.chooser(tmp_path)) == XNNPACK
    assert again.opened == [], "a choice that was kept is not measured again"


def test_what_is_hardly_quicker_is_not_worth_it(tmp_path: Path) -> None:
    assert pick(Bench(cpu=(0.02, 0.0), xnnpack=(0.0199, 0.0)).chooser(tmp_path)) == CPU


def test_other_settings_are_measured_anew(tmp_path: Path) -> None:
    pick(Bench(cpu=(0.01, 0.0), xnnpack=(0.0, 0.0)).chooser(tmp_path))
    bench = Bench(cpu=(0.0, 0.0), xnnpack=(0.01, 0.0), acl=(0.01, 0.0))
    assert pick(bench.chooser(tmp_path)) == CPU
    assert XNNPACK in bench.opened


def test_a_network_that_comes_while_the_door_runs_has_the_cpu_until_the_next_start(tmp_path: Path) -> None:
    bench = Bench(cpu=(0.01, 0.0), xnnpack=(0.0, 0.0))
    running = bench.chooser(tmp_path)
    running.stop_measuring()
    assert pick(running) == CPU
    assert bench.opened == []
    assert pick(bench.chooser(tmp_path)) == XNNPACK


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"x": 1}', b"[" * 60_000, b"\xff", b" " * 70_000])
def test_a_damaged_note_is_measured_anew(tmp_path: Path, damage: bytes) -> None:
    bench = Bench(cpu=(0.01, 0.0), xnnpack=(0.0, 0.0))
    pick(bench.chooser(tmp_path))
    (tmp_path / "runtime.json").write_bytes(damage)
    assert pick(bench.chooser(tmp_path)) == XNNPACK
    assert len(json.loads((tmp_path / "runtime.json").read_bytes())) >= 1


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(cpu=(0.01, 0.0), xnnpack=(0.0, 0.0))
    occupied = tmp_path / "no folder"
    occupied.touch()
    assert pick(bench.chooser(occupied)) == XNNPACK
    assert "measures again" in caplog.text


def test_only_the_cpu_is_nothing_to_choose_from(tmp_path: Path) -> None:
    bench = Bench(cpu=(0.0, 0.0))
    assert pick(bench.chooser(tmp_path)) == CPU
    assert bench.opened == []
    assert not (tmp_path / "runtime.json").exists()


def test_a_provider_that_is_not_in_this_build_is_told_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = RuntimeSettings(providers=["tensorrt", "cpu"])
    with caplog.at_level(logging.INFO):
        equip(DoorSettings(state=tmp_path, runtime=runtime)).ready()
    assert "no tensorrt; the CPU stands in" in caplog.text


def test_onnxruntime_that_quietly_takes_the_cpu_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CUDA not in available(), "this test is for a build without it"
    with pytest.warns(UserWarning, match="not in available"), pytest.raises(BadInput, match="does not start"):
        open_session(pixel_encoder(), 1, "The encoder", CUDA)


def test_the_time_of_the_cpu_is_the_networks() -> None:
    (trial,) = timed("The encoder", pixel_encoder(), 1, EXAMPLE).trials
    assert trial.ms is not None
    assert 0 < trial.ms < 1000
    assert onnxruntime.get_available_providers()[-1] == CPU
