"""A camera's look on a face: the amplitudes of the lowest frequencies are the camera's, all else is the face's."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from firmware_config.errors import BadInput
from firmware_config.face import FloatArray
from tests.trainer.images.test_looks import face
from trainer.images.style import amplitudes_of, exchange, lowest, read_style
from trainer.parts import Style

REACH = 3


def dim_frames(folder: Path, count: int = 4) -> None:
    """What a camera in a dim corridor with warm light sees: dark, reddish, low in contrast."""
    for number in range(count):
        random = np.random.default_rng(number)
        room = cv2.resize(random.integers(0, 60, (6, 8, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
        warm = np.clip(room * [0.4, 0.7, 1.0] + [5, 12, 25], 0, 255).astype(np.uint8)  # BGR, as cameras give it
        cv2.imwrite(str(folder / f"frame-{number}.png"), warm)


def spectra(*images: FloatArray) -> list[np.ndarray]:
    return [np.fft.rfft2(image, axes=(0, 1)) for image in images]


def test_every_phase_stays_and_only_the_lowest_amplitudes_change() -> None:
    crop, other = face(1).astype(np.float32), face(2).astype(np.float32)
    changed = exchange(crop, amplitudes_of(other, REACH))
    before, camera, after = spectra(crop, other, changed)
    strong = np.abs(before) > 50.0  # the phase of nothing is rounding
    turned = np.angle(after[strong] / before[strong])
    assert float(np.abs(turned).max()) < 1e-2
    low = np.zeros(before.shape[:2], dtype=bool)
    rows, columns = lowest(128, REACH)
    low[rows, columns] = True
    assert np.allclose(np.abs(after)[~low], np.abs(before)[~low], atol=2.0)
    assert np.allclose(np.abs(after)[low], np.abs(camera)[low], rtol=1e-3, atol=2.0)
    assert not np.allclose(np.abs(before)[low], np.abs(camera)[low], rtol=0.05)


def test_its_own_amplitudes_change_nothing() -> None:
    crop = face(1).astype(np.float32)
    assert np.allclose(exchange(crop, amplitudes_of(crop, REACH)), crop, atol=1e-2)


def test_faces_move_towards_the_camera_s_light_and_colour_and_keep_their_edges(tmp_path: Path) -> None:
    dim_frames(tmp_path)
    style = read_style(Style(frames=str(tmp_path), share=1.0), 128, 3)
    assert len(style.amplitudes) == 4
    frames = np.stack([cv2.imread(str(path))[..., ::-1] for path in sorted(tmp_path.iterdir())]).astype(float)
    for seed in range(5):
        crop = face(seed)
        seen = style.on(crop, np.random.default_rng(seed))
        assert seen.dtype == np.uint8
        assert abs(float(seen.mean()) - float(frames.mean())) < 0.3 * abs(float(crop.mean()) - float(frames.mean()))
        red_before, red_after = (image[..., 0].mean() / image[..., 2].mean() for image in (crop.astype(float), seen))
        assert red_after > red_before + 0.3, "warm light"
        edges = [cv2.Laplacian(image.mean(axis=2), cv2.CV_64F).ravel() for image in (crop, seen)]
        assert np.corrcoef(edges)[0, 1] > 0.6, "the face is still that face"


def test_a_share_of_the_faces_change_and_the_same_chance_gives_the_same(tmp_path: Path) -> None:
    dim_frames(tmp_path)
    style = read_style(Style(frames=str(tmp_path), share=0.3), 128, 3)
    crop = face()
    changed = [not np.array_equal(style.on(crop, np.random.default_rng(seed)), crop) for seed in range(200)]
    assert 34 <= sum(changed) <= 86  # 60 expected; four deviations
    first, again = (style.on(crop, np.random.default_rng(changed.index(True))) for _ in range(2))
    assert np.array_equal(first, again)


def test_grey_faces_take_the_light_alone(tmp_path: Path) -> None:
    dim_frames(tmp_path)
    style = read_style(Style(frames=str(tmp_path), share=1.0), 100, 1)
    seen = style.on(face(channels=1, side=100), np.random.default_rng(0))
    assert seen.shape == (100, 100, 1)
    assert float(seen.mean()) < 80


def test_what_shows_nothing_is_left_out_and_nothing_at_all_is_a_sentence(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "covered.png"), np.zeros((240, 320, 3), dtype=np.uint8))
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(BadInput, match="no frame of a camera"):
        read_style(Style(frames=str(tmp_path)), 128, 3)
    dim_frames(tmp_path, 1)
    style = read_style(Style(frames=str(tmp_path)), 128, 3)
    assert (len(style.amplitudes), style.skipped) == (1, 2)
