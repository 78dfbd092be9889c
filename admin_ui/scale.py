"""The scale of one door's distances: faces by the encoder that it runs, templates by the one that made its list.

Mostly that is one encoder, and its calibration says what a distance means. A door that carries a list of the encoder in
force under another one (ahead.py) measures between the two: then the bundle's proof says it, and the rule in the list
stands for another threshold at the door. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from admin_ui import tune
from firmware_config.calibration import BISECTIONS, Calibration
from firmware_config.compatible import CrossCalibration, crossed
from firmware_config.face import MAX_DISTANCE
from firmware_config.roster import LOWEST_TAU, Policy


@dataclass(frozen=True)
class Scale:
    """calibration: of such distances. encoder_id: of the list's templates. since: aware, UTC, when the door's distances
    began to be of this kind; None: they always were. proof, templates, title: of the bundle that carries the list, how
    many there are in it, and the bundle's name; None, 0 and "" where none does."""

    calibration: Calibration
    encoder_id: str
    since: datetime | None = None
    proof: CrossCalibration | None = None
    templates: int = 0
    title: str = ""

    @property
    def key(self) -> str:
        """No two calibrations have the same."""
        return self.encoder_id + (self.proof.probes if self.proof is not None else "")

    def at_door(self, policy: Policy) -> Policy:
        """The list's rule as the door applies it."""
        return crossed(policy, self.proof, self.templates) if self.proof is not None else policy

    def in_list(self, policy: Policy, tau: float) -> Policy:
        """The rule with which the door's threshold is `tau`, or the largest below it that a list can ask for. Raises
        BadInput outside 0.05 to 2."""
        if self.proof is None:
            return tune.with_tau(policy, self.calibration, tau)
        low, high = LOWEST_TAU, MAX_DISTANCE
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.proof.tau_across(middle) <= tau else (low, middle)
        return tune.with_tau(policy, self.proof.old, low)
