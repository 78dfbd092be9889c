"""The frames that everybody is shown: somebody of AT&T before a door, uint8[480, 640, 3] BGR."""

from __future__ import annotations

from typing import Final

from device.demo_camera import DemoScene, parse_demo
from firmware_config.att import att_faces
from firmware_config.face import ImageArray

OWNER: Final = 31
PICTURES: Final = 12
"""All different: a camera's noise, and a head that sways."""


def frames() -> list[ImageArray]:
    """At arm's length, the photo that the owner is enrolled with. Raises LostLink."""
    plan = parse_demo(f"demo:?owners={OWNER}&strangers=&photos=1&seed=11")
    scene = DemoScene(plan, att_faces())
    return [scene.at(plan.approach + 0.05 * number)[0] for number in range(PICTURES)]
