"""A door's audit that may be pruned, or was."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from device.audit import Audit
from device.ledger import audit_key
from device.proof import PRUNING
from firmware_config.chain import Head
from firmware_config.keys import SecretKey

HELD: Final = 3
"""Records in a segment here."""
SEALED: Final = audit_key(SecretKey(bytes(range(32))))


def pruned_door(folder: Path) -> tuple[Audit, Head]:
    """Eleven records in four segments, of which the last tells that the first three segments' first two may go."""
    made = Audit(folder, SEALED, HELD)
    heads = [Head(record["seq"], record["hash"]) for record in (made.append("event", {"n": n}) for n in range(9))]
    made.append("event", {"reason": PRUNING, "detail": {"prune": str(heads[8])}})
    made.append("event", {"reason": "unknown_face"})
    return made, heads[8]
