"""An older encoder's templates: declared and proven, or refused; and where the threshold goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from firmware_config.bundle import BundleRefused, pack_bundle, read_bundle, sign_bundle
from firmware_config.compatible import crossed, part_name
from firmware_config.keys import SigningKey
from firmware_config.messages import encode
from firmware_config.roster import Policy
from tests.makers import bundle_parts, encoder_id, toy_onnx
from tests.makers_compatible import compatible_parts, moved, proof

KEY = SigningKey(bytes(range(32)))
PROOF = part_name(encoder_id(1))
Parts = dict[str, bytes]


def test_a_declaration_with_its_proof_is_read_and_survives_signing_anew() -> None:
    data = pack_bundle(compatible_parts(), KEY)
    for signed in (data, sign_bundle(data, KEY)):
        bundle = read_bundle(signed, [KEY.public])
        assert bundle.manifest.compatible_with == [encoder_id(1)]
        assert bundle.proofs == {encoder_id(1): proof()}


def test_a_bundle_that_declares_nothing_has_no_proofs() -> None:
    assert read_bundle(pack_bundle(bundle_parts(), None), None).proofs == {}


def declaring(*older: str) -> Parts:
    parts = bundle_parts("2.0.0", toy_onnx(2))
    named = ", ".join(f'"{encoder}"' for encoder in older)
    return {
        **parts,
        "manifest.json": parts["manifest.json"].replace(
            b'"compatible_with":[]', f'"compatible_with":[{named}]'.encode()
        ),
    }


def with_proof(**changes: object) -> Parts:
    return {**compatible_parts(), PROOF: encode(proof(**changes))}  # type: ignore[arg-type]


FORGED: dict[str, tuple[Callable[[], Parts], str]] = {
    "no proof": (lambda: {k: v for k, v in compatible_parts().items() if k != PROOF}, "lacks the calibration"),
    "no declaration": (lambda: {**bundle_parts("2.0.0", toy_onnx(2)), PROOF: encode(proof())}, "does not declare it"),
    "the proof of another old encoder": (lambda: with_proof(templates=encoder_id(3)), "was measured with templates of"),
    "the proof of another new encoder": (lambda: with_proof(probes=encoder_id(3)), "was measured with templates of"),
    "another encoder's file name": (
        lambda: {**declaring(encoder_id(3)), part_name(encoder_id(3)): encode(proof())},
        "was measured with templates of",
    ),
    "itself": (lambda: {**declaring(encoder_id(2)), part_name(encoder_id(2)): encode(proof())}, "or itself"),
    "one encoder twice": (lambda: {**declaring(encoder_id(1), encoder_id(1)), PROOF: encode(proof())}, "twice"),
    "too many": (lambda: declaring(*(encoder_id(seed) for seed in range(3, 8))), "compatible_with"),
    "no encoder's id": (lambda: declaring("old"), "compatible_with"),
    "worse than the old encoder": (lambda: with_proof(old_tar=0.95), "nobody would gain"),
    "no number": (
        lambda: {**compatible_parts(), PROOF: encode(proof()).replace(b'"old_tar":0.8', b'"old_tar":NaN')},
        "old_tar",
    ),
    "no threshold for the guard": (
        lambda: with_proof(
            cross=moved(proof().cross, 0.0).model_copy(update={"operating_points": proof().cross.operating_points[:-1]})
        ),
        "no threshold for FMR 1e-06",
    ),
    "nonsense": (lambda: {**compatible_parts(), PROOF: b"{}"}, "refused"),
}


@pytest.mark.parametrize("name", FORGED)
def test_whatever_is_not_proven_is_refused_with_a_sentence_though_it_is_signed(name: str) -> None:
    make, says = FORGED[name]
    with pytest.raises(BundleRefused, match=says) as caught:
        read_bundle(pack_bundle(make(), KEY), [KEY.public])
    assert caught.value.reason == "bad_contents"


def test_the_threshold_moves_to_where_a_stranger_passes_as_rarely() -> None:
    policy = Policy(tau=0.9, tau_strict=0.7, votes_needed=2, margin=0.1)
    moved_one = crossed(policy, proof(shift=0.1), templates=1)
    assert moved_one.tau == pytest.approx(1.0, abs=1e-3)
    assert moved_one.tau_strict == pytest.approx(0.8, abs=1e-3)
    assert moved_one.model_dump(exclude={"tau", "tau_strict"}) == policy.model_dump(exclude={"tau", "tau_strict"})


def test_a_policy_that_follows_the_gallery_is_never_looser_than_that_asks_for() -> None:
    # As if tau had been set for one template, and a hundred had come since.
    policy = Policy(tau=0.9, tau_strict=0.7, fpir=1e-4)
    assert crossed(policy, proof(), templates=1).tau == pytest.approx(1.0, abs=1e-3)
    assert crossed(policy, proof(), templates=100).tau == pytest.approx(0.8, abs=1e-2)


def test_stricter_than_anything_measured_stays_stricter() -> None:
    strict = crossed(Policy(tau=0.6, tau_strict=0.3), proof(shift=0.1), templates=1)
    assert strict.tau == pytest.approx(0.7, abs=1e-3)
    assert strict.tau_strict == pytest.approx(0.4, abs=1e-3)
    assert crossed(Policy(tau=0.05, tau_strict=0.05), proof(shift=-0.2), templates=1).tau == 0.05


def test_a_lower_threshold_never_becomes_a_higher_one() -> None:
    taus = [0.05 + 0.01 * step for step in range(150)]
    across = [proof(shift=-0.05).tau_across(tau) for tau in taus]
    assert across == sorted(across)
