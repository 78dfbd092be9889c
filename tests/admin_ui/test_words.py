"""The page in Chinese: a table from the texts that the page really shows."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

import admin_ui
import device
import firmware_config
from admin_ui.sentences import AT_THE_DOOR, IN_A_PHOTO

PACKAGE = Path(admin_ui.__file__).parent
CONTRACT = Path(firmware_config.__file__).parent
DEVICE = Path(device.__file__).parent
TABLE: dict[str, str] = json.loads((PACKAGE / "page" / "zh-CN.json").read_text("utf-8"))
GAP = re.compile(r"\{(\w+)\}")


COMPOSED = re.compile(r"\{\w+\}|\d[\d,]*|: |\(list |, ")
"""Where the code puts a text together, besides gaps: numbers, a role and what it may, a deed and its list."""


def texts_of(path: Path) -> list[str]:
    """Every string of a Python file, adjacent ones joined as Python joins them; gaps of f-strings are left out."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            found.append("\0".join(part.value for part in node.values if isinstance(part, ast.Constant)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


FRAMEWORK = ("Drop File Here", "- or -", "Click to Upload", "Click to Access Webcam", "Drop Image Here", "Error",
             "Connection errored out.", "Connection to the server was lost. Attempting reconnection...")  # fmt: skip
"""Gradio's own, which go by the browser's language and not by the page's."""


@pytest.fixture(scope="module")
def source() -> str:
    """Every text of the package."""
    texts = [text for path in PACKAGE.rglob("*.py") for text in texts_of(path)]
    texts += [path.read_text("utf-8") for kind in ("html", "js") for path in PACKAGE.rglob(f"*.{kind}")]
    # What the contract says of bundles, keys and names, and codes as they are shown.
    texts += [text for path in CONTRACT.glob("*.py") for text in texts_of(path)]
    texts += [text for path in (DEVICE / "model.py", DEVICE / "stages.py") for text in texts_of(path)]
    texts += [str(code).replace("_", " ") for code in AT_THE_DOOR]
    texts += FRAMEWORK
    return re.sub(r"\s+", " ", "\n".join(texts)).casefold()


@pytest.mark.parametrize("english", sorted(TABLE))
def test_every_key_is_a_text_of_the_page(english: str, source: str) -> None:
    pieces = [piece.strip(" .,:;()") for piece in COMPOSED.split(english)]
    assert all(piece.casefold() in source for piece in pieces), "it was changed in the code and not in the table"


@pytest.mark.parametrize("english", sorted(TABLE))
def test_gaps_are_the_same_and_the_words_are_chinese(english: str) -> None:
    chinese = TABLE[english]
    assert sorted(GAP.findall(english)) == sorted(GAP.findall(chinese))
    assert re.search(r"[\u4e00-\u9fff]", chinese)


def test_what_to_do_about_a_photo_is_told_whole() -> None:
    assert set(IN_A_PHOTO.values()) <= set(TABLE)


@pytest.mark.parametrize("english", sorted(TABLE))
def test_chinese_is_written_with_chinese_punctuation(english: str) -> None:
    assert not re.search(r"[\u4e00-\u9fff]([,;:!?(]|\.(?!\w))|\.\.\.", TABLE[english])
