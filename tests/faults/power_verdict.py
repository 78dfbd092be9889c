"""What a start after a power cut showed."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Verdict:
    """Sentences. corrupt: half, unreadable or not as anybody made it. resurrected: erased and back. lost: somebody was
    told of it. told: so much was said before. pruned: the door's audit has lost old segments, lawfully. ready_s: None
    when it never was."""

    corrupt: list[str] = field(default_factory=list)
    resurrected: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    told: int = 0
    pruned: bool = False
    ready_s: float | None = None

    @property
    def sentences(self) -> list[str]:
        return self.corrupt + self.resurrected + self.lost
