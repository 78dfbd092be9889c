"""Settings that no person wrote: refused with a sentence, in no time."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import pytest

from firmware_config.schema import SettingsRefused
from firmware_config.settings import load_admin
from firmware_config.tomltext import MAX_BYTES, TomlRefused, parse_toml


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x = " + "9" * 5000, "digits"),
        ("x = 0x" + "f" * 5000, "64 bits"),
        ("[x]\ny = [1, {z = 9223372036854775808}]", "64 bits"),
        ("x = " + "[" * 5000, "too deep"),
        ("x = " + "{a=" * 5000, "too deep"),
        ("a." * 30_000 + "a = 1", "dots"),
        ("[" + "a." * 30_000 + "a]", "dots"),
        ("#" * (MAX_BYTES + 1), "bytes"),
        ("x = 1\nx = 2", "overwrite"),
    ],
)
def test_it_is_refused_and_quickly(text: str, why: str) -> None:
    # Of this thread, without a collection of what thousands of other tests have left: that is no parser's time.
    gc.disable()
    try:
        begun = time.thread_time()
        with pytest.raises(TomlRefused, match=why):
            parse_toml(text.encode())
        took = time.thread_time() - begun
    finally:
        gc.enable()
    assert took < 0.5


def test_the_longest_integers_are_read() -> None:
    assert parse_toml(b"x = [9223372036854775807, -9223372036854775808]") == {"x": [2**63 - 1, -(2**63)]}


def test_an_endless_value_is_not_repeated_to_whoever_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "admin.toml"
    path.write_text(f'site = "{"X" * 10_000}"\n', encoding="utf-8")
    with pytest.raises(SettingsRefused) as refused:
        load_admin(path)
    assert len(str(refused.value)) < 400
