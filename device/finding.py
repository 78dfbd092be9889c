"""What `latchkey-device check` found about one part."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Finding:
    """One part: how it is, and what to do when it is not well."""

    part: str
    ok: bool
    sentence: str
    advice: str = ""

    def __str__(self) -> str:
        mark = "ok     " if self.ok else "PROBLEM"
        advice = f"\n{' ' * 18}{self.advice}" if self.advice else ""
        return f"{mark} {self.part:<9} {self.sentence}{advice}"

    def facts(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)
