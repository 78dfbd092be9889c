"""What proves that an older encoder's templates may be compared with a newer one's probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from device.embed import Encoder
from firmware_config.bundle import Bundle
from firmware_config.compatible import JUDGED_FMR, MOST_OLDER, CrossCalibration
from firmware_config.errors import BadInput
from trainer.data import Faces
from trainer.measuring.calibrate import calibrate
from trainer.measuring.trial import Embed, embed_all
from trainer.packing import gate

UNSURE: Final = (
    "; the older encoder was trained on other images than this one and may have learned some of these people, which "
    "flatters the numbers"
)


@dataclass(frozen=True)
class Earlier:
    """An older bundle. same_images: it was trained on the very images of the newer one, so on none of the people who
    calibrate."""

    bundle: Bundle
    same_images: bool


def check_older(older: Sequence[Bundle]) -> None:
    """What a bundle cannot declare is said before anything is exported. Raises BadInput."""
    if len({bundle.manifest.encoder_id for bundle in older}) < len(older) or len(older) > MOST_OLDER:
        raise BadInput(f"--compatible-with names up to {MOST_OLDER} older bundles, each of another encoder.")


def prove(
    earlier: Earlier, encoder: Encoder, people: Faces, source: str, say: Callable[[str], None]
) -> CrossCalibration:
    """Distances between the older encoder's templates and the newer one's probes.

    people: never trained on; source: who they are, a sentence. Raises BadInput for the same encoder, BadState when the
    comparison across is worse than the older encoder with itself (gate.check_compatible).
    """
    manifest = earlier.bundle.manifest
    if manifest.encoder_id == encoder.encoder_id:
        raise BadInput(f"{manifest.name} {manifest.version} has the very same encoder; there is nothing to declare.")
    old = Encoder(earlier.bundle.onnx, threads=2)
    return measure(old.embed, encoder.embed, earlier, encoder.encoder_id, people, source, say)


def measure(
    old: Embed, new: Embed, earlier: Earlier, new_id: str, people: Faces, source: str, say: Callable[[str], None]
) -> CrossCalibration:
    """As `prove`, for any two functions from crops to unit rows."""
    crops = people.centre()
    templates, probes = embed_all(old, crops), embed_all(new, crops)
    itself = calibrate(templates, people.identities, source)
    across = calibrate(templates, people.identities, source if earlier.same_images else source + UNSURE, probes=probes)
    tars = [
        1.0 - next(point.fnmr for point in each.operating_points if point.fmr == JUDGED_FMR)
        for each in (across, itself)
    ]
    manifest = earlier.bundle.manifest
    say(
        f"compatible with {manifest.name} {manifest.version}? TAR at FMR 1e-3 {tars[0]:.4f} across, {tars[1]:.4f} for "
        f"that one with itself, {people.people} people"
    )
    gate.check_compatible(*tars)
    return CrossCalibration(
        templates=manifest.encoder_id, probes=new_id, old=earlier.bundle.calibration, cross=across, old_tar=tars[1]
    )
