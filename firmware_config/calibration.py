"""How often the encoder confuses people, measured on identities it never saw: the evidence behind tau."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field, FiniteFloat, model_validator

from firmware_config.errors import BadInput
from firmware_config.face import MAX_DISTANCE
from firmware_config.messages import Message

BISECTIONS: Final = 16
"""2 / 2^16 is 0.00003, a hundredth of what anybody moves a threshold by."""
ROUNDING: Final = 1e-6


def fmr_for_gallery(fpir: float, templates: int) -> float:
    """The false match rate of one comparison at which a stranger is let in at most with `fpir`, 0 to 1.

    templates: all that a door compares one face with, at least 1. A stranger passes when any of them matches:
    FPIR = 1 - (1 - FMR)^templates if they were independent. They are not, one face is like many or like none,
    which makes it rarer: the rule errs on the safe side (ISO/IEC 19795-1). Raises BadInput.
    """
    if not 0.0 < fpir < 1.0 or templates < 1:
        raise BadInput(f"An FPIR lies between 0 and 1 and a gallery has templates; not {fpir:g} and {templates}.")
    return float(-np.expm1(np.log1p(-fpir) / templates))


class Histogram(Message):
    """Counts of distances in equal bins from 0 to 2."""

    counts: list[Annotated[int, Field(ge=0)]] = Field(min_length=50, max_length=4000)

    def edges(self) -> npt.NDArray[np.float64]:
        """float64[bins + 1], 0 to 2."""
        return np.linspace(0.0, MAX_DISTANCE, len(self.counts) + 1)

    def share_at_most(self, tau: float) -> float:
        """Share of distances <= tau, linear within a bin, 0 to 1."""
        cumulative = np.concatenate([[0], np.cumsum(self.counts)])
        if cumulative[-1] == 0:
            return 0.0
        return float(np.interp(tau, self.edges(), cumulative) / cumulative[-1])


class OperatingPoint(Message):
    """tau for one false match rate, with 95 % intervals from a bootstrap over identities."""

    fmr: float = Field(gt=0, lt=1)
    tau: float = Field(ge=0, le=MAX_DISTANCE)
    tau_low: FiniteFloat
    tau_high: FiniteFloat
    fnmr: float = Field(ge=0, le=1)
    fnmr_low: FiniteFloat
    fnmr_high: FiniteFloat
    extrapolated: bool = False
    """True where fewer than ten impostor pairs lie below tau: read off the fitted tail, not counted."""


FEWEST_PEOPLE: Final = 150
"""Under which a calibration is said to be a guess: with eight people of one studio tau came out at 1.17 where 926
people gave the same kind of encoder 1.03, and by 1.17 strangers walk in."""


class Calibration(Message):
    """calibration.json. FMR: share of impostor pairs at or below tau; FNMR: share of genuine pairs above it
    (ISO/IEC 19795-1)."""

    max_bytes: ClassVar[int] = 1024 * 1024

    genuine: Histogram
    impostor: Histogram
    operating_points: list[OperatingPoint] = Field(min_length=1)
    identities: int = Field(ge=2)
    genuine_pairs: int
    impostor_pairs: int
    method: str
    """How the intervals and the tail were made, in a sentence."""
    source: str
    """Which images, and which identities of them."""

    @model_validator(mode="after")
    def _ordered(self) -> Calibration:
        ordered = sorted(self.operating_points, key=lambda point: -point.fmr)
        taus = [point.tau for point in ordered]
        if taus != sorted(taus, reverse=True):
            raise ValueError("a lower FMR must not have a higher tau")
        return self

    @property
    def doubt(self) -> str:
        """What is to be said of a calibration by too few people, to whoever is to trust it; empty for enough."""
        if self.identities >= FEWEST_PEOPLE:
            return ""
        return (
            f"Only {self.identities} people calibrated this encoder; fewer than {FEWEST_PEOPLE} do not show how near "
            "strangers come. Its thresholds are guesses, mostly too wide: measure more people before it opens a door."
        )

    def tau_at(self, fmr: float) -> float:
        """tau of the nearest listed operating point at or below `fmr`. Raises BadInput."""
        fitting = [point for point in self.operating_points if point.fmr <= fmr * 1.000001]
        if not fitting:
            listed = ", ".join(f"{point.fmr:g}" for point in self.operating_points)
            raise BadInput(f"The bundle has no threshold for FMR {fmr:g}; it lists {listed}.")
        return max(fitting, key=lambda point: point.fmr).tau

    def fmr_at(self, tau: float) -> float:
        """False match rate of one comparison at tau: counted where ten or more pairs lie below, otherwise
        interpolated in log FMR between the fitted operating points, and never more than ten pairs would be,
        so that a lower tau never has a higher rate."""
        counted = self.impostor.share_at_most(tau)
        if counted * self.impostor_pairs >= 10:
            return counted
        points = sorted(self.operating_points, key=lambda point: point.tau)
        taus = [point.tau for point in points]
        logs = [float(np.log10(point.fmr)) for point in points]
        fitted = float(10.0 ** np.interp(tau, taus, logs))
        return min(fitted, 10 / max(self.impostor_pairs, 1))

    def largest_tau(self, fmr: float) -> float:
        """The largest tau whose false match rate is at most `fmr`, 0 to 2: the inverse of `fmr_at`, bounded by what was
        measured."""
        allowed, above = 0.0, MAX_DISTANCE
        for _ in range(BISECTIONS):
            middle = (allowed + above) / 2
            if self.fmr_at(middle) <= fmr * (1 + ROUNDING):
                allowed = middle
            else:
                above = middle
        return max(allowed, min(point.tau for point in self.operating_points))

    def fnmr_at(self, tau: float) -> float:
        """False non-match rate at tau, counted."""
        return 1.0 - self.genuine.share_at_most(tau)
