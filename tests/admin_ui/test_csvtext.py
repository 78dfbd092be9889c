"""CSV that a spreadsheet reads as text."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_ui.csvtext import FORMULA, safe_cell, table


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =cmd|' /C calc'!A0", "\uff1d1+1"])
def test_what_would_be_computed_is_text(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


def test_numbers_stay_numbers_and_nothing_stays_empty() -> None:
    assert [safe_cell(one) for one in (-0.25, 3, None, "", "Ana", "a-b")] == ["-0.25", "3", "", "", "Ana", "a-b"]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), min_size=2, max_size=2))
def test_a_table_reads_back_cell_by_cell_and_holds_no_formula(cells: list[str]) -> None:
    text = table(("a", "b"), [cells]).decode("utf-8-sig")
    _, read = list(csv.reader(io.StringIO(text, newline="")))
    assert [one.removeprefix("'") for one in read] == [one.removeprefix("'") for one in cells]
    assert not any(one.lstrip(" ").startswith(FORMULA) for one in read)
