"""The camera at the door: always the newest frame, never one twice, and an honest word when there is none."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, NamedTuple

from device.picture import Picture, same
from device.sources import Grabber, Source, open_source, parse_source, read_frames
from firmware_config.errors import BadInput, LostLink
from firmware_config.face import ImageArray
from firmware_config.settings import CameraSettings

__all__ = ["Camera", "Frame", "open_camera", "parse_source", "read_frames"]

log = logging.getLogger("latchkey.camera")

LOST_AFTER_S: Final = 0.8
"""No fresh frame for so long and the camera counts as lost: with a loop of 0.1 s and a picture's way through a
network camera, noticed within 1 s (DESIGN, 4; 0.9 left 0.02 s on a busy machine)."""

BAD_AFTER_S: Final = 0.5
"""Pictures that come, but repeat or are black, for so long: that much less patience is needed than with silence."""

PICTURES_MISSED: Final = 2.5
"""Both waits are at least so many pictures long: at one a second, no picture for 0.8 s is a camera that does well."""

SLOWEST_FPS: Final = 1.0
"""A camera may be silent for no longer than one of this rate: of a slower one each picture is a visit of its own
(decide.py, VISIT_GAP_S), in which no second vote comes."""

BLACK_BELOW: Final = 4.0
"""Mean of all pixels, 0 to 255: a covered lens gives 0 to 2, a room at night with a lit exit sign above 6."""

BACKOFF_FIRST_S: Final = 0.5
BACKOFF_LAST_S: Final = 1.0
"""Waits between attempts to reopen grow from the first to the last, each times 0.5 to 1.5 by chance: with half a
second for opening, a camera that is back is used within 3 s however long it was gone. An attempt costs little."""

CLOSE_WAIT_S: Final = 3.0
"""A read that hangs ends by itself after FFmpeg's 2 s; longer than this nobody waits for the thread."""


Opener = Callable[[Source, CameraSettings], Grabber]
"""Opens a source; tests hand in one that breaks on purpose."""


class Frame(NamedTuple):
    """One picture. captured_at: time.monotonic(), s. sequence: counts up by one or more. label: what a replay or the
    demo calls it; only reports show it, decisions never look at it. ready_at: monotonic, s, when the camera's thread
    had looked at it; None where nobody took that time.
    """

    picture: Picture
    captured_at: float
    sequence: int
    label: str = ""
    ready_at: float | None = None

    @property
    def image(self) -> ImageArray:
        """uint8[H, W, 3] BGR; a JPEG is decoded when it is asked for first. Raises BadInput where it cannot be."""
        return self.picture.image


class Camera:
    """Reads a source on a thread of its own and keeps one frame: the newest. For one reader."""

    def __init__(self, source: Source, settings: CameraSettings, opener: Opener = open_source) -> None:
        """A camera that is not there is no error: `state` says so, and it is tried again."""
        self._source, self._settings, self._opener = source, settings, opener
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._frame: Frame | None = None
        self._sequence = 0
        self._doing, self._reason = "opening", f"The camera {source} is being opened."
        self._logged = self._doing, self._reason
        self._fresh_at = time.monotonic()
        slow_s = PICTURES_MISSED / max(settings.fps, SLOWEST_FPS)
        self._lost_after_s, self._bad_after_s = max(LOST_AFTER_S, slow_s), max(BAD_AFTER_S, slow_s)
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)

    def __enter__(self) -> Camera:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(CLOSE_WAIT_S)

    def newest(self, timeout_s: float) -> Frame | None:
        """The newest frame that was not handed out yet, or None when none came within timeout_s."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None, timeout_s)
            frame, self._frame = self._frame, None
            return frame

    @property
    def state(self) -> str:
        """ "ok"; or "opening", "lost", "frozen", "black", in which there is no frame to decide on."""
        return self._look()[0]

    @property
    def why(self) -> str:
        """A sentence that says what is wrong and what to do; empty when the state is "ok"."""
        return self._look()[1]

    def _look(self) -> tuple[str, str]:
        with self._changed:
            # By the reader's clock, not the thread's: a read that hangs must not hide that nothing comes.
            if self._doing == "ok" and time.monotonic() - self._fresh_at > self._lost_after_s:
                return "lost", f"The camera {self._source} sends no picture; look at its cable and power."
            if self._passing():
                return "ok", ""
            return self._doing, self._reason

    def _passing(self) -> bool:
        """Pictures are bad, but not for long: a camera may send one twice, or each."""
        return self._doing in ("frozen", "black") and time.monotonic() - self._fresh_at <= self._bad_after_s

    def _set(self, doing: str, reason: str = "") -> None:
        with self._changed:
            self._doing, self._reason = doing, reason
            if (doing, reason) != self._logged and not self._passing():
                log.log(logging.INFO if doing in ("ok", "opening") else logging.WARNING, "%s %s", doing, reason)
                self._logged = doing, reason

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                grabber = self._opener(self._source, self._settings)
            except (LostLink, BadInput) as error:
                self._set("lost", str(error))
            except Exception as error:  # noqa: BLE001 - a board short of processes or memory may have some later
                self._set("lost", f"The camera {self._source} cannot be opened: {_in_words(error)}.")
            else:
                before = self._sequence
                self._watch(grabber)
                failures = 0 if self._sequence > before else failures
            if not self._source.live:
                return
            wait = min(BACKOFF_LAST_S, BACKOFF_FIRST_S * 2**failures)
            failures = min(failures + 1, 16)
            self._stop.wait(wait * random.uniform(0.5, 1.5))  # noqa: S311 - spreads reopening, keeps no secret

    def _watch(self, grabber: Grabber) -> None:
        previous: Picture | None = None
        try:
            while not self._stop.is_set():
                read = grabber.read()
                if read is None:
                    break
                picture, taken, label = read
                if self._source.live and previous is not None and same(previous, picture):
                    self._set("frozen", f"The camera {self._source} repeats one picture; switch it off and on.")
                elif self._source.live and picture.brightness < BLACK_BELOW:
                    self._set("black", f"The camera {self._source} sees black: uncover the lens, or light the door.")
                else:
                    self._keep(picture, taken, label)
                previous = picture
            ended = "is gone; it is being reopened" if self._source.live else "has ended; it is played once"
        except Exception as error:  # noqa: BLE001 - no picture, no decision; a dead thread would never look again
            ended = f"broke off: {_in_words(error)}"
        finally:
            grabber.release()
        self._set("lost", f"{'The camera' if self._source.live else 'The recording'} {self._source} {ended}.")

    def _keep(self, picture: Picture, taken: float, label: str) -> None:
        self._set("ok")
        with self._changed:
            self._sequence += 1
            self._frame = Frame(picture, taken, self._sequence, label, time.monotonic())
            self._fresh_at = taken
            self._changed.notify()


def _in_words(error: Exception) -> str:
    """Some have none."""
    return str(error).rstrip(".") or type(error).__name__


def open_camera(settings: CameraSettings) -> Camera:
    """The camera that the settings name; use it in a `with` block.

    Raises BadInput for a source that is no source. A camera that is not there is no error, see Camera.
    """
    return Camera(parse_source(settings.source), settings)
