"""What a threshold means, from the bundle's own measurements. Pure: calibration in, numbers and sentences out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from admin_ui.exhibits import BIN
from admin_ui.views import Curves, ThresholdView
from firmware_config.calibration import ROUNDING, Calibration, fmr_for_gallery
from firmware_config.errors import BadInput
from firmware_config.face import MAX_DISTANCE
from firmware_config.roster import LOWEST_TAU, Policy

DEFAULT_FMR: Final = 1e-4
"""False match rate of one comparison: one in ten thousand, FIDO's requirement for biometric unlocking (Biometric
Component Certification, FAR <= 1:10,000)."""
CROWD_FPIR: Final = 1e-4
"""The same for a stranger against everybody at the door: what a new door keeps to, and what the slider's sentences
measure a threshold by."""
LOOSEST_FMR: Final = 1e-2
"""The highest rate that every bundle lists: beyond its distance two photos hardly show one person."""
STRICT_FMR: Final = 1e-6
"""What the guard asks for: the lowest rate that every bundle lists."""
DUPLICATE_FMR: Final = 1e-4
DUPLICATE_FALSE_ALARMS: Final = 0.01
"""Of a hundred enrolments at most one may wrongly be called a duplicate, however many people there are."""
SLIDER_STEP: Final = 0.005
"""Distance. Finer than the calibration's confidence intervals."""
CURVE_POINTS: Final = 161


def tau_for(calibration: Calibration, fmr: float) -> float:
    """The largest tau whose false match rate is at most `fmr`, 0 to 2, bounded by what the bundle has measured."""
    return calibration.largest_tau(fmr)


def policy_at(calibration: Calibration, fmr: float = DEFAULT_FMR, base: Policy | None = None) -> Policy:
    """The policy of a door at one false match rate per comparison; all else from `base`, or the defaults.

    Used for a new door, and for every door when the encoder changes: distances of two encoders are not
    comparable, their false match rates are.
    """
    tau = min(max(tau_for(calibration, fmr), LOWEST_TAU), MAX_DISTANCE)
    return with_tau(base or Policy(tau=tau, tau_strict=LOWEST_TAU), calibration, tau)


def first_policy(calibration: Calibration) -> Policy:
    """A new door's: tau follows its list, so that one picture of a stranger opens with a chance of CROWD_FPIR."""
    return policy_at(calibration, fmr_for_gallery(CROWD_FPIR, 1)).model_copy(update={"fpir": CROWD_FPIR})


def for_gallery(policy: Policy, calibration: Calibration, templates: int) -> Policy:
    """The same rule for a list of so many templates: tau follows where Policy.fpir says so, as far as the bundle has
    measured."""
    if policy.fpir is None:
        return policy
    return policy_at(calibration, fmr_for_gallery(policy.fpir, max(templates, 1)), base=policy)


def same_fmr(policy: Policy, before: Calibration, after: Calibration) -> Policy:
    """The same rule under another encoder: the threshold moves to where errors are as rare as they were."""
    return policy_at(after, before.fmr_at(policy.tau), base=policy)


def with_tau(policy: Policy, calibration: Calibration, tau: float) -> Policy:
    """The same rule with another tau; its strict stop follows. Raises BadInput outside 0.05 to 2."""
    if not LOWEST_TAU <= tau <= MAX_DISTANCE:
        raise BadInput(f"A threshold is a distance from {LOWEST_TAU} to {MAX_DISTANCE:g}, not {tau:g}.")
    lowest_fmr = min(point.fmr for point in calibration.operating_points)
    strict = tau_for(calibration, max(STRICT_FMR, lowest_fmr))
    return Policy(**{**policy.model_dump(), "tau": tau, "tau_strict": max(min(strict, tau), LOWEST_TAU)})


def duplicate_tau(calibration: Calibration, people: int) -> float:
    """Within this distance a new face is taken for somebody who is enrolled already. people: how many are."""
    return tau_for(calibration, min(DUPLICATE_FMR, DUPLICATE_FALSE_ALARMS / max(people, 1)))


def slider_range(calibration: Calibration, tau: float) -> tuple[float, float]:
    """Lowest and highest distance to offer: what the bundle has measured, and the door's tau of now in any case."""
    taus = [point.tau for point in calibration.operating_points]
    low = np.floor(min(*taus, tau) / SLIDER_STEP) * SLIDER_STEP
    high = np.ceil(max(*taus, tau) / SLIDER_STEP) * SLIDER_STEP
    low = max(float(low), LOWEST_TAU)
    return round(low, 3), round(min(max(float(high), low + 10 * SLIDER_STEP), MAX_DISTANCE), 3)


def curves(calibration: Calibration, low: float, high: float) -> Curves:
    """What is drawn between two distances. Takes 20 ms: a slider asks once and keeps it."""
    taus = tuple(float(tau) for tau in np.linspace(low, high, CURVE_POINTS))
    return Curves(
        taus,
        tuple(calibration.fmr_at(tau) for tau in taus),
        tuple(calibration.fnmr_at(tau) for tau in taus),
        tuple(fmr_interval(calibration, tau) for tau in taus),
        tuple(fnmr_interval(calibration, tau) for tau in taus),
    )


def fmr_interval(calibration: Calibration, tau: float) -> tuple[float, float]:
    """95 % interval of fmr_at(tau): where tau lies among the intervals of the operating points' own tau."""
    points = sorted(calibration.operating_points, key=lambda point: point.tau)
    logs = [float(np.log10(point.fmr)) for point in points]
    # The lower ends of tau belong to the higher rates: were the true threshold there, tau would let more in.
    highest = np.interp(tau, np.maximum.accumulate([point.tau_low for point in points]), logs)
    lowest = np.interp(tau, np.maximum.accumulate([point.tau_high for point in points]), logs)
    at = calibration.fmr_at(tau)
    return min(at, float(10.0**lowest)), max(at, float(10.0**highest))


def fnmr_interval(calibration: Calibration, tau: float) -> tuple[float, float]:
    """95 % interval of fnmr_at(tau)."""
    points = sorted(calibration.operating_points, key=lambda point: point.tau)
    taus = [point.tau for point in points]
    at = calibration.fnmr_at(tau)
    lowest = float(np.interp(tau, taus, [point.fnmr_low for point in points]))
    highest = float(np.interp(tau, taus, [point.fnmr_high for point in points]))
    return max(0.0, min(at, lowest)), min(1.0, max(at, highest))


def threshold_view(
    door: str,
    policy: Policy,
    calibration: Calibration,
    recent: Sequence[tuple[float, str]],
    visits: Sequence[tuple[float, int, int]] = (),
    *,
    drawn: Callable[[Calibration, float, float], Curves] = curves,
    all_visits: bool = False,
) -> ThresholdView:
    """What the slider shows. recent: distance and outcome of the door's newest events. visits: bins, as in
    ThresholdView. drawn: curves(), or what remembers its answers. all_visits: wide enough for each of them, where
    nothing slides."""
    low, high = slider_range(calibration, policy.tau)
    if all_visits and visits:
        low, high = min(low, visits[0][0]), max(high, visits[-1][0] + BIN)
    seen = drawn(calibration, low, high)
    return ThresholdView(
        door=door,
        tau=policy.tau,
        tau_strict=policy.tau_strict,
        low=low,
        high=high,
        step=SLIDER_STEP,
        taus=seen.taus,
        fmr=seen.fmr,
        fnmr=seen.fnmr,
        points=tuple(calibration.operating_points),
        recent=tuple(recent),
        source=calibration.source,
        fmr_band=seen.fmr_band,
        fnmr_band=seen.fnmr_band,
        visits=tuple(visits),
    )


def explain(calibration: Calibration, tau: float, people: int) -> str:
    """The slider's sentences. people: how many are enrolled at this door.

    1 - (1 - FMR)^N for a stranger against N people, as in ISO/IEC 19795-1's open-set identification; the door's
    votes over several frames make it rarer, by how much depends on the person standing there.
    """
    fmr = calibration.fmr_at(tau)
    fnmr = calibration.fnmr_at(tau)
    crowd = 1.0 - (1.0 - fmr) ** max(people, 1)
    lines = [f"At {tau:.3f} one picture of a stranger is taken for one given person {_one_in(fmr)}."]
    if people > 1:
        lines.append(f"With {people} people at this door, for any of them {_one_in(crowd)}.")
        lines += _advice(calibration, fmr, people)
    lines.append(f"Of 100 pictures of the right person, {_of_hundred(fnmr)} not be recognised; the door looks again.")
    if any(point.extrapolated and point.fmr >= fmr for point in calibration.operating_points):
        lines.append("So rare an error was not counted but estimated from the measured ones.")
    return " ".join(lines)


def _advice(calibration: Calibration, fmr: float, people: int) -> list[str]:
    """Where the threshold would have to be for CROWD_FPIR, one photo each; nothing where it is as strict already."""
    wanted = fmr_for_gallery(CROWD_FPIR, people)
    if fmr <= wanted * (1 + ROUNDING):
        return []
    if wanted < min(point.fmr for point in calibration.operating_points):
        return [f"Nothing was measured that is strict enough to make it {_one_in(CROWD_FPIR)}."]
    strict = np.floor(tau_for(calibration, wanted) * 1000) / 1000  # as it is shown, and not above
    return [f"At {strict:.3f} it would be {_one_in(CROWD_FPIR)}."]


def _one_in(rate: float) -> str:
    if rate <= 0:
        return "practically never"
    if rate >= 0.5:
        return "more often than not"
    count = round(1 / rate)
    digits = max(len(str(count)) - 2, 0)
    return f"about once in {round(count, -digits):,}"


def _of_hundred(rate: float) -> str:
    share = 100 * rate
    if share < 0.5:
        return "fewer than one will"
    return f"about {share:.0f} will"
