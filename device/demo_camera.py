"""`demo:` shows AT&T people walking up to a door, so that a first run needs no camera.

`demo:?owners=31-40&strangers=1-30&photos=2-10&seed=7&approach=2&pause=0.8&leave=0.3&gap=0.4&walkups=60`; what is
left out has these values, except that without `walkups` it never ends. Owners and strangers come by turns.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

import cv2
import numpy as np

from firmware_config.att import PEOPLE, PHOTOS_EACH
from firmware_config.errors import BadInput
from firmware_config.face import FloatArray, ImageArray

WIDTH: Final = 640
HEIGHT: Final = 480
"""The demo's frame, pixels: what most webcams give unasked."""

FAR_SCALE: Final = 0.6
NEAR_SCALE: Final = 3.6
"""Size of the 92x112 photo in the frame: the face is some 35 px wide far off and above 200 px at the door."""

FEATHER_PX: Final = 9.0
"""Width of the soft edge of a photo, in photo pixels: a hard edge is itself something a detector looks at."""

NOISE_SIGMA: Final = 2.0
"""Sensor noise, grey levels: a webcam indoors. It also keeps a frame from equalling the one before."""

NOISE_FRAMES: Final = 8
"""Noise is drawn once for so many frames and goes round: drawing it anew each time costs 15 ms a frame."""


@dataclass(frozen=True)
class DemoPlan:
    """Who comes and how. People 1 to 40, photos 1 to 10, times in seconds, walkups 0: without end."""

    owners: tuple[int, ...] = tuple(range(31, 41))
    strangers: tuple[int, ...] = tuple(range(1, 31))
    photos: tuple[int, ...] = tuple(range(2, 11))
    seed: int = 7
    approach: float = 2.0
    pause: float = 0.8
    leave: float = 0.3
    gap: float = 0.4
    walkups: int = 0

    @property
    def period_s(self) -> float:
        """From one walk-up's start to the next one's."""
        return self.approach + self.pause + self.leave + self.gap


@dataclass(frozen=True)
class Walkup:
    """One visit. number: from 1; frames carry it as their label. start_s, end_s: since the first frame."""

    number: int
    person: int
    photo: int
    start_s: float
    end_s: float
    is_owner: bool


def parse_demo(text: str) -> DemoPlan:
    """`demo:` or `demo:?key=value&...` -> the plan. Raises BadInput for an unknown key or a wrong value."""
    head, _, query = text.partition("?")
    if head.lower() != "demo:":
        raise BadInput(f"The demo camera is written demo: or demo:?owners=31-40&..., not {text!r}.")
    known = {field.name for field in fields(DemoPlan)}
    values: dict[str, tuple[int, ...] | int | float] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in known:
            raise BadInput(f"The demo camera has no {key!r}; it has {', '.join(sorted(known))}.")
        try:
            if key in ("owners", "strangers", "photos"):
                values[key] = _numbers(value, PHOTOS_EACH if key == "photos" else PEOPLE)
            else:
                values[key] = int(value) if key in ("seed", "walkups") else float(value)
        except ValueError as error:
            raise BadInput(f"{key}={value} in the demo camera's address is wrong: {error}.") from error
    plan = DemoPlan(**values)  # type: ignore[arg-type]  # each key was read with its field's type just above
    if not plan.photos or not (plan.owners or plan.strangers) or set(plan.owners) & set(plan.strangers):
        raise BadInput("The demo camera needs photos and people, and nobody is both owner and stranger.")
    if not (0.1 <= plan.approach <= 60 and all(0 <= t <= 60 for t in (plan.pause, plan.leave, plan.gap))):
        raise BadInput("The demo camera's times are 0 to 60 s, and an approach takes at least 0.1 s.")
    if plan.walkups < 0:
        raise BadInput("The demo camera's walkups are 0 (without end) or more.")
    return plan


def _numbers(text: str, highest: int) -> tuple[int, ...]:
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    if not all(1 <= number <= highest for number in found):
        raise ValueError(f"numbers go from 1 to {highest}")
    return tuple(dict.fromkeys(found))


def walkup_script(query: str) -> list[Walkup]:
    """What `demo:?...` shows, in order; for `walkups` left out, the first 1,000. Raises BadInput as parse_demo."""
    plan = parse_demo(query)
    return [walkup(plan, number) for number in range(1, (plan.walkups or 1000) + 1)]


@lru_cache(maxsize=64)
def walkup(plan: DemoPlan, number: int) -> Walkup:
    """The walk-up of that number, from 1. Everybody comes once before anybody comes twice, each time with another
    photo until all were shown.
    """
    both = bool(plan.owners) and bool(plan.strangers)
    is_owner = number % 2 == 1 if both else bool(plan.owners)
    group = plan.owners if is_owner else plan.strangers
    turn = (number - 1) // 2 if both else number - 1
    lap, place = divmod(turn, len(group))
    person = _shuffled(group, f"{plan.seed} lap {lap} {is_owner}")[place]
    photo = _shuffled(plan.photos, f"{plan.seed} person {person}")[lap % len(plan.photos)]
    start = (number - 1) * plan.period_s
    return Walkup(number, person, photo, start, start + plan.period_s - plan.gap, is_owner)


def _shuffled(values: tuple[int, ...], seed: str) -> list[int]:
    return random.Random(seed).sample(values, len(values))  # noqa: S311 - a script that anybody may predict


class DemoScene:
    """Draws the frames of a plan."""

    def __init__(self, plan: DemoPlan, faces: dict[int, list[ImageArray]]) -> None:
        """faces: from att_faces()."""
        self._plan, self._faces = plan, faces
        self._weight = _soft_edges()
        noise = np.random.default_rng(plan.seed).normal(0, NOISE_SIGMA, (NOISE_FRAMES, HEIGHT, WIDTH, 1))
        self._noise = np.rint(noise[..., 0]).astype(np.int16)
        self._walls = np.clip(_wall() + noise, 0, 255).astype(np.uint8)
        self._drawn = 0

    def at(self, elapsed_s: float) -> tuple[ImageArray, str]:
        """The frame at that time after the first, uint8[480, 640, 3] BGR, and its walk-up's number, "" for none."""
        self._drawn += 1
        frame: ImageArray = self._walls[self._drawn % NOISE_FRAMES].copy()
        number = int(elapsed_s // self._plan.period_s) + 1
        visit = walkup(self._plan, number)
        over = bool(self._plan.walkups) and number > self._plan.walkups
        if over or elapsed_s >= visit.end_s:
            return frame, ""
        self._put_face(frame, self._faces[visit.person][visit.photo - 1], elapsed_s - visit.start_s)
        return frame, str(number)

    def _put_face(self, frame: ImageArray, photo: ImageArray, since_s: float) -> None:
        plan = self._plan
        near = min(1.0, since_s / plan.approach)
        gone = max(0.0, since_s - plan.approach - plan.pause) / max(plan.leave, 1e-6)
        # A steady walk makes a face grow by the same factor in equal times, roughly.
        scale = FAR_SCALE * (NEAR_SCALE / FAR_SCALE) ** near
        sway = float(np.sin(since_s * 2 * np.pi * 0.9))
        x = WIDTH * (0.5 + 0.12 * (1 - near) + 0.8 * gone) + 5 * sway
        y = HEIGHT * (0.42 + 0.08 * near) + 2 * float(np.cos(since_s * 2 * np.pi * 1.8))
        turn = np.deg2rad(1.5 * sway)
        along, across = scale * np.cos(turn), scale * np.sin(turn)
        half_height, half_width = photo.shape[0] / 2, photo.shape[1] / 2
        # Only the part of the frame that the photo covers is drawn.
        reach_x, reach_y = scale * half_width + 12, scale * half_height + 12
        left, right = (int(np.clip(side, 0, WIDTH)) for side in (x - reach_x, x + reach_x))
        top, bottom = (int(np.clip(side, 0, HEIGHT)) for side in (y - reach_y, y + reach_y))
        if right - left < 2 or bottom - top < 2:
            return
        matrix = np.array([[along, -across, x - left], [across, along, y - top]])
        matrix[:, 2] -= matrix[:, :2] @ [half_width, half_height]
        size = (right - left, bottom - top)
        weight = cv2.warpAffine(self._weight, matrix, size, flags=cv2.INTER_LINEAR)
        grey = cv2.warpAffine(photo, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        noise = self._noise[self._drawn % NOISE_FRAMES, top:bottom, left:right]
        noisy = np.clip(np.asarray(grey) + noise, 0, 255).astype(np.uint8)
        part = frame[top:bottom, left:right]
        part[:] = cv2.blendLinear(cv2.cvtColor(noisy, cv2.COLOR_GRAY2BGR), part, weight, 1 - np.asarray(weight))


def _wall() -> FloatArray:
    """A plain wall, lighter above, float32[480, 640, 3] BGR."""
    light = np.linspace(1.08, 0.85, HEIGHT, dtype=np.float32)[:, None, None]
    colour = np.array([168, 184, 192], dtype=np.float32)
    return np.ascontiguousarray(np.broadcast_to(light * colour, (HEIGHT, WIDTH, 3)), dtype=np.float32)


def _soft_edges() -> FloatArray:
    """1 inside a photo, falling to 0 at its border, float32[112, 92]."""
    rows, columns = np.mgrid[0:112, 0:92].astype(np.float32)
    to_edge = np.minimum(np.minimum(rows, 111 - rows), np.minimum(columns, 91 - columns))
    ramp = np.clip(to_edge / FEATHER_PX, 0, 1)
    edges: FloatArray = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    return edges
