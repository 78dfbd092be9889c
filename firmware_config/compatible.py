"""Templates of an older encoder and probes of a newer one: when they may be compared, and at which threshold.

Embeddings of two encoders mean nothing to each other, unless the newer one was trained to speak the older one's
language (Shen, Xiong, Xia, Soatto 2020). A bundle that says so in its manifest brings the proof: cross-ENCODERID.json.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from pydantic import Field, model_validator

from firmware_config.calibration import Calibration, fmr_for_gallery
from firmware_config.errors import BadInput
from firmware_config.face import MAX_DISTANCE
from firmware_config.messages import Hex64, Message, decode
from firmware_config.roster import LOWEST_TAU, Policy

MOST_OLDER: Final = 4
"""Encoders that one bundle may declare: each brings some 10 kB of calibration."""
PART: Final = re.compile(r"cross-[0-9a-f]{64}\.json")
JUDGED_FMR: Final = 1e-3
"""Where Shen's criterion is judged, and the trainer's other gates."""
PROVEN_RATES: Final = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""False match rates that a proof lists, as a bundle's own calibration does: policies ask for the rarest too."""


def part_name(encoder_id: str) -> str:
    """Of the proof in the bundle."""
    return f"cross-{encoder_id}.json"


class CrossCalibration(Message):
    """cross-ENCODERID.json: distances between templates of the older encoder and probes of the newer one."""

    max_bytes: ClassVar[int] = 2 * 1024 * 1024

    templates: Hex64
    """encoder_id of the older one."""
    probes: Hex64
    """encoder_id of the newer one, whose bundle this is in."""
    old: Calibration
    """The older encoder's with itself, from its own bundle: it tells what a policy's tau was worth."""
    cross: Calibration
    """Templates of the older one against probes of the newer one, each picture in both parts, never with itself."""
    old_tar: float = Field(ge=0, le=1)
    """TAR at FMR 1e-3 of the older encoder with itself, on the very pictures of `cross`."""

    @model_validator(mode="after")
    def _proof(self) -> CrossCalibration:
        if self.templates == self.probes:
            raise ValueError("an encoder is compared with itself without a proof")
        listed = [point.fmr for point in self.cross.operating_points]
        missing = [f"{rate:g}" for rate in PROVEN_RATES if not any(abs(fmr / rate - 1) < 1e-6 for fmr in listed)]
        if missing:
            raise ValueError(f"no threshold for FMR {', '.join(missing)}")
        # Written so that a NaN fails too.
        if not self.cross_tar >= self.old_tar:
            raise ValueError(
                f"TAR at FMR {JUDGED_FMR:g} is {self.cross_tar:.4f} across and {self.old_tar:.4f} for the older "
                "encoder with itself: nobody would gain"
            )
        return self

    @property
    def cross_tar(self) -> float:
        """TAR at FMR 1e-3 across, 0 to 1."""
        return 1.0 - next(p.fnmr for p in self.cross.operating_points if abs(p.fmr / JUDGED_FMR - 1) < 1e-6)

    def tau_across(self, tau: float) -> float:
        """The threshold across at which a stranger passes as rarely as at `tau` among the older encoder's own, 0 to 2.

        Below what was measured the distance to the lowest measured threshold stays: stricter remains stricter.
        """
        lowest = min(point.tau for point in self.old.operating_points)
        if tau < lowest:
            return max(0.0, min(point.tau for point in self.cross.operating_points) - (lowest - tau))
        return self.cross.largest_tau(self.old.fmr_at(tau))


def crossed(policy: Policy, proof: CrossCalibration, templates: int) -> Policy:
    """The same rule for probes of the newer encoder: both thresholds move to where errors are as rare as they were.

    templates: all that a door compares one face with. Where the policy follows the gallery, what that asks for counts
    too, and the rarer of both holds.
    """
    tau = proof.tau_across(policy.tau)
    if policy.fpir is not None:
        tau = min(tau, proof.cross.largest_tau(fmr_for_gallery(policy.fpir, max(templates, 1))))
    tau = min(max(tau, LOWEST_TAU), MAX_DISTANCE)
    strict = min(max(proof.tau_across(policy.tau_strict), LOWEST_TAU), tau)
    return Policy.model_validate({**policy.model_dump(), "tau": tau, "tau_strict": strict})


def read_proofs(declared: Sequence[str], encoder_id: str, parts: Mapping[str, bytes]) -> dict[str, CrossCalibration]:
    """encoder_id of an older encoder -> its proof.

    declared: compatible_with of the manifest; encoder_id: the bundle's own; parts: its files. Raises BadInput unless
    each declaration has its proof, each proof its declaration, and both are of these two encoders.
    """
    if len(set(declared)) < len(declared) or encoder_id in declared:
        raise BadInput("The bundle declares one encoder twice, or itself, under compatible_with.")
    brought = {name for name in parts if PART.fullmatch(name)}
    for older in declared:
        if part_name(older) not in brought:
            raise BadInput(
                f"The bundle says that it may be compared with templates of {older[:12]} and lacks the calibration "
                "that proves it. Bundle it with --compatible-with."
            )
    if len(brought) > len(declared):
        stray = min(brought - {part_name(older) for older in declared})
        raise BadInput(f"The bundle brings {stray[:18]}... and does not declare it under compatible_with.")
    proofs = {older: decode(CrossCalibration, parts[part_name(older)], part_name(older)) for older in declared}
    for older, proof in proofs.items():
        if (proof.templates, proof.probes) != (older, encoder_id):
            raise BadInput(
                f"The calibration that should prove the bundle's word on {older[:12]} was measured with templates of "
                f"{proof.templates[:12]} and probes of {proof.probes[:12]}."
            )
    return proofs
