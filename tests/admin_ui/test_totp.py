"""One-time codes, against the numbers of RFC 6238."""

import cv2
import pytest

from admin_ui import totp

RFC_SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("now", "code"),
    # RFC 6238, appendix B, SHA-1; the last six of its eight digits.
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_standard(now: int, code: str) -> None:
    assert totp.step_of(RFC_SECRET, code, now, after=0) == now // totp.STEP_S
    assert totp.step_of(RFC_SECRET, f"{code[:3]} {code[3:]}", now, after=0) is not None


def test_a_code_is_good_once_and_for_a_minute_and_a_half() -> None:
    step = totp.step_of(RFC_SECRET, "287082", 59, after=0)
    assert step == 1
    assert totp.step_of(RFC_SECRET, "287082", 59, after=step) is None
    assert totp.step_of(RFC_SECRET, "287082", 59 + totp.STEP_S, after=0) == step
    assert totp.step_of(RFC_SECRET, "287082", 59 + 2 * totp.STEP_S, after=0) is None


@pytest.mark.parametrize("wrong", ["", "287083", "28708", "2870820", "abcdef", "٢٨٧٠٨٢", "1" * 1000])
def test_anything_else_is_no_code(wrong: str) -> None:
    assert totp.step_of(RFC_SECRET, wrong, 59, after=0) is None


def test_the_picture_says_what_the_typed_secret_says() -> None:
    secret = totp.new_secret()
    assert totp.untyped(totp.typed(secret)) == secret
    address = totp.address(secret, "olga", "home")
    read, _, _ = cv2.QRCodeDetector().detectAndDecode(cv2.cvtColor(totp.qr_code(address), cv2.COLOR_GRAY2BGR))
    assert read == address
    assert totp.typed(secret).replace(" ", "") in address
