"""What may be sent to the page on purpose, and how it has to answer: in sentences for a person at a desk."""

from __future__ import annotations

import re
from typing import Any, Final

from admin_ui.page.blocks import FAILED
from tests.admin_ui.open_page import Answer

HOSTILE: Final[dict[str, Any]] = {
    "nothing": None,
    "number": 5,
    "not a number": float("nan"),
    "truth": True,
    "list": [[]],
    "object": {"path": "/etc/passwd"},
    "right to left": "\u202egnp.exe",
    "long": "x" * 10_000,
    "null": "a\0b",
    "half a character": "\ud800",
    "script": "<script>alert(1)</script>",
}
TECHNICAL: Final = re.compile(
    r"Traceback|\w(Error|Exception)\b|pydantic|sqlalchemy|sqlite|gradio|validation|NoneType|<class|object at 0x|"
    r"\bJSON\b|\b(dict|str|int|bool|tuple|payload)\b|\b[a-z]+_[a-z_]+\b|\.py\b",
    re.IGNORECASE,
)
"""Words of programs, which are no words for a person at a desk."""
SENTENCE: Final = re.compile(r"^([A-Z'\"<\d]|front ).*[.!?]$", re.DOTALL)
SENTENCE_OF_A_PROGRAM: Final = re.compile(r"^\w.*[.!?]$", re.DOTALL)
OF_A_BUNDLE: Final = re.compile(r"[\w.]+\.(json|onnx|npz|md)\b")
"""Files that a bundle has to have: it is told which are not there."""
LONGEST: Final = 400
"""Characters."""


def faults(answer: Answer, programs: bool) -> list[str]:
    """What is wrong with how it is told."""
    words = [re.sub(r"<[^>]*>", " ", text) for text in answer.refusals]
    # Whoever writes a program knows a parameter by its name.
    sentence = SENTENCE_OF_A_PROGRAM if programs else SENTENCE
    found = [f"not told as a sentence: {text}" for text in words if not sentence.match(text.strip())]
    found += [f"says what is wrong and not what to do: {text}" for text in words if not re.search(r"[.;,:] \S", text)]
    if not programs:
        found += [f"a word of programs: {text}" for text in words if TECHNICAL.search(OF_A_BUNDLE.sub("", text))]
    found += [f"a sentence that nobody reads to its end: {text[:80]}" for text in words if len(text) > LONGEST]
    found += [f"a defect: {answer.cause!r}"] * (answer.toast == FAILED)
    found += ["markup comes back" for text in answer.texts if "<script>alert" in text and "lk-" in text]
    return found
