"""A door rests while nobody is there, and wakes with the first picture of somebody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from device.attention import AWAKE_S, Attention, MotionGate
from device.camera import Frame
from device.demo_camera import DemoScene, parse_demo
from device.detect import Detector
from device.model import Active
from device.picture import Picture, Pixels
from device.sight import Seen
from firmware_config.face import ImageArray
from tests.brokers import Mosquitto
from tests.doors import Door, Page
from tests.pictures import Sent, as_jpeg
from tests.staging import look
from tests.visits import open_for_ana_and_ben, visit
from tests.waiting import until

FPS = 15
NOISE = np.random.default_rng(5).normal(0, 3, (8, 480, 640, 3))


@pytest.fixture(params=[Pixels, as_jpeg], ids=["pixels", "jpeg"])
def sent(request: pytest.FixtureRequest) -> Sent:
    """What a camera makes of a picture."""
    made: Sent = request.param
    return made


def wall(number: int = 0, level: float = 120.0) -> ImageArray:
    """An empty scene with a sensor's noise, uint8[480, 640, 3]."""
    light = np.linspace(0.8, 1.2, 640)[None, :, None] * level
    picture: ImageArray = np.clip(light + NOISE[number % 8], 0, 255).astype(np.uint8)
    return picture


def with_patch(picture: ImageArray, side: int, change: int) -> ImageArray:
    changed = picture.astype(np.int16)
    changed[200 : 200 + side, 300 : 300 + side] += change
    found: ImageArray = np.clip(changed, 0, 255).astype(np.uint8)
    return found


def emptied(empty: Picture) -> MotionGate:
    gate = MotionGate()
    gate.moved(empty)
    gate.found_empty()
    return gate


def test_noise_is_no_motion(sent: Sent) -> None:
    gate = emptied(sent(wall(0)))
    assert not any(gate.moved(sent(wall(number))) for number in range(1, 9))


def test_a_small_face_against_the_wall_is_motion(sent: Sent) -> None:
    gate = emptied(sent(wall(0)))
    assert gate.moved(sent(with_patch(wall(1), side=56, change=10)))
    assert gate.moved(sent(with_patch(wall(2), side=56, change=-10)))


def test_a_lamp_that_dims_everything_is_no_motion(sent: Sent) -> None:
    gate = emptied(sent(wall(0, 120)))
    assert not gate.moved(sent(wall(1, 114)))


def test_a_change_too_slow_for_two_pictures_adds_up(sent: Sent) -> None:
    gate = emptied(sent(wall(0)))
    steps = [gate.moved(sent(with_patch(wall(number), 80, number))) for number in range(1, 15)]
    assert not steps[0]
    assert steps[-1]


@pytest.mark.parametrize("shape", [(480, 640, 3), (720, 1280, 3), (119, 640, 3)])
def test_a_picture_of_another_size_is_looked_at(shape: tuple[int, int, int], sent: Sent) -> None:
    gate = emptied(sent(wall(0)[:240, :320]))
    assert gate.moved(sent(np.zeros(shape, np.uint8)))


def test_an_empty_scene_is_looked_at_as_seldom_as_the_settings_say(sent: Sent) -> None:
    attention = Attention(idle_fps=2.0)
    looked = []
    for number in range(20 * FPS):
        at = number / FPS
        if attention.wants(sent(wall(number)), at):
            attention.saw(face=False, at=at)
            looked.append(at)
    assert 38 <= len(looked) <= 42
    assert attention.resting


def test_after_a_face_every_picture_counts_for_a_while(sent: Sent) -> None:
    attention = Attention(idle_fps=1.0)
    attention.wants(sent(wall(0)), 0.0)
    attention.saw(face=True, at=0.0)
    wanted = [attention.wants(sent(wall(number)), number / FPS) for number in range(1, int(AWAKE_S * FPS))]
    assert all(wanted)
    assert not attention.resting


def test_every_walk_up_is_seen_from_the_first_picture_with_a_face(
    att: dict[int, list[ImageArray]], detector: Detector, sent: Sent
) -> None:
    """Of 4 walk-ups after 4 s of nobody, each picture in which the detector finds a face is one that was wanted."""
    plan = parse_demo("demo:?owners=31,32&strangers=5,6&photos=1&seed=3&gap=4&walkups=4")
    scene, attention = DemoScene(plan, att), Attention(idle_fps=0.5)
    missed, looks, frames = [], 0, int(4 * plan.period_s * FPS)
    for number in range(frames):
        at = number / FPS
        image, walkup = scene.at(at)
        picture = sent(image)
        wanted = attention.wants(picture, at)
        face = bool(detector.detect(picture.image)) if wanted or walkup else False
        if wanted:
            looks += 1
            attention.saw(face, at)
        elif face:
            missed.append(number)
    assert missed == []
    assert looks < 0.95 * frames, "it rested in between"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[tuple[Door, Page]]:
    with Mosquitto(tmp_path / "broker", persistence=True) as broker:
        made = Door(tmp_path, broker.settings)
        page = Page(broker.settings, made.door_key)
        try:
            yield made, page
        finally:
            made.stop()
            page.connection.stop()


@pytest.mark.broker
def test_a_door_at_rest_says_so_and_opens_for_an_owner_at_full_rate(door: tuple[Door, Page]) -> None:
    opened, page = door
    looked: list[int] = []

    def counted(frame: Frame, active: Active) -> Seen:
        looked.append(frame.sequence)
        return look(frame, active)

    opened.look = counted
    opened.camera.image = wall(0)
    open_for_ana_and_ben(opened, page)
    # The camera's rate, not that of the looks; a loop that a disk held up for two seconds says 0 once.
    assert until(lambda: page.health is not None and page.health.resting and page.health.fps > 5)
    before, taken = len(looked), opened.camera.taken
    assert until(lambda: opened.camera.taken >= taken + 50)
    assert len(looked) - before < 25, "fewer than half of the frames"
    opened.camera.image = with_patch(wall(1), 120, 60)
    visit(opened, "ana")
    assert until(lambda: page.happened() == [("granted", "granted")])
