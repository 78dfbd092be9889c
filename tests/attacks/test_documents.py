"""Rosters and bundles that somebody made, changed, kept or moved: each refused with its reason, nothing changed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import pytest

from device.roster import Holdings
from firmware_config.bundle import pack_bundle
from firmware_config.compatible import part_name
from firmware_config.keys import SecretKey, SigningKey
from firmware_config.messages import Topics, encode
from firmware_config.roster import ROSTER_CONTEXT, seal_roster
from tests.makers import Premises, bundle_parts, encoder_id, toy_bundle, toy_onnx
from tests.makers_compatible import compatible_bundle, compatible_parts, proof

Forge = Callable[[Premises], bytes]


def opened(premises: Premises) -> Holdings:
    """A door that runs bundle 2.0.0 and roster 5 with Ada."""
    holdings = premises.holdings()
    assert holdings.offer_bundle(premises.bundle("2.0.0", 2)).changed
    assert holdings.offer_roster(premises.sealed(premises.roster(5, {"Ada": 7}, seed=2))).changed
    return holdings


def assert_unchanged(premises: Premises, holdings: Holdings) -> None:
    """The pair runs on as before, in memory and from disk."""
    for door in (holdings, premises.holdings()):
        assert door.active.roster is not None
        assert (door.generation, [person.name for person in door.active.roster.people]) == (5, ["Ada"])
        assert door.active.manifest.version == "2.0.0"
        assert door.active.encoder.encoder_id == encoder_id(2) == door.active.roster.encoder_id
        assert door.active.gallery is not None
        assert door.staged is None
        assert door.problems == []


def good(premises: Premises) -> bytes:
    return premises.sealed(premises.roster(6, {"Mallory": 9}, seed=2))


def flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def of_another_door(premises: Premises) -> bytes:
    other = premises.roster(6, {"Mallory": 9}, seed=2).model_copy(update={"door": "back"})
    return seal_roster(other, premises.site_key, premises.door_key)


def of_another_door_moved_here(premises: Premises) -> bytes:
    """Everything right but the door's name inside: the one key used for two doors by mistake."""
    other = premises.roster(6, {"Mallory": 9}, seed=2).model_copy(update={"door": "back"})
    document = encode(other)
    signed = premises.site_key.sign(ROSTER_CONTEXT + document) + document
    return premises.door_key.seal(premises.topics["roster"], signed)


def signed_as_something_else(premises: Premises) -> bytes:
    document = encode(premises.roster(6, {"Mallory": 9}, seed=2))
    return premises.door_key.seal(premises.topics["roster"], premises.site_key.sign(document) + document)


def no_roster_inside(premises: Premises) -> bytes:
    document = b'{"site":"office"}'
    signed = premises.site_key.sign(ROSTER_CONTEXT + document) + document
    return premises.door_key.seal(premises.topics["roster"], signed)


ROSTERS: dict[str, tuple[str, Forge]] = {
    "empty": ("bad_seal", lambda _: b""),
    "not sealed": ("bad_seal", lambda p: encode(p.roster(6, {"Mallory": 9}, seed=2))),
    "tampered": ("bad_seal", lambda p: flipped(good(p), -20)),
    "tampered nonce": ("bad_seal", lambda p: flipped(good(p), 5)),
    "truncated": ("bad_seal", lambda p: good(p)[:-1]),
    "half": ("bad_seal", lambda p: good(p)[: len(good(p)) // 2]),
    "sealed by a stranger": (
        "bad_seal",
        lambda p: seal_roster(p.roster(6, {"Mallory": 9}, seed=2), p.site_key, SecretKey.generate()),
    ),
    "sealed for another topic": (
        "bad_seal",
        lambda p: p.door_key.seal(p.topics["ask"], p.door_key.open(p.topics["roster"], good(p))),
    ),
    "for another door": ("bad_seal", of_another_door),
    "for another door, moved here": ("foreign_door", of_another_door_moved_here),
    "of another site's key": (
        "bad_signature",
        lambda p: seal_roster(p.roster(6, {"Mallory": 9}, seed=2), SigningKey.generate(), p.door_key),
    ),
    "of the release key": (
        "bad_signature",
        lambda p: seal_roster(p.roster(6, {"Mallory": 9}, seed=2), p.release_key, p.door_key),
    ),
    "signed as another document": ("bad_signature", signed_as_something_else),
    "too short to be signed": ("bad_signature", lambda p: p.door_key.seal(p.topics["roster"], b"short")),
    "signed nonsense": ("bad_message", no_roster_inside),
    "older": ("older_generation", lambda p: p.sealed(p.roster(4, {"Mallory": 9}, seed=2))),
    "as old, with others in it": ("older_generation", lambda p: p.sealed(p.roster(5, {"Mallory": 9}, seed=2))),
    "of another encoder": ("encoder_mismatch", lambda p: p.sealed(p.roster(6, {"Mallory": 9}, seed=3))),
    "of the packaged encoder": ("encoder_mismatch", lambda p: p.sealed(p.roster(6, {"Mallory": 9}, seed=1))),
}


@pytest.mark.parametrize("name", ROSTERS)
def test_a_bad_roster_is_refused_with_its_reason(premises: Premises, name: str) -> None:
    holdings = opened(premises)
    reason, forge = ROSTERS[name]
    outcome = holdings.offer_roster(forge(premises))
    assert (outcome.refused, outcome.changed) == (reason, False)
    applied = holdings.applied()
    assert (applied.refused, applied.refused_topic) == (reason, "roster")
    assert applied.refused_why.endswith(".")
    assert_unchanged(premises, holdings)


def repacked(data: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    return pack_bundle(parts, None)


def with_part(name: str, value: bytes) -> Forge:
    return lambda p: repacked(p.bundle("3.0.0", 3), lambda parts: parts.update({name: value}))


def compressed(premises: Premises) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in bundle_parts("3.0.0", toy_onnx(3)).items():
            archive.writestr(name, part)
    return stream.getvalue()


OURS = part_name(encoder_id(2))
"""Where a bundle would prove that it may be compared with the templates of the door's list."""


def compatible(premises: Premises, changes: dict[str, bytes | None]) -> bytes:
    """Toy encoder 3, which declares the one that runs, with parts exchanged or (None) left out, and signed by the
    site."""
    parts = {**compatible_parts("3.0.0", old=2, new=3), **changes}
    return pack_bundle({name: part for name, part in parts.items() if part is not None}, premises.site_key)


def looser_across(premises: Premises) -> bytes:
    good = compatible_bundle(premises.site_key, "3.0.0", old=2, new=3)
    return resigned_by_nobody(good, {OURS: encode(proof(2, 3, shift=0.3))})


def declaring_later(premises: Premises) -> bytes:
    parts = compatible_parts("3.0.0", old=2, new=3)
    return resigned_by_nobody(premises.bundle("3.0.0", 3), {name: parts[name] for name in ("manifest.json", OURS)})


def resigned_by_nobody(data: bytes, changes: dict[str, bytes]) -> bytes:
    """Changed, with the signature that it had."""
    return repacked(data, lambda parts: parts.update(changes))


BUNDLES: dict[str, tuple[str, Forge]] = {
    "empty": ("not_a_bundle", lambda _: b""),
    "no zip": ("not_a_bundle", lambda _: b"#!/bin/sh\n" * 50),
    "truncated": ("not_a_bundle", lambda p: p.bundle("3.0.0", 3)[:-30]),
    "compressed": ("not_a_bundle", compressed),
    "with another file in it": ("not_a_bundle", with_part("../../etc/passwd", b"root")),
    "without an encoder": (
        "not_a_bundle",
        lambda p: repacked(p.bundle("3.0.0", 3), lambda parts: parts.pop("encoder.onnx")),
    ),
    "unsigned": ("bad_signature", lambda _: toy_bundle("3.0.0", 3)),
    "with another encoder": ("bad_signature", with_part("encoder.onnx", toy_onnx(4))),
    "with another manifest": ("bad_signature", with_part("manifest.json", bundle_parts("9.9.9")["manifest.json"])),
    "with another calibration": ("bad_signature", with_part("calibration.json", b"{}")),
    "with a part more": ("bad_signature", with_part("quality.onnx", b"more")),
    "signed by a stranger": ("bad_signature", lambda _: toy_bundle("3.0.0", 3, SigningKey.generate())),
    "signed by the release key only": ("bad_signature", lambda p: toy_bundle("3.0.0", 3, p.release_key)),
    "with a manifest of another encoder": (
        "bad_contents",
        lambda p: pack_bundle(bundle_parts("3.0.0", toy_onnx(3), encoder_id="a" * 64), p.site_key),
    ),
    "with nonsense for golden outputs": (
        "bad_contents",
        lambda p: pack_bundle({**bundle_parts("3.0.0", toy_onnx(3)), "golden.npz": b"x"}, p.site_key),
    ),
    "that does not load": ("bad_contents", lambda p: pack_bundle(bundle_parts("3.0.0", b"no onnx"), p.site_key)),
    "that fails its self-test": (
        "self_test_failed",
        lambda p: pack_bundle(bundle_parts("3.0.0", toy_onnx(3), golden_shift=0.03), p.site_key),
    ),
    "with a changed cross calibration": ("bad_signature", looser_across),
    "with a declaration put in": ("bad_signature", declaring_later),
    "that declares our encoder and proves nothing": ("bad_contents", lambda p: compatible(p, {OURS: None})),
    "that brings a proof and declares nothing": (
        "bad_contents",
        lambda p: pack_bundle({**bundle_parts("3.0.0", toy_onnx(3)), OURS: encode(proof(2, 3))}, p.site_key),
    ),
    "that proves another old encoder": ("bad_contents", lambda p: compatible(p, {OURS: encode(proof(1, 3))})),
    "that proves another new encoder": ("bad_contents", lambda p: compatible(p, {OURS: encode(proof(2, 4))})),
    "that proves that it is worse": ("bad_contents", lambda p: compatible(p, {OURS: encode(proof(2, 3, old_tar=1.0))})),
    "that is compatible and older": (
        "older_version",
        lambda p: compatible_bundle(p.site_key, "1.9.9", old=2, new=3),
    ),
    "older": ("older_version", lambda p: p.bundle("1.9.9", 3)),
    "the packaged one": ("older_version", lambda p: p.bundle("1.0.0", 1)),
    "too large": ("too_large", lambda _: b"\0" * (64 * 2**20 + 1)),
}


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bad_bundle_is_refused_with_its_reason(premises: Premises, name: str) -> None:
    holdings = opened(premises)
    reason, forge = BUNDLES[name]
    outcome = holdings.offer_bundle(forge(premises))
    assert (outcome.refused, outcome.changed) == (reason, False)
    applied = holdings.applied()
    assert (applied.refused, applied.refused_topic) == (reason, "model")
    assert_unchanged(premises, holdings)


def test_a_good_document_clears_the_refusal(premises: Premises) -> None:
    holdings = opened(premises)
    holdings.offer_roster(b"")
    holdings.offer_roster(good(premises))
    assert holdings.applied().refused == ""


def test_every_bit_of_a_sealed_roster_counts(premises: Premises) -> None:
    holdings = opened(premises)
    sealed = good(premises)
    for at in range(0, len(sealed), 37):
        assert holdings.offer_roster(flipped(sealed, at)).refused == "bad_seal", at
    assert_unchanged(premises, holdings)


def test_a_roster_of_the_same_door_at_another_site_is_refused(premises: Premises) -> None:
    holdings = opened(premises)
    elsewhere = Premises(premises.folder, topics=Topics("branch", "front"))
    assert holdings.offer_roster(elsewhere.sealed(elsewhere.roster(6, seed=2))).refused == "bad_seal"
    assert_unchanged(premises, holdings)


def test_an_old_permission_to_go_back_cannot_be_played_again(premises: Premises) -> None:
    holdings = opened(premises)
    permit = premises.sealed(premises.roster(6, {"Ada": 7}, seed=2, rollback_to=encoder_id(1)))
    assert holdings.offer_roster(permit).changed
    assert holdings.offer_roster(premises.sealed(premises.roster(7, {"Ada": 7}, seed=2))).changed
    assert holdings.offer_roster(permit).refused == "older_generation"
    assert holdings.offer_bundle(premises.bundle("1.0.0", 1)).refused == "older_version"
