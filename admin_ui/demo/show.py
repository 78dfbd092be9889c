"""`latchkey-admin demo`: the door on the terminal, one line for each thing that happens, until a key is pressed."""

from __future__ import annotations

import os
import select
import stat
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import cv2

from admin_ui.demo.ears import Heard
from admin_ui.demo.stage import Door, Stage, stage
from admin_ui.sentences import at_the_door
from device.demo_camera import parse_demo, walkup

DOOR: Final = "front"

DEMO_CAMERA: Final = "demo:?owners=31-40&strangers=1-20&approach=2&pause=1&leave=0.3&gap=1.7"
"""Five seconds a visitor: time to read a line before the next one."""

OWNERS: Final = range(31, 41)
TICK_S: Final = 0.2


def show(camera: str, port: int, *, embedded_broker: bool = False) -> int:
    """Until a key, Ctrl-C, SIGTERM, or the end of a piped stdin -> exit code 0. Raises BadState, LostLink, OSError.

    camera: as in door.toml; empty: the first webcam that gives a picture, otherwise AT&T people.
    """
    source = camera or first_webcam() or DEMO_CAMERA
    with stage({DOOR: source}, port, say, embedded_broker=embedded_broker) as set_up:
        for line in instructions(set_up, source):
            say(line)
        with keys() as pressed:
            door = set_up.doors[0]
            while not pressed():
                set_up.processes.check()
                heard = door.ears.next(TICK_S)
                if heard is not None:
                    say(line_of(heard, door))
        say("Ending.")
    say("Everything has ended; nothing is left running.")
    return 0


def say(line: str) -> None:
    """One line, at once."""
    print(line, flush=True)


def first_webcam() -> str:
    """The first /dev/video* that gives a picture, or an empty string."""
    for device in sorted(Path("/dev").glob("video[0-9]*")):
        capture = cv2.VideoCapture(str(device), cv2.CAP_V4L2)
        try:
            # A webcam has a second device for its metadata, which opens and never gives a picture.
            if capture.isOpened() and capture.read()[0]:
                return str(device)
        finally:
            capture.release()
    return ""


def instructions(set_up: Stage, source: str) -> Iterator[str]:
    """What to do now, line by line."""
    yield ""
    yield f"The page:  {set_up.address}"
    yield f"Log in as  {set_up.account}   with the password  {set_up.password}"
    yield ""
    if source.startswith("demo:"):
        yield "No webcam is used: AT&T people walk up to the door, over and over, and nobody is enrolled yet."
        yield f"On the tab Enrol, enrol one of them from a photo in {set_up.photos}"
        yield f"(those of {OWNERS.start} to {OWNERS.stop - 1} come most often), and see below who gets in then."
    else:
        yield f"The door looks through {source}, and nobody is enrolled yet."
        yield "On the tab Enrol, enrol yourself from a photo file: the webcam is busy at the door. Then look at it."
    yield "The tab Doors shows the same as the lines below; Threshold says what the door takes for the same face."
    yield "Everything is made anew each time and thrown away at the end. Press any key to end."
    yield ""


def line_of(heard: Heard, door: Door) -> str:
    """One event -> "10:31:07  Person 5 at the door: refused. Nobody who is enrolled ..."."""
    at = heard.at.astimezone().strftime("%H:%M:%S")
    if heard.outcome == "notice":
        return f"{at}  {at_the_door(heard.reason)}"
    who = _who_stands_there(heard.detail.scene, door.camera)
    distance = "" if heard.detail.distance is None else f" (distance {heard.detail.distance:.2f})"
    if heard.outcome == "granted":
        return f"{at}  {who}: let in as {heard.detail.person}{distance}."
    return f"{at}  {who}: refused. {at_the_door(heard.reason)}{distance}"


def _who_stands_there(scene: str, camera: str) -> str:
    if not camera.startswith("demo:") or not scene.isdigit():
        return "Somebody"
    visit = walkup(parse_demo(camera), int(scene))
    return f"The person of person-{visit.person:02}.png"


@contextmanager
def keys() -> Iterator[Callable[[], bool]]:
    """A function that says whether it is time to end; a terminal is put back as it was.

    At a terminal: any key. With a pipe: its end. Otherwise (a service, the background): never, signals end the demo.
    """
    kind = os.fstat(sys.stdin.fileno()).st_mode
    if not sys.stdin.isatty():
        piped = stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)
        yield _at_end_of_pipe if piped else lambda: False
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        # One key at a time, without its echo; Ctrl-C stays a signal.
        tty.setcbreak(sys.stdin)
        yield _readable
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _readable() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


def _at_end_of_pipe() -> bool:
    return _readable() and not os.read(sys.stdin.fileno(), 4096)
