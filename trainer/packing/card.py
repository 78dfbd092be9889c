"""MODEL_CARD.md: what a bundle says of itself to whoever decides on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from firmware_config.bundle import Manifest
from firmware_config.calibration import Calibration, OperatingPoint
from firmware_config.compatible import CrossCalibration

TAUGHT: Final = (
    "Nothing of a teacher is in it: the network learned to say of these images what a teacher says of them.\n"
)
ADOPTED: Final = (
    "It is that encoder as it was published; no weight was changed. Whom its makers trained it on is not known here: "
    "people of CelebA and LFW, who are famous, may be among them, which flatters what is measured on them.\n"
)
BY_GROUP: Final = "how often strangers of one group match is said below, misses were not measured by group."
NOT_BY_GROUP: Final = "they have not been measured by group for this version."
CELEBA_FAULTS: Final = "CelebA shows celebrities, mostly young and light-skinned, and some of its labels are wrong.\n"


def model_card(manifest: Manifest, calibration: Calibration, proofs: Sequence[CrossCalibration] = ()) -> str:
    """MODEL_CARD.md. Mitchell et al. 2019."""
    kept: dict[str, dict[str, float]] = manifest.training["validation"]
    results: dict[str, Any] = manifest.training["results"]
    points = point_rows(calibration.operating_points)
    rows = "\n".join(
        f"| {which} | {values['eer']:.4f} | {values['tar_1e-2']:.4f} | {values['tar_1e-3']:.4f} |"
        for which, values in kept.items()
    )
    groups = [value for value in results.values() if value.get("protocol") == "groups"]
    evaluations = "\n".join(
        f"- {name}: `{json.dumps(value)}`" for name, value in sorted(results.items()) if value not in groups
    )
    adopted = "adopted" in manifest.training
    inside, trained = ("float32", "not") if adopted else ("int8", "neither trained on nor")
    taught = TAUGHT if manifest.training["config"]["teacher"] else ADOPTED if adopted else ""
    taught_on = any("FairFace" in each for each in manifest.trained_on)
    warning = f"**{said}**\n\n" if (said := calibration.doubt) else ""
    faults = CELEBA_FAULTS if "CelebA" in manifest.licence else ""
    mirrored = " It looks at each crop and at its mirror image." if manifest.training.get("mirrored") else ""
    return f"""# {manifest.name} {manifest.version}

A face encoder for one door: uint8[N, 112, 112, 3] RGB crops -> float32[N, 128], unit length, {inside} inside.{mirrored}
Encoder {manifest.encoder_id}.

## Use
Deciding whether a face at a door is one of the people enrolled for it, who agreed to be. Not for naming people
who did not agree, nor for guessing age, sex, origin or mood. It does not tell a face from a photograph of one.

## Data and terms
Trained on {"; on ".join(manifest.trained_on)}. {manifest.licence}.
{taught}{faults}Error rates differ between groups of people; {BY_GROUP if groups else NOT_BY_GROUP}

## How often it is wrong
{warning}{calibration.method}
{calibration.source}: {calibration.genuine_pairs} genuine and {calibration.impostor_pairs} impostor pairs.

| FMR | tau (95 %) | FNMR (95 %) | |
|---|---|---|---|
{points}

On validation identities, {trained} calibrated with:

| | EER | TAR at FMR 1e-2 | TAR at FMR 1e-3 |
|---|---|---|---|
{rows}

## Reported, never tuned on
{evaluations or "- none"}
{quality_card(manifest.training["quality"]) if "quality" in manifest.training else ""}\
{"".join(groups_card(found, taught_on) for found in groups)}{"".join(map(compatible_card, proofs))}"""


def point_rows(points: Sequence[OperatingPoint]) -> str:
    """One row of a table for each false match rate."""
    return "\n".join(
        f"| {p.fmr:g} | {p.tau:.3f} ({p.tau_low:.3f} to {p.tau_high:.3f}) "
        f"| {p.fnmr:.3f} ({p.fnmr_low:.3f} to {p.fnmr_high:.3f}) | {'fitted' if p.extrapolated else 'counted'} |"
        for p in points
    )


def compatible_card(proof: CrossCalibration) -> str:
    """The section on one older encoder."""
    return f"""
## Compatible with {proof.templates[:12]}
Probes of this encoder may be compared with templates of encoder {proof.templates}, so a door may keep its list
through the update. TAR at FMR 1e-3 is {proof.cross_tar:.4f} across; the older encoder with itself has
{proof.old_tar:.4f} on the same pictures.
{proof.cross.source}: {proof.cross.genuine_pairs} genuine and {proof.cross.impostor_pairs} impostor pairs.

| FMR | tau (95 %) | FNMR (95 %) | |
|---|---|---|---|
{point_rows(proof.cross.operating_points)}
"""


def groups_card(found: dict[str, Any], taught_on: bool) -> str:
    """The section on groups of people. found: of `groups.by_group`. taught_on: by these images."""
    each = [{rate["group"]: rate for rate in at["groups"]} for at in found["at"]]
    rows = "\n".join(_group_row(name, [at[name] for at in each]) for name in sorted(each[0]))
    seen = ", and the network was taught on them, without names" if taught_on else ""
    return f"""
## Groups
Share of the pairs of strangers of one group that match: {found["images"]} images of FairFace, nearly all of another
person{seen}. Where the people at a door are of one group, its row is nearer to the truth than
the rate that a threshold was made for. Small children, who are alike, are among them: adults alone match less often.

| group, sex | images | {" | ".join(f"tau for {at['wanted']:g}" for at in found["at"])} |
|---|---|{"---|" * len(each)}
| all pairs | {found["images"]} | {" | ".join(f"{at['fmr']:.1e}" for at in found["at"])} |
{rows}
"""


def _group_row(name: str, rates: Sequence[dict[str, Any]]) -> str:
    return f"| {name} | {rates[0]['images']} | {' | '.join(format(rate['fmr'], '.1e') for rate in rates)} |"


def quality_card(found: dict[str, Any]) -> str:
    """The section on quality.onnx. found: of `measure_quality`."""
    rows = "\n".join(
        f"| {kind} | {value:.3f} | {' '.join(f'{share:.0%}' for share in found['refused_at_level'][kind])} |"
        for kind, value in found["srocc"].items()
    )
    curves = "\n".join(
        f"| {name} | {' | '.join(f'{rate:.3f}' for rate in found[f'{name}_photographs']['fnmr'])} |"
        for name in ("good", "spoilt")
    )
    return f"""
## Quality
quality.onnx ranks pictures: 0 is the worst that a door takes, 1 the median good photograph. Trained on pairs of one
crop at two levels of a distortion (RankIQA, Liu et al. 2017) and on how far each distortion moves the embedding.
On {found["crops"]} crops of {found["people"]} people not trained on:

| distortion | rank correlation with its level | refused at levels 0 to 5 |
|---|---|---|
{rows}

FNMR at tau {found["good_photographs"]["tau"]:.3f} when the worst 0, 5, 10, 20 % of probes are refused:

| photographs | 0 | 5 % | 10 % | 20 % |
|---|---|---|---|---|
{curves}
"""
