"""`latchkey-device profile`: the door's own way of a frame, as a table and as a chart that stands alone."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import cv2
import pytest

from device.cli import main
from device.demo_camera import DemoScene, parse_demo
from device.detect import Detector
from device.flame import Row, chart
from device.stages import Span
from firmware_config.face import ImageArray
from firmware_config.keys import SigningKey
from tests.pixels import bundle_of, pixel_encoder

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "pixels.latchkey"
    path.write_bytes(bundle_of(pixel_encoder(), SigningKey.generate()))
    return path


@pytest.fixture
def recording(tmp_path: Path, att: dict[int, list[ImageArray]], detector: Detector) -> Path:
    """Somebody stands at the door for sixteen frames."""
    del detector  # asked for so that a missing one skips
    plan = parse_demo("demo:?owners=31&strangers=&photos=1")
    scene, folder = DemoScene(plan, att), tmp_path / "frames"
    folder.mkdir()
    for number in range(16):
        image, _ = scene.at(plan.approach + 0.2 + number / 60)
        assert cv2.imwrite(str(folder / f"{number:02}.png"), image)
    return folder


@pytest.mark.timed
def test_a_recording_is_profiled_down_to_the_match(
    bundle: Path, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "chart.svg"
    arguments = ["--source", str(recording), "--seconds", "20", "--people", "50"]
    assert main(["profile", *arguments, "--model", str(bundle), "--chart", str(picture)]) == 0
    said = capsys.readouterr().out
    rows = {line[:22].strip(): line[22:].split() for line in said.splitlines()[2:-1]}
    # A loaded machine may skip pictures: the newest is looked at, and three are for warming up.
    assert 1 <= int(rows["match"][0]) <= 13
    assert float(rows["decode to match"][1]) > float(rows["of it in networks"][1]) > 0
    assert all(float(rows[stage][1]) > 0 for stage in ("detect", "align", "quality", "embed", "frame"))
    words = [title.text or "" for title in ElementTree.parse(picture).iter(f"{SVG}title")]
    assert sum(text.startswith("network") for text in words) >= 4, "detector and encoder in both frames"
    assert {"detect", "match", "decide"} <= {text.split()[0] for text in words}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--source", "/no/such/file"], "is no camera"),
        (["--people", "1000001"], "0 to 1,000,000"),
        (["--model", "/no/such/bundle"], "cannot be read"),
    ],
)
def test_what_cannot_be_profiled_is_said(
    arguments: list[str], complaint: str, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["profile", "--seconds", "1", "--chart", str(tmp_path / "chart.svg"), "--model", str(bundle), *arguments]
    assert main(given) == 1
    assert complaint in capsys.readouterr().err


def test_bars_are_to_scale_and_nothing_in_them_is_markup() -> None:
    stages = [Span("<b>", 1.0, 1.001), Span("embed", 1.001, 1.004)]
    short = Row(Span("Median", 1.0, 1.004), stages, [Span("network", 1.002, 1.003)])
    long = Row(Span("Frame", 5.0, 5.008), [Span("embed", 5.0, 5.008)], [])
    drawn = ElementTree.fromstring(chart("a & b", [short, long]))
    bars = list(drawn.iter(f"{SVG}g"))
    width = {group[0].text: float(group[1].attrib["width"]) for group in bars}
    assert width["embed 3.00 ms"] == pytest.approx(3 * width["<b> 1.00 ms"], abs=0.2)
    assert width["Frame"] == pytest.approx(2 * width["Median"], abs=0.2)
    assert "http" not in re.sub(r'xmlns="[^"]*"', "", chart("t", [short]))
