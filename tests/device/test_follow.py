"""A face is followed from picture to picture, by looking where it was; and nobody else goes unseen for long."""

from __future__ import annotations

import numpy as np
import pytest

from device.detect import Detector
from device.follow import CLOSE_LOOKS, FRESH_S, Follower
from device.halves import Halves
from device.view import View, whole
from firmware_config.face import ImageArray
from tests.device.test_detect import in_colour, pasted

Photos = dict[int, list[ImageArray]]
FPS = 15


class Watched(Detector):
    """Notes what it was shown."""

    shown: list[View]

    @classmethod
    def of(cls, detector: Detector) -> Watched:
        watched = cls.__new__(cls)
        watched.__dict__ = dict(detector.__dict__) | {"shown": []}
        return watched

    def look_at(self, halves: Halves, view: View) -> list:
        self.shown.append(view)
        return super().look_at(halves, view)


class Camera:
    """Hands pictures to a follower, FPS a second."""

    def __init__(self, detector: Detector) -> None:
        self.detector = Watched.of(detector)
        self.follower = Follower(self.detector)
        self.now = 100.0

    def sees(self, image: ImageArray, after: float = 1 / FPS) -> list:
        self.now += after
        self.detector.shown.clear()
        self.everything = whole(image, self.detector.long_side)
        return self.follower.find(Halves(image), self.now)

    @property
    def looks(self) -> str:
        """How the latest picture was looked at: `part`, `whole`, or one and then the other."""
        return " ".join("whole" if view == self.everything else "part" for view in self.detector.shown)


@pytest.fixture
def camera(detector: Detector) -> Camera:
    return Camera(detector)


def somebody(att: Photos, person: int, at: tuple[int, int], size: tuple[int, int] = (92, 112)) -> ImageArray:
    return pasted(in_colour(att[person][0], *size), at)


def test_two_of_three_pictures_are_searched_where_the_face_was(att: Photos, camera: Camera) -> None:
    looks = []
    for number in range(9):
        assert len(camera.sees(somebody(att, 3, (150, 200 + 3 * number)))) == 1
        looks.append(camera.looks)
    assert looks == (["whole"] + ["part"] * CLOSE_LOOKS) * 3


@pytest.mark.parametrize(("size", "pixels"), [((60, 73), 1.0), ((92, 112), 1.3), ((184, 224), 0.5), ((300, 365), 2.5)])
def test_forty_people_look_alike_in_part(
    att: Photos, detector: Detector, camera: Camera, size: tuple[int, int], pixels: float
) -> None:
    """At every size: far, usual, near, and so near that they are looked at more coarsely. A picture that is shown
    elsewhere in a frame moves its points by two pixels of the crop, too (docs/landmarks.md)."""
    off = []
    for person in att:
        image = somebody(att, person, (64, 160), size)
        camera.sees(image, after=60)
        faces = camera.sees(image)
        if camera.looks == "part":
            (seen,) = detector.detect(image)
            eyes = float(np.linalg.norm(seen.landmarks[1] - seen.landmarks[0]))
            off.append(np.linalg.norm(faces[0].landmarks - seen.landmarks, axis=1).mean() / eyes * 35)
    assert len(off) > 35, "nearly all are followed"
    assert np.median(off) < pixels, "of the crop"


def test_whoever_moves_on_is_followed_and_whoever_has_gone_is_searched_for(att: Photos, camera: Camera) -> None:
    camera.sees(somebody(att, 3, (150, 200)))
    assert camera.sees(somebody(att, 3, (160, 230)))[0].box[0] > 200
    assert camera.looks == "part"
    assert camera.sees(somebody(att, 3, (150, 500)))[0].box[0] > 480, "found in the same picture"
    assert camera.looks == "part whole"
    assert camera.sees(np.full((480, 640, 3), 170, np.uint8)) == []
    assert camera.looks == "part whole"
    assert camera.sees(somebody(att, 3, (150, 500)))
    assert camera.looks == "whole", "there is nobody to follow"


def test_a_face_at_the_edge_of_the_part_is_searched_for_in_the_whole(att: Photos, camera: Camera) -> None:
    first = camera.sees(somebody(att, 3, (150, 200)))[0]
    edge = whole(np.zeros((480, 640, 3), np.uint8), 320).scale[0] * 128
    moved = camera.sees(somebody(att, 3, (150, 200 + int(edge / 2 - first.box[2] / 2))))
    assert camera.looks == "part whole"
    assert len(moved) == 1


def test_somebody_larger_is_seen_after_two_pictures_at_the_latest(att: Photos, camera: Camera) -> None:
    camera.sees(somebody(att, 3, (30, 30)))
    crowd = somebody(att, 3, (30, 30))
    crowd[100:400, 380:626] = in_colour(att[7][0], 246, 300)
    widths = [camera.sees(crowd)[0].box[2] for _ in range(CLOSE_LOOKS + 1)]
    assert widths[-1] > 2 * widths[0]


def test_an_old_picture_or_another_size_says_nothing_of_the_next(att: Photos, camera: Camera) -> None:
    image = somebody(att, 3, (150, 200))
    camera.sees(image)
    camera.sees(image, after=FRESH_S * 1.01)
    assert camera.looks == "whole"
    camera.sees(image, after=-1.0)
    assert camera.looks == "whole", "a clock that was set back"
    camera.sees(np.ascontiguousarray(image[:, :600]))
    assert camera.looks == "whole"


def test_a_part_that_spares_little_is_not_looked_at(att: Photos, detector: Detector) -> None:
    """A small picture is all part."""
    camera = Camera(detector)
    small = np.ascontiguousarray(somebody(att, 3, (10, 20))[:140, :150])
    assert camera.sees(small)
    assert camera.sees(small)
    assert len(camera.detector.shown) == 1
