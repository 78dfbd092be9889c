"""Signing, sealing and single-use challenges."""

from __future__ import annotations

import hmac
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_config.errors import BadState
from firmware_config.keys import (
    ChallengeBook,
    SealRefused,
    SecretKey,
    SignatureRefused,
    SigningKey,
    VerifyKey,
    command_text,
)

KEY = SecretKey(bytes(range(32)))
TOPIC = "latchkey/office/front/roster"


def test_a_signature_holds_for_one_message_and_one_key() -> None:
    key = SigningKey.generate()
    signature = key.sign(b"open")
    key.public.verify(signature, b"open")
    for other_key, other_signature, message in (
        (key.public, signature, b"opem"),
        (SigningKey.generate().public, signature, b"open"),
        (key.public, signature[:-1], b"open"),
        (key.public, b"", b"open"),
        (key.public, bytes(64), b"open"),
    ):
        with pytest.raises(SignatureRefused):
            other_key.verify(other_signature, message)


def test_ed25519_is_the_one_of_rfc_8032() -> None:
    # Section 7.1, test 2.
    secret = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    key = SigningKey(secret)
    assert key.public.raw.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert key.sign(b"\x72").hex().startswith("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da")


def test_what_is_sealed_opens_with_the_key_on_its_topic_only() -> None:
    sealed = KEY.seal(TOPIC, b"secret")
    assert b"secret" not in sealed
    assert KEY.open(TOPIC, sealed) == b"secret"
    assert KEY.seal(TOPIC, b"secret") != sealed
    with pytest.raises(SealRefused):
        KEY.open("latchkey/office/back/roster", sealed)
    with pytest.raises(SealRefused):
        SecretKey.generate().open(TOPIC, sealed)


def test_a_derived_key_is_hkdf_of_rfc_5869_one_for_each_use() -> None:
    secret = bytes(range(32))
    extracted = hmac.new(bytes(32), secret, sha256).digest()
    expanded = hmac.new(extracted, b"latchkey-derive-1|door-audit" + b"\x01", sha256).digest()
    sealed = SecretKey(expanded).seal(TOPIC, b"secret")
    assert KEY.derive("door-audit").open(TOPIC, sealed) == b"secret"
    for other in (KEY, KEY.derive("door-outbox"), SecretKey.generate().derive("door-audit")):
        with pytest.raises(SealRefused):
            other.open(TOPIC, sealed)


@given(st.binary(max_size=64), st.data())
def test_a_sealed_message_with_any_byte_changed_is_refused(message: bytes, data: st.DataObject) -> None:
    sealed = bytearray(KEY.seal(TOPIC, message))
    assert KEY.open(TOPIC, bytes(sealed)) == message
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealRefused):
        KEY.open(TOPIC, bytes(sealed))


@given(st.binary(max_size=80))
def test_no_bytes_at_all_open_by_accident(noise: bytes) -> None:
    for sealed in (noise, b"LKS1" + noise):
        with pytest.raises(SealRefused):
            KEY.open(TOPIC, sealed)


def test_keys_are_saved_privately_and_read_back(tmp_path: Path) -> None:
    signing, secret = SigningKey.generate(), SecretKey.generate()
    signing.save(tmp_path / "site.key")
    signing.public.save(tmp_path / "site.pub")
    secret.save(tmp_path / "door.key")
    assert (tmp_path / "site.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "door.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "site.pub").stat().st_mode & 0o777 == 0o644
    assert SigningKey.load(tmp_path / "site.key").public.raw == signing.public.raw
    assert VerifyKey.load(tmp_path / "site.pub").raw == signing.public.raw
    assert SecretKey.load(tmp_path / "door.key").mac(b"x") == secret.mac(b"x")


@pytest.mark.parametrize("content", [b"", b"not hex", b"ab" * 31, b"ab" * 33, b"\xff\xfe", "ü".encode() * 64])
def test_a_file_that_is_no_key_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "door.key"
    path.write_bytes(content)
    for kind in (SecretKey, SigningKey, VerifyKey):
        with pytest.raises(BadState, match=r"door\.key"):
            kind.load(path)


def test_a_missing_key_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadState, match="Pair this door again"):
        SecretKey.load(tmp_path / "door.key")


def test_no_key_shows_itself_when_printed() -> None:
    raw = bytes(range(32))
    for key in (SecretKey(raw), SigningKey(raw)):
        assert raw.hex() not in repr(key) + str(key)


def test_a_challenge_is_taken_once() -> None:
    book = ChallengeBook(now=0.0)
    first = book.current
    assert book.take(first, 0.5) is None
    refusal = book.take(first, 0.6)
    assert refusal is not None
    assert refusal.code == "spent_challenge"
    assert book.current != first
    assert book.take(book.current, 0.7) is None


def test_the_previous_challenge_is_good_and_the_one_before_is_not() -> None:
    book = ChallengeBook(now=0.0)
    challenges = [book.current, book.rotate(2.0), book.rotate(4.0)]
    assert book.take(challenges[0], 4.0) is not None
    assert book.take(challenges[1], 5.0) is None
    assert book.take(challenges[2], 5.0) is None


def test_a_book_that_nobody_rotated_refuses_what_is_old() -> None:
    book = ChallengeBook(now=0.0)
    assert book.due(2.0)
    assert not book.due(1.9)
    refusal = book.take(book.current, 4.0)
    assert refusal is not None
    assert refusal.code == "stale_challenge"


def test_a_new_book_knows_no_old_challenge() -> None:
    old = ChallengeBook(now=0.0).current
    assert ChallengeBook(now=0.1).take(old, 0.2) is not None
    assert ChallengeBook(now=0.1).take("", 0.2) is not None


@given(st.lists(st.tuples(st.floats(0.01, 3), st.booleans(), st.booleans()), max_size=40))
def test_no_challenge_is_taken_twice_or_after_four_seconds(script: list[tuple[float, bool, bool]]) -> None:
    now = 0.0
    book = ChallengeBook(now)
    issued = {book.current: now}
    spent: set[str] = set()
    for step, rotate, newest in script:
        now += step
        if rotate:
            issued[book.rotate(now)] = now
        challenge = book.current if newest else next(iter(issued))
        if book.take(challenge, now) is None:
            assert challenge not in spent
            assert now - issued[challenge] < 4.0
            spent.add(challenge)
        issued.setdefault(book.current, now)


def test_no_two_commands_have_one_text() -> None:
    texts = {
        command_text(door, action, challenge, hold)
        for door in ("a/b", "a/b2")
        for action in ("lock", "unlock")
        for challenge in ("00", "01")
        for hold in (200, 2000)
    }
    assert len(texts) == 16
