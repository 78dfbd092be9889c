"""Every text of the page's code that a person may come to see, as the code puts it together."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import admin_ui
import firmware_config

PACKAGE: Final = Path(admin_ui.__file__).parent
CONTRACT: Final = Path(firmware_config.__file__).parent
UNSEEN: Final = re.compile(
    r"(demo|commands|migrations)/|(cli|backup|founding|serving|carrying|totp|models)\.py|page/(health|theme)\.py"
)
"""What nobody sees on the page: the command line, files for other programs, names of columns, style. The few texts of
theme.py's script are in the table besides."""
UNTOLD: Final = frozenset(
    {
        "Event {} of {} has a time without a zone.",
        "A retained event of {} is refused: doors never send one.",
        "{} bytes, at most {} are read.",
        "{} is not for the page.",
        # For whoever starts the page: the log, the command line, and the name in a certificate.
        "The encoder in force, {} {},",
        "That encoder",
        "{} cannot be read from {}: {} Restore the state folder from a backup.",
        "Latchkey {}",
        (
            "The page's certificate {} and its key {} cannot be used: {}. Correct `cert_file` and `key_file` under "
            "[page] in admin.toml; both are PEM, the key without a password."
        ),
        "{} is no host name and no address. Nothing was changed.",
        *("Latchkey", "English", "Office", "False"),
    }
)
"""What goes to the log alone, and names that are the same in every language."""
REFUSALS: Final = ("bundle.py", "calibration.py", "compatible.py", "plainzip.py")
"""Of the contract: what it says of a bundle stands on the page."""
HTML_CALLS: Final = frozenset({"when", "face", "badges"})
"""Their answer is HTML: a text ends before it and another begins after it."""
CODE: Final = re.compile(r"lk-|=>|^[a-z_]+$|^[\W\d]*$|^(PRAGMA|VACUUM|SELECT|BEGIN|REPEATABLE|# )")
"""Style classes, scripts, names of fields, SQL: texts for machines."""
WORDY: Final = re.compile(r"^[A-Z`{][^_=]*[A-Za-z]{2}.*[.?!:]$|^[A-Z][a-z]+( [A-Za-z0-9'(),.%&:{}-]+)*$", re.DOTALL)
"""A sentence, or a label that begins with a capital."""


@dataclass(frozen=True)
class Text:
    """One text with `{}` where the code fills something in, and where it stands."""

    text: str
    place: str


def page_texts() -> list[Text]:
    """In the order of the code, each once."""
    paths = [path for path in sorted(PACKAGE.rglob("*.py")) if not UNSEEN.match(str(path.relative_to(PACKAGE)))]
    found: dict[str, Text] = {}
    for path in [*paths, *(CONTRACT / name for name in REFUSALS)]:
        for line, whole in _strings(ast.parse(path.read_text("utf-8"))):
            for piece in re.split(r"<[^>]*>|\0", whole):
                text = re.sub(r"\s+", " ", piece).strip()
                if WORDY.match(text) and not CODE.search(text) and text not in UNTOLD:
                    found.setdefault(text, Text(text, f"{path.name}:{line}"))
    for path in sorted((PACKAGE / "page").glob("*.html")):
        for piece in re.split(r"<[^>]*>", path.read_text("utf-8")):
            text = re.sub(r"\s+", " ", piece).strip()
            if WORDY.match(text) and text not in UNTOLD:
                found.setdefault(text, Text(text, path.name))
    return list(found.values())


def _strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and string: f-strings with `{}` for their gaps and NUL for those that are HTML; no docstrings, no logs."""
    passed_over: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed_over.add(id(node.value))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("log."):
            passed_over |= {id(one) for one in ast.walk(node)}
    yield from _within(tree, passed_over)


def _within(node: ast.AST, passed_over: set[int]) -> Iterator[tuple[int, str]]:
    if id(node) in passed_over:
        return
    if isinstance(node, ast.JoinedStr):
        yield node.lineno, "".join(_part(part) for part in node.values)
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield from _within(part.value, passed_over)
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.lineno, node.value
    for child in ast.iter_child_nodes(node):
        yield from _within(child, passed_over)


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    value = part.value if isinstance(part, ast.FormattedValue) else part
    if isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in HTML_CALLS:
        return "\0"
    return "{}"
