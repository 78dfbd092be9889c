"""README and the page's guide say the same in English and in Chinese: what can be counted is counted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAIRS = ["README.md", "docs/guide.md"]
NUMBER = re.compile(r"\d[\d,.]*\d|\d")
OUTSIDE = re.compile(r"`[^`]*`|\([^)\s]*\)")
"""Code and addresses: they are the same anyway, or are of one language."""


def rows(name: str) -> list[list[str]]:
    """Numbers of each row of each table."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return [sorted(NUMBER.findall(OUTSIDE.sub("", line))) for line in lines if line.startswith("|")]


def chinese(name: str) -> str:
    return name.replace(".md", ".zh-CN.md")


@pytest.mark.parametrize("name", PAIRS)
def test_every_row_of_a_table_has_the_same_numbers(name: str) -> None:
    english = rows(name)
    # The Chinese guide has a table of words after all that the English one has.
    assert rows(chinese(name))[: len(english)] == english


@pytest.mark.parametrize("name", PAIRS)
def test_commands_and_pictures_are_as_many(name: str) -> None:
    def shape(text: str) -> tuple[int, int]:
        return len(re.findall(r"^```", text, re.MULTILINE)), len(re.findall(r"^!\[", text, re.MULTILINE))

    assert shape((ROOT / chinese(name)).read_text("utf-8")) == shape((ROOT / name).read_text("utf-8"))


@pytest.mark.parametrize("name", PAIRS)
def test_chinese_is_written_with_chinese_punctuation(name: str) -> None:
    text = (ROOT / chinese(name)).read_text("utf-8")
    half = re.findall(r"[\u4e00-\u9fff][,;:!?]|[\u4e00-\u9fff]\(|[\u4e00-\u9fff]\.(?!\w)", text)
    assert half == []
