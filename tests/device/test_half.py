"""A bundle's fp16 variant is taken where a GPU runs it quicker, and never in the place of an encoder that works."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device import model
from device.embed import Encoder
from device.model import GOLDEN_TOLERANCE
from device.outfit import make_encoder, make_half
from device.providers import NAMES, Chooser, in_words
from firmware_config.bundle import HALF, Bundle, pack_bundle, read_bundle
from firmware_config.errors import BadInput
from firmware_config.face import FloatArray, ImageArray
from firmware_config.settings import RuntimeSettings
from tests import makers
from tests.device.test_providers import EXAMPLE, Bench
from tests.pixels import pixel_encoder

CUDA, TENSORRT = NAMES["cuda"], NAMES["tensorrt"]
INT8, FP16 = pixel_encoder(), pixel_encoder() + b"\x72\x00"  # protobuf: the same model, and an empty field more


def pick(chooser: Chooser) -> str:
    chooser.pick("int8", INT8, lambda: EXAMPLE, 0.02)
    return chooser.pick_half("fp16", FP16, lambda: EXAMPLE, 0.02, than="int8")


def test_a_gpu_that_beats_the_int8_file_is_taken_and_kept(tmp_path: Path) -> None:
    chooser = Halves(cpu=(0.05, 0.0), cuda=(0.03, 0.0), tensorrt=(0.01, 0.0)).chooser(tmp_path)
    assert pick(chooser) == TENSORRT
    assert chooser.choices["fp16"].ms is not None
    again = Bench(cpu="not to be opened", cuda="", tensorrt="")
    assert pick(again.chooser(tmp_path)) == TENSORRT
    assert again.opened == [], "what was kept is not measured again"


class Halves(Bench):
    """fp16 takes a tenth of the time of int8 on the same GPU."""

    def __call__(self, model: bytes, threads: int, what: str, provider: str, options_of_provider: object) -> object:
        network = super().__call__(model, threads, what, provider, {})
        if model == FP16 and provider != NAMES["cpu"]:
            network._seconds /= 10
        return network


def test_it_is_tried_on_gpus_alone_and_against_what_was_chosen_for_int8(tmp_path: Path) -> None:
    chooser = Halves(cpu=(0.02, 0.0), xnnpack=(0.004, 0.0), cuda=(0.02, 0.0)).chooser(tmp_path)
    assert pick(chooser) == CUDA
    assert [trial.provider for trial in chooser.choices["fp16"].trials] == [CUDA]
    slow = Halves(cpu=(0.02, 0.0), xnnpack=(0.0, 0.0), cuda=(0.05, 0.0)).chooser(tmp_path / "slow")
    assert pick(slow) == ""
    assert in_words("The encoder in fp16", slow.choices["fp16"]).startswith("The encoder in fp16 is not used: cuda ")


def test_a_gpu_whose_numbers_are_off_or_that_does_not_start_is_not_taken(tmp_path: Path) -> None:
    assert pick(Bench(cpu=(0.02, 0.0), cuda=(0.0, 0.3), tensorrt="no libnvinfer").chooser(tmp_path)) == ""


def test_without_a_gpu_or_while_the_door_runs_nothing_is_tried(tmp_path: Path) -> None:
    bench = Bench(cpu=(0.02, 0.0), xnnpack=(0.01, 0.0))
    assert pick(bench.chooser(tmp_path)) == ""
    running = Halves(cpu=(0.02, 0.0), cuda=(0.01, 0.0)).chooser(tmp_path)
    running.stop_measuring()
    assert pick(running) == ""


def test_tensorrt_is_told_of_its_precisions_and_where_its_engines_stay(tmp_path: Path) -> None:
    chooser = Bench(cpu=(0.0, 0.0), tensorrt=(0.0, 0.0)).chooser(tmp_path)
    of_half = chooser.options(TENSORRT, FP16)
    assert of_half["trt_fp16_enable"] == "1"
    assert of_half["trt_engine_cache_path"] == str(tmp_path / "engines")
    assert "trt_int8_enable" not in of_half, "a network in floats has no scales for int8"
    assert chooser.options(TENSORRT, b"... QuantizeLinear ...")["trt_int8_enable"] == "1"
    assert chooser.options(CUDA, FP16) == {}


def bundle_with(half: bytes | None, off: float = 0.0) -> Bundle:
    parts = makers.bundle_parts(onnx=INT8)
    bundle = read_bundle(pack_bundle(parts | ({HALF: half} if half is not None else {}), None), None)
    golden = replace(bundle.golden, outputs=Encoder(INT8).embed(bundle.golden.inputs))
    return replace(bundle, golden=golden, manifest=bundle.manifest.model_copy(update={"half_off": off}))


class Off:
    """An encoder whose numbers are that far off."""

    encoder_id = "of the bundle"

    def __init__(self, off: float) -> None:
        self._off = off

    def embed(self, crops: ImageArray) -> FloatArray:
        return (Encoder(INT8).embed(crops) + np.float32(self._off)).astype(np.float32)


@pytest.mark.parametrize(("off", "said", "taken"), [(0.0, 0.0, True), (0.05, 0.04, True), (0.05, 0.0, False)])
def test_the_self_test_knows_how_far_the_variant_is_off(off: float, said: float, taken: bool) -> None:
    assert abs(off - said) != GOLDEN_TOLERANCE
    half = Off(off)
    found = model.tested(bundle_with(FP16, said), Encoder, lambda _: half)
    assert (found.encoder is half) is taken
    assert found.bundle.half is None  # the session has it; the bytes would only take memory


def test_a_variant_that_fails_is_told_and_the_int8_file_runs(caplog: pytest.LogCaptureFixture) -> None:
    def fails(_: Bundle) -> Off:
        raise BadInput("no GPU after all")

    found = model.tested(bundle_with(FP16), Encoder, fails)
    assert isinstance(found.encoder, Encoder)
    assert "no GPU after all" in caplog.text


def test_a_bundle_without_one_asks_for_none() -> None:
    def never(_: Bundle) -> Off:
        raise AssertionError

    assert isinstance(model.tested(bundle_with(None), Encoder, never).encoder, Encoder)


def test_rows_of_the_variant_are_compared_with_templates_of_the_bundles_encoder(tmp_path: Path) -> None:
    runtime, bundle = RuntimeSettings(), bundle_with(FP16)
    chooser = Halves(cpu=(0.02, 0.0), cuda=(0.01, 0.0)).chooser(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        # This build has no CUDA: what is opened in the end is the file, on the CPU.
        patch.setattr("device.embed.open_session", lambda model, threads, what, *_: open_on_cpu(model, threads, what))
        make_encoder(bundle.onnx, runtime, chooser)
        half = make_half(bundle, runtime, chooser)
    assert half is not None
    assert half.encoder_id == bundle.manifest.encoder_id
    assert make_half(bundle, runtime, None) is None
    assert make_half(bundle_with(None), runtime, chooser) is None


def open_on_cpu(model: bytes, threads: int, what: str) -> object:
    from device.runtime import open_session

    return open_session(model, threads, what)
