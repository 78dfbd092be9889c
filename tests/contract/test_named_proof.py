"""What the documents name as proof has to be there: tests, files, rows of the fault bench."""

import re
from pathlib import Path

import pytest

from tests.faults.rows import all_rows

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAMED_TEST = re.compile(r"tests/[\w/]+\.py")
NAMED_ROWS = re.compile(r"--only ([\w,]+)")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_tests_and_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    missing = [name for name in NAMED_TEST.findall(text) if not (ROOT / name).is_file()]
    missing += [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_rows_of_the_fault_bench_are_its_own(document: Path) -> None:
    named = {row for rows in NAMED_ROWS.findall(document.read_text(encoding="utf-8")) for row in rows.split(",")}
    assert named <= all_rows().keys()


def test_the_security_model_names_its_proof() -> None:
    assert len(set(NAMED_TEST.findall((ROOT / "docs/security.md").read_text(encoding="utf-8")))) >= 10
