"""An fp16 variant says what the encoder says, and goes into a bundle only where int8's thresholds hold for it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

from device.embed import Encoder
from firmware_config.bundle import Golden
from firmware_config.calibration import Calibration
from firmware_config.errors import BadState
from tests.makers import calibration
from tests.pixels import pixel_encoder
from trainer import export
from trainer.data import Faces
from trainer.encoders import MobileFaceNet
from trainer.measuring import calibrate
from trainer.packing import gate
from trainer.packing.half import check_half, half_of


@pytest.fixture(scope="module")
def plain() -> bytes:
    torch.manual_seed(1)
    network = MobileFaceNet(0.25, 8)
    with torch.no_grad():
        for _ in range(3):  # statistics as after some training
            network.train()(torch.randn(8, 3, 112, 112))
    return export.to_onnx(network.eval(), mirrored=True)


def test_it_says_what_the_encoder_says_in_half_the_bytes(plain: bytes) -> None:
    half, crops = half_of(plain), export.golden_inputs()
    rows = Encoder(half).embed(crops)
    assert rows == pytest.approx(Encoder(plain).embed(crops), abs=2e-3)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(len(rows)), abs=1e-6)
    assert len(half) < 0.6 * len(plain)
    weights = [one for one in onnx.load_from_string(half).graph.initializer if "weight" in one.name]
    assert weights
    assert {one.data_type for one in weights} == {TensorProto.FLOAT16}


def moved(tau: float = 0.0, genuine_bins: int = 0) -> Calibration:
    """The same with every threshold elsewhere, or with members that many bins further from their templates."""
    plausible = calibration()
    points = [point.model_copy(update={"tau": point.tau + tau}) for point in plausible.operating_points]
    counts = plausible.genuine.counts
    later = plausible.genuine.model_copy(update={"counts": [0] * genuine_bins + counts[: len(counts) - genuine_bins]})
    return plausible.model_copy(update={"operating_points": points, "genuine": later})


def test_strangers_may_not_come_nearer_than_int8s_interval_says() -> None:
    own = calibration()
    nearest = min(point.tau - point.tau_low for point in own.operating_points)
    furthest = max(point.tau - point.tau_low for point in own.operating_points)
    gate.check_half(own, own)
    gate.check_half(own, moved(tau=0.3))
    gate.check_half(own, moved(tau=-0.5 * nearest))
    for tau in (-2 * furthest, float("nan")):
        with pytest.raises(BadState, match="let more strangers in"):
            gate.check_half(own, moved(tau=tau))


def test_members_may_not_be_turned_away_for_it() -> None:
    with pytest.raises(BadState, match="more of the members away"):
        gate.check_half(calibration(), moved(genuine_bins=10))


def test_it_is_held_against_the_templates_of_int8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "BOOTSTRAPS", 5)
    monkeypatch.setattr(calibrate, "FEWEST_IMPOSTORS", 100)
    random = np.random.default_rng(3)
    identities = np.repeat(np.arange(12), 3)
    pixels = np.kron(np.repeat(random.integers(60, 190, (12, 16, 16, 3)), 3, axis=0), np.ones((1, 8, 8, 1)))
    pixels = np.clip(pixels + random.normal(0, 20, pixels.shape), 0, 255).astype(np.uint8)
    people = Faces(pixels, identities, tuple(f"p{number}" for number in range(len(pixels))))
    encoder, inputs, said = Encoder(pixel_encoder()), export.golden_inputs(), list[str]()
    own = calibrate.calibrate(encoder.embed(people.centre()), identities, "made up")
    golden = Golden(inputs, encoder.embed(inputs))
    off = check_half(Encoder(half_of(pixel_encoder())), encoder, golden, people, own, said.append)
    assert 0 < off < 2e-3
    assert "TAR 1.0000, int8 with itself 1.0000, 12 people" in said[0]
