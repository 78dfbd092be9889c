"""Recorded frames through the door's own judgement, without broker, lock or waiting: one line a frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from math import isfinite
from pathlib import Path
from typing import Final

from device.camera import Frame, read_frames
from device.decide import Decider
from device.embed import Encoder
from device.model import Active, fits, pair, tested
from device.outfit import Look, default_bundle, real_look
from device.picture import Pixels
from device.shelf import MODEL
from firmware_config.bundle import read_bundle
from firmware_config.errors import BadInput
from firmware_config.messages import decode
from firmware_config.pairing import load_door as load_pairing
from firmware_config.roster import Roster, open_roster
from firmware_config.settings import DoorSettings, RuntimeSettings

SEALED_MARK: Final = b"LKS1"


@dataclass(frozen=True)
class Line:
    """What the door made of one frame.

    frame: the file's name. at_s: seconds since the first frame. face: somebody was seen. quality: why the frame
    was not compared, "" when it was good. nearest, distance, runner_up: who it looks like, distances 0 to 2.
    decision: "granted", "denied", or "none" while the vote is open. reason: of the decision, "" without one.
    person: who was let in, or whom a refusal is about, "" for an unknown face. decided_on: the frame that the
    decision is about, which for a refusal may be an earlier one.
    """

    frame: str
    at_s: float
    face: bool
    quality: str
    nearest: str
    distance: float | None
    runner_up: float | None
    decision: str
    reason: str
    person: str
    decided_on: str

    def facts(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        if not self.face:
            seen = "nobody"
        elif self.quality:
            seen = self.quality
        elif self.distance is None:
            seen = "not compared"
        else:
            seen = f"{self.distance:.3f} from {self.nearest}"
        decided = "" if self.decision == "none" else f"  {self.decision}: {self.reason} {self.person}".rstrip()
        return f"{self.at_s:8.2f} s  {self.frame:<24} {seen:<32}{decided}".rstrip()


def read_roster(path: Path, settings: DoorSettings | None) -> Roster:
    """A roster in plain JSON; or sealed, which needs the settings of the door that it is sealed for.

    Raises BadInput for anything else, BadState when the door's keys cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"The roster {path} cannot be read: {error.strerror}.") from error
    if not data.startswith(SEALED_MARK):
        return decode(Roster, data, str(path))
    if settings is None:
        raise BadInput(f"{path} is sealed. Name the settings of its door: --settings /etc/latchkey/door.toml.")
    pairing = load_pairing(settings.pairing)
    return open_roster(data, pairing.topics, pairing.site_key, pairing.door_key)


def load_active(roster_path: Path, model: Path | None, settings: DoorSettings | None) -> Active:
    """The pair that a door would run.

    model: a bundle; None: the door's own where settings are given, otherwise the one that comes with the package.
    It is not asked who signed it: nothing is opened here. Raises BadInput when roster and encoder do not belong
    together, BundleRefused for a file that is no bundle.
    """
    roster = read_roster(roster_path, settings)
    if model is None and settings is not None:
        kept = settings.state / MODEL
        model = kept if kept.exists() else settings.models
    path = model or default_bundle()
    try:
        bundle = read_bundle(path.read_bytes(), trusted=None)
    except OSError as error:
        raise BadInput(f"The bundle {path} cannot be read: {error.strerror}.") from error
    if not fits(bundle, roster):
        raise BadInput(
            f"The roster was made with encoder {roster.encoder_id[:12]}, {path} holds "
            f"{bundle.manifest.encoder_id[:12]}. Name the right bundle with --model."
        )
    threads = settings.runtime.threads if settings else 1
    return pair(tested(bundle, lambda onnx: Encoder(onnx, threads)), roster)


def replay(
    frames: Path, active: Active, fps: float, wall: datetime | None = None, look: Look | None = None
) -> Iterator[Line]:
    """Frames in order, as if they came `fps` times a second -> one line each.

    frames: a folder of images or a video. wall: the moment by which validity is judged; now. look: the way of a
    frame; the door's. Raises BadInput for a path without frames.
    """
    look = look or real_look(RuntimeSettings())
    moment = wall or datetime.now(timezone.utc)
    decider = Decider(active.roster)
    names: list[str] = []
    for number, (name, image) in enumerate(read_frames(frames)):
        names.append(name)
        at = number / fps
        seen = look(Frame(Pixels(image), at, number, name), active).observation
        decision = decider.step(seen, at, moment)
        yield Line(
            frame=name,
            at_s=round(at, 3),
            face=seen.face,
            quality=str(seen.quality or ""),
            nearest=seen.match.name if seen.match else "",
            distance=_rounded(seen.match.distance if seen.match else None),
            runner_up=_rounded(seen.match.runner_up_distance if seen.match else None),
            decision=decision.outcome if decision else "none",
            reason=str(decision.reason) if decision else "",
            person=decision.name if decision else "",
            decided_on=names[decision.sequence] if decision else "",
        )


def _rounded(distance: float | None) -> float | None:
    # JSON has no infinity: nobody else enrolled is no runner-up.
    return None if distance is None or not isfinite(distance) else round(distance, 4)
