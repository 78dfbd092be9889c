"""The rows of the bench, by the names of their modules; each has `ROW`, or `ROWS` for several. See bench.py."""

from __future__ import annotations

from importlib import import_module

from tests.faults.bench import Row

MODULES = ("broker", "commands", "camera", "offline", "memory", "power", "disk", "fuzz")


def all_rows() -> dict[str, Row]:
    """Name -> row, in the order of the table."""
    found: list[Row] = []
    for name in MODULES:
        module = import_module(f"tests.faults.{name}")
        found += getattr(module, "ROWS", None) or [module.ROW]
    return {row.name: row for row in found}
