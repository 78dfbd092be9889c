"""The page in Chinese: a table from the texts that the page really shows."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

import admin_ui
from admin_ui.sentences import IN_A_PHOTO

PACKAGE = Path(admin_ui.__file__).parent
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


@pytest.fixture(scope="module")
def source() -> str:
    """Every text of the package."""
    texts = [text for path in PACKAGE.rglob("*.py") for text in texts_of(path)]
    texts += [path.read_text("utf-8") for path in PACKAGE.rglob("*.html")]
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
