"""A bomb is refused by its header: there would not have been the memory for more."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.fuzz.bombs import BOMBS

WHY = {
    **dict.fromkeys(("png", "jpeg", "webp", "webp, lossless", "webp, moving", "bmp", "ppm"), "megapixels"),
    **dict.fromkeys(("png, its text", "png, its colour profile"), "not an image"),
    "zip, a million entries": "says that it has",
    "zip, huge files": "longer than the file",
    "toml, deep": "too deep",
    **dict.fromkeys(("json, deep", "json, deep and signed"), "recursion limit"),
}


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """Name of a bomb -> the sentence, from a process with 16 MB left."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.bombs"], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


def test_the_limit_bites(said: dict[str, str]) -> None:
    assert said["honest, with memory"] == "read"
    assert said["honest, without"] != "read"


def test_every_bomb_is_looked_at() -> None:
    assert WHY.keys() == BOMBS.keys()


@pytest.mark.parametrize("name", WHY)
def test_a_bomb_is_refused_by_its_header(said: dict[str, str], name: str) -> None:
    assert WHY[name] in said[name]
