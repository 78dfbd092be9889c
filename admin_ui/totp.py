"""One-time codes of an authenticator app (RFC 6238): the second thing that a login asks for."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from typing import Final

import cv2
import numpy as np
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from firmware_config.face import ImageArray

SECRET_BYTES: Final = 20
"""RFC 4226, section 4: 160 bits are recommended."""
DIGITS: Final = 6
STEP_S: Final = 30
DRIFT_STEPS: Final = 1
"""One step of clock error either way (RFC 6238, section 5.2)."""
QR_MODULE_PX: Final = 4


def new_secret() -> bytes:
    """bytes[20], random."""
    return secrets.token_bytes(SECRET_BYTES)


def typed(secret: bytes) -> str:
    """The secret as an app takes it from a keyboard: base32 in groups of four."""
    text = base64.b32encode(secret).decode("ascii")
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def untyped(text: str) -> bytes:
    """The inverse of `typed`. Raises ValueError."""
    try:
        return base64.b32decode("".join(text.split()).upper())
    except binascii.Error as error:
        raise ValueError("not base32") from error


def address(secret: bytes, account: str, site: str) -> str:
    """otpauth://..., what a QR code carries."""
    return _totp(secret).get_provisioning_uri(account, f"Latchkey {site}")


def qr_code(text: str) -> ImageArray:
    """uint8[H, W], black on white with the quiet zone that ISO/IEC 18004 asks for (four modules)."""
    code = cv2.QRCodeEncoder.create().encode(text)
    # OpenCV leaves a margin of its own; it is cut off so that ours is exact.
    dark = np.argwhere(np.asarray(code) < 128)
    (top, left), (bottom, right) = dark.min(axis=0), dark.max(axis=0) + 1
    bare = np.asarray(code)[top:bottom, left:right]
    framed = np.pad(bare, 4, constant_values=255)
    return np.asarray(np.kron(framed, np.ones((QR_MODULE_PX, QR_MODULE_PX))), dtype=np.uint8)


def step_of(secret: bytes, code: str, now: float, after: int) -> int | None:
    """The step that this code belongs to, None for a wrong or a used one.

    now: seconds since 1970. after: the last step that was used; a code is good once (RFC 6238, section 5.2).
    """
    digits = "".join(code.split())
    current = int(now // STEP_S)
    found = None
    # All are computed, whichever fits: time tells nothing.
    for step in range(current - DRIFT_STEPS, current + DRIFT_STEPS + 1):
        right = hmac.compare_digest(_totp(secret).generate(step * STEP_S), digits.encode("utf-8"))
        if right and step > after:
            found = step
    return found


def _totp(secret: bytes) -> TOTP:
    # SHA-1 is what authenticator apps compute; HMAC does not need its collision resistance.
    return TOTP(secret, DIGITS, SHA1(), STEP_S, enforce_key_length=False)  # noqa: S303
