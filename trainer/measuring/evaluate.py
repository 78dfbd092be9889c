"""Verification and identification by the field's protocols: numbers for machines, a sentence for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from device.embed import Encoder
from firmware_config.bundle import read_bundle
from firmware_config.errors import BadInput
from trainer.images.lfw import ten_fold
from trainer.measuring import intervals
from trainer.measuring.calibrate import FEWEST_COUNTED, calibrate
from trainer.measuring.metrics import equal_error_rate, true_accept_rate
from trainer.measuring.open_set import GALLERIES, Identification, identify
from trainer.measuring.trial import Embed, Trial, att_trial, lfw_trial

RATES: Final = {"1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4}
"""False match rates at which TAR is told, by their name in the results."""


def bundle_embed(bundle: bytes) -> Embed:
    """A bundle's int8 encoder: uint8[N, 112, 112, 3] RGB -> float32[N, 128]. Raises BundleRefused, BadInput."""
    return Encoder(read_bundle(bundle, trusted=None).onnx, threads=2).embed


def bundle_trial(bundle: bytes, protocol: str, folder: Path, cache_dir: Path | None = None) -> Trial:
    """A bundle's int8 encoder, through the door's own code: detect, align, embed.

    protocol: "lfw" (View 2, `folder`/lfw.tar), "lfw-grey", "identification" (LFW's people) or "att" (fetched).
    Raises BadInput, naming the option when the data is not there, LostLink when it cannot be fetched.
    """
    encoder = Encoder(read_bundle(bundle, trusted=None).onnx, threads=2)
    if protocol in ("lfw", "identification"):
        return lfw_trial(encoder, folder, cache_dir)
    if protocol == "lfw-grey":
        return lfw_trial(encoder, folder, cache_dir, grey=True)
    if protocol == "att":
        return att_trial(encoder, cache_dir)
    raise BadInput(f"A bundle has no protocol {protocol!r}; there are lfw, lfw-grey, att, identification and groups.")


def verification(trial: Trial, tau: float | None = None) -> dict[str, Any]:
    """EER and TAR at false match rates with 95 % intervals by identity; LFW's ten-fold accuracy where there are folds.

    tau: a bundle's own threshold for FMR 1e-3, to say what it does to these people. A TAR is None where the impostor
    pairs are too few for the rate: less than one may match.
    """
    distances, same = trial.distances()
    genuine, impostor = distances[same], distances[~same]
    if len(genuine) == 0 or len(impostor) == 0:
        raise BadInput(f"{trial.protocol} has no pairs of one person, or none of two: nothing can be measured.")
    people = trial.identities[trial.rows()]
    eer, tars = intervals.by_identity(distances, same, people, tuple(RATES.values()))
    result: dict[str, Any] = {"protocol": trial.protocol, "subject": trial.subject}
    if trial.folded:
        accuracy = ten_fold(distances, same)
        result |= {"accuracy": float(accuracy.mean()), "accuracy_std": float(accuracy.std(ddof=1))}
    result |= {
        "people": len(np.unique(people)),
        "genuine_pairs": len(genuine),
        "impostor_pairs": len(impostor),
        "images": len(trial.pictures),
        "not_detected": trial.missed,
        "eer": equal_error_rate(genuine, impostor),
    }
    ends: dict[str, Any] = {"eer": eer}
    for (name, rate), interval in zip(RATES.items(), tars, strict=True):
        counts = rate * len(impostor) >= 1
        result[f"tar_at_fmr_{name}"] = true_accept_rate(genuine, impostor, rate) if counts else None
        if counts:
            ends[f"tar_at_fmr_{name}"] = interval
    result["intervals"] = ends
    if trial.protocol == "lfw":  # with a grey copy of a picture beside it, all pairs would hold one photo twice
        result["all_pairs"] = _all_pairs(trial)
    if tau is not None:
        result["at_bundle_tau_1e-3"] = {
            "tau": tau,
            "tar": float(np.mean(genuine <= tau)),
            "fmr": float(np.mean(impostor <= tau)),
        }
    return result


def identification(trial: Trial, galleries: Sequence[int] = GALLERIES) -> dict[str, Any]:
    """FNIR at FPIR 1e-1 to 1e-3 for galleries of 10, 100 and 1000 people, one photo each."""
    return {
        "protocol": "identification",
        "subject": trial.subject,
        "galleries": [_gallery(identify(trial.embeddings, trial.identities, size)) for size in galleries],
    }


def evaluate(bundle: bytes, protocol: str, folder: Path, cache_dir: Path | None = None) -> tuple[dict[str, Any], Trial]:
    """A bundle's numbers and what they were made of. Raises as `bundle_trial`."""
    trial = bundle_trial(bundle, protocol, folder, cache_dir)
    if protocol == "identification":
        return identification(trial), trial
    return verification(trial, read_bundle(bundle, trusted=None).calibration.tau_at(1e-3)), trial


def sentence(result: dict[str, Any]) -> str:
    """A result for a person."""
    if result["protocol"] == "identification":
        return "\n".join(_gallery_line(each) for each in result["galleries"])
    accuracy = f"accuracy {result['accuracy']:.4f}, " if "accuracy" in result else ""
    tars = ", ".join(
        f"{result[f'tar_at_fmr_{name}']:.4f} at {name}" for name in RATES if result[f"tar_at_fmr_{name}"] is not None
    )
    low, high = result["intervals"]["eer"]
    return (
        f"{result['protocol']}: {accuracy}EER {result['eer']:.4f} ({low:.4f} to {high:.4f}), TAR by FMR {tars}, over "
        f"{result['genuine_pairs']} genuine and {result['impostor_pairs']} impostor pairs of {result['people']} "
        f"people; no face was found in {result['not_detected']} of {result['images']} images."
    )


def _all_pairs(trial: Trial) -> dict[str, Any]:
    # View 2 has 3,000 impostor pairs, which say nothing of one in ten thousand; all its images have 30 million.
    calibration = calibrate(trial.embeddings, trial.identities, trial.protocol)
    return {
        "genuine_pairs": calibration.genuine_pairs,
        "impostor_pairs": calibration.impostor_pairs,
        "tar_at_fmr": {
            f"{point.fmr:.0e}".replace("e-0", "e-"): [1 - point.fnmr, 1 - point.fnmr_high, 1 - point.fnmr_low]
            for point in calibration.operating_points
            if not point.extrapolated
        },
    }


def _gallery(found: Identification) -> dict[str, Any]:
    return {
        "gallery": found.gallery,
        "draws": found.draws,
        "mated": found.mated,
        "non_mated": found.non_mated,
        "fnir_at_fpir": {
            f"{miss.fpir:.0e}".replace("e-0", "e-"): {
                "fnir": miss.fnir,
                "draws_95": [miss.low, miss.high],
                "tau": miss.tau,
                "counted": miss.strangers >= FEWEST_COUNTED,
            }
            for miss in found.misses
        },
    }


def _gallery_line(each: dict[str, Any]) -> str:
    rates = ", ".join(
        f"{row['fnir']:.3f} ({row['draws_95'][0]:.3f} to {row['draws_95'][1]:.3f}) at {fpir}"
        for fpir, row in each["fnir_at_fpir"].items()
    )
    return (
        f"identification, gallery of {each['gallery']}: FNIR by FPIR {rates}; {each['draws']} galleries drawn, "
        f"{each['mated']} mated and {each['non_mated']} non-mated searches each."
    )
