"""The encoder that comes with Latchkey keeps the contract that every part relies on."""

from pathlib import Path

import numpy as np
import pytest

from device.embed import Encoder
from firmware_config.bundle import Bundle, BundleRefused, read_bundle
from firmware_config.face import CROP_SIZE, EMBEDDING_SIZE
from firmware_config.keys import SigningKey, VerifyKey

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "device/models/default.latchkey"
RELEASE_KEY = ROOT / "firmware_config/release.pub"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(BUNDLE.read_bytes(), [VerifyKey.load(RELEASE_KEY)])


def test_default_bundle_is_signed_with_the_release_key_and_no_other(bundle: Bundle) -> None:
    assert bundle.manifest.encoder_id
    with pytest.raises(BundleRefused, match="not signed by a key that is trusted"):
        read_bundle(BUNDLE.read_bytes(), [SigningKey.generate().public])


def test_encoder_fits_a_small_board(bundle: Bundle) -> None:
    assert len(bundle.onnx) <= 1_500_000


def test_encoder_gives_unit_vectors_and_repeats_its_golden_outputs(bundle: Bundle) -> None:
    encoder = Encoder(bundle.onnx)
    outputs = encoder.embed(bundle.golden.inputs)
    assert outputs.shape == (len(bundle.golden.inputs), EMBEDDING_SIZE)
    assert np.linalg.norm(outputs, axis=1) == pytest.approx(1.0, abs=1e-4)
    assert np.abs(outputs - bundle.golden.outputs).max() <= 0.02


def test_one_crop_gives_the_same_embedding_alone_and_in_a_batch(bundle: Bundle) -> None:
    encoder = Encoder(bundle.onnx)
    crops = np.random.default_rng(1).integers(0, 256, (3, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    together = encoder.embed(crops)
    alone = np.concatenate([encoder.embed(crop[None]) for crop in crops])
    assert np.abs(together - alone).max() <= 0.02


def test_thresholds_fall_with_the_false_match_rate_and_come_with_intervals(bundle: Bundle) -> None:
    points = sorted(bundle.calibration.operating_points, key=lambda point: -point.fmr)
    assert [point.fmr for point in points] == pytest.approx([1e-2, 1e-3, 1e-4, 1e-5, 1e-6])
    taus = [point.tau for point in points]
    assert taus == sorted(taus, reverse=True)
    assert all(point.tau_low <= point.tau <= point.tau_high for point in points)
    assert bundle.calibration.identities >= 100


def test_model_card_names_the_data_and_its_terms(bundle: Bundle) -> None:
    for name in ("CelebA", "FairFace", "non-commercial", "CC BY 4.0", "facesdk"):
        assert name in bundle.model_card
