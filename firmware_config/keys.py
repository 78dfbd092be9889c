"""Signing, sealing and the lock's single-use commands.

Ed25519 (RFC 8032) says who wrote a roster or a bundle; AES-256-GCM keeps a message between page and door;
HMAC-SHA256 (RFC 2104) over a fresh challenge makes an unlock worth one use within seconds. HKDF (RFC 5869) makes
the keys that a door's disk is sealed with.
"""

from __future__ import annotations

import hmac
import os
import secrets
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from firmware_config.errors import BadInput, BadState
from firmware_config.files import PRIVATE, write_atomic

SIGNATURE_BYTES: Final = 64
NONCE_BYTES: Final = 12
SEAL_MARK: Final = b"LKS1"
"""First bytes of every sealed message: says which sealing, so that a later one can be told apart."""

CHALLENGE_PERIOD_S: Final = 2.0
"""A challenge is current for two seconds and accepted for one period more: a command is dead after four,
which is longer than a slow Wi-Fi round trip and shorter than anybody needs to walk to a door later."""


class SignatureRefused(BadInput):
    """Signed by nobody we trust, or changed since."""


class SealRefused(BadInput):
    """Not sealed with this door's key, or for another topic, or changed since."""


def _read_key(path: Path, what: str) -> bytes:
    try:
        text = path.read_text(encoding="ascii").strip()
        raw = bytes.fromhex(text)
    except OSError as error:
        raise BadState(f"The {what} {path} cannot be read ({error.strerror}). Pair this door again.") from error
    except ValueError as error:
        raise BadState(f"The {what} {path} is not a key file: one line of 64 hex digits is expected.") from error
    if len(raw) != 32:
        raise BadState(f"The {what} {path} holds {len(raw)} bytes where 32 are expected.")
    return raw


class VerifyKey:
    """Public half of an Ed25519 key, 32 bytes."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._key = Ed25519PublicKey.from_public_bytes(raw)

    def verify(self, signature: bytes, message: bytes) -> None:
        """Raises SignatureRefused."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature as error:
            raise SignatureRefused("The signature does not fit: changed since it was signed, or foreign.") from error

    def save(self, path: Path) -> None:
        """One line of hex, readable by all. Raises OSError."""
        write_atomic(path, self.raw.hex().encode() + b"\n", mode=0o644)

    @classmethod
    def load(cls, path: Path) -> VerifyKey:
        """Raises BadState."""
        return cls(_read_key(path, "public key"))


class SigningKey:
    """Ed25519 private key, 32 bytes. Held by the page (site key) or by the release engineer, never by a door."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._key = Ed25519PrivateKey.from_private_bytes(raw)

    @classmethod
    def generate(cls) -> SigningKey:
        return cls(secrets.token_bytes(32))

    @property
    def public(self) -> VerifyKey:
        return VerifyKey(self._key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """message -> 64 bytes."""
        return self._key.sign(message)

    def save(self, path: Path) -> None:
        """One line of hex, mode 0600. Raises OSError."""
        write_atomic(path, self._raw.hex().encode() + b"\n", mode=PRIVATE)

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Raises BadState."""
        return cls(_read_key(path, "signing key"))


class SecretKey:
    """32 bytes that two parties share: page and door (sealing), or door and lock (commands)."""

    def __init__(self, raw: bytes) -> None:
        if len(raw) != 32:
            raise BadState(f"A secret key has 32 bytes, this one has {len(raw)}.")
        self._raw = raw
        self._aead = AESGCM(raw)
        self._hmac = hmac.new(raw, digestmod=sha256)

    @classmethod
    def generate(cls) -> SecretKey:
        return cls(secrets.token_bytes(32))

    def seal(self, topic: str, message: bytes) -> bytes:
        """message -> mark, 12-byte random nonce, ciphertext and tag. `topic` is authenticated, not carried."""
        nonce = os.urandom(NONCE_BYTES)
        return SEAL_MARK + nonce + self._aead.encrypt(nonce, message, topic.encode())

    def open(self, topic: str, sealed: bytes) -> bytes:
        """The inverse of `seal`. Raises SealRefused."""
        head = len(SEAL_MARK) + NONCE_BYTES
        if len(sealed) < head or not sealed.startswith(SEAL_MARK):
            raise SealRefused(f"What came on {topic} is not a sealed Latchkey message.")
        try:
            return self._aead.decrypt(sealed[len(SEAL_MARK) : head], sealed[head:], topic.encode())
        except InvalidTag as error:
            raise SealRefused(f"What came on {topic} was not sealed for this door, or was changed.") from error

    def derive(self, context: str) -> SecretKey:
        """A key of its own for one use, always the same one; it says nothing about this key. RFC 5869, HKDF-SHA256.

        context: one name for each use, e.g. "door-audit".
        """
        info = b"latchkey-derive-1|" + context.encode()
        return SecretKey(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._raw))

    def mac(self, message: bytes) -> str:
        """message -> HMAC-SHA256, 64 hex digits."""
        begun = self._hmac.copy()
        begun.update(message)
        return begun.hexdigest()

    def save(self, path: Path) -> None:
        """One line of hex, mode 0600. Raises OSError."""
        write_atomic(path, self._raw.hex().encode() + b"\n", mode=PRIVATE)

    @classmethod
    def load(cls, path: Path) -> SecretKey:
        """Raises BadState."""
        return cls(_read_key(path, "secret key"))


def command_text(door: str, action: str, challenge: str, hold_ms: int, good_ms: int | None = None) -> bytes:
    """What the lock's HMAC covers. Fields cannot contain `|`, so no two commands have one text.

    door: "site/door"; action: "unlock" or "lock"; challenge: hex; hold_ms: milliseconds the relay stays on; good_ms:
    the challenge's age at which the command is too late, None where only the challenge's own life counts.
    """
    if good_ms is not None:
        return f"latchkey-lock-2|{door}|{action}|{challenge}|{hold_ms}|{good_ms}".encode("ascii")
    return f"latchkey-lock-1|{door}|{action}|{challenge}|{hold_ms}".encode("ascii")


@dataclass(frozen=True)
class Refusal:
    """Why a command was not taken: `code` for machines (published), `sentence` for people (logged)."""

    code: str
    sentence: str


class ChallengeBook:
    """Single-use challenges of a lock or a door. Pure: `now` is monotonic seconds, handed in.

    Rules:
    - the current challenge is replaced every `period` seconds; the previous one stays good for one period more;
    - each is taken once; the rest of its life it is spent;
    - age is judged by `now`, so a book that was not rotated in time still refuses what is old;
    - a new book knows no old challenge: a restart voids every command on the way.
    """

    def __init__(self, now: float, period: float = CHALLENGE_PERIOD_S) -> None:
        self._period = period
        self._issued: dict[str, float] = {}
        self._newest = ""
        self.rotate(now)

    @property
    def current(self) -> str:
        return self._newest

    def due(self, now: float) -> bool:
        """True when `rotate` should be called and the new challenge published."""
        return now - self._issued.get(self._newest, -self._period) >= self._period

    def rotate(self, now: float) -> str:
        """Issue a new challenge (128 random bits, hex), forget those that are too old."""
        self._issued = {c: at for c, at in self._issued.items() if now - at < 2 * self._period}
        self._newest = secrets.token_hex(16)
        self._issued[self._newest] = now
        return self._newest

    def late_at(self, challenge: str, good_ms: int | None) -> float:
        """The time by `now`'s clock at which it is too late for what an unspent challenge is spent on."""
        issued = self._issued.get(challenge)
        return float("inf") if issued is None or good_ms is None else issued + good_ms / 1000

    def take(self, challenge: str, now: float, good_ms: int | None = None) -> Refusal | None:
        """Spend a challenge. None: it was good. Whoever calls has checked the MAC before.

        good_ms: the age at which it is too late for what it is spent on; None: its own life is all.
        """
        issued = self._issued.pop(challenge, None)
        if challenge == self._newest and issued is not None:
            self.rotate(now)
        if issued is None:
            return Refusal("spent_challenge", "The challenge is spent, or was never given since the last start.")
        if not 0 <= now - issued < 2 * self._period:
            return Refusal("stale_challenge", f"The challenge is {now - issued:.1f} s old.")
        if good_ms is not None and (now - issued) * 1000 > good_ms:
            return Refusal("late_command", "The command was on its way for too long; what it stands on is old.")
        return None
