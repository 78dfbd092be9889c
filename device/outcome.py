"""What became of a document that the door was sent: a code for machines, a sentence for people, facts for the audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from device.model import Active
from firmware_config.bundle import BundleRefused
from firmware_config.errors import BadInput
from firmware_config.keys import SealRefused, SignatureRefused
from firmware_config.messages import MessageRefused
from firmware_config.roster import RosterRefused

NOT_SAVED: Final = "not_saved"
"""The document is good and the disk did not take it."""


@dataclass(frozen=True)
class Outcome:
    """`refused` empty: it was taken, or had been. changed: another pair runs now. facts: what changed, in numbers."""

    refused: str = ""
    why: str = ""
    changed: bool = False
    facts: Mapping[str, int | str] = field(default_factory=dict)


def refusal_code(error: BadInput | OSError) -> str:
    """The code that is published for a document's refusal."""
    if isinstance(error, (RosterRefused, BundleRefused)):
        return error.reason
    kinds = {SealRefused: "bad_seal", SignatureRefused: "bad_signature", MessageRefused: "bad_message"}
    return kinds.get(type(error), NOT_SAVED if isinstance(error, OSError) else "bad_contents")


def switch_facts(before: Active, after: Active) -> dict[str, int | str]:
    """For the audit, where an erased person must be nobody: how many came and went, never who."""
    were, are = (
        {person.id for person in active.roster.people} if active.roster is not None else set()
        for active in (before, after)
    )
    return {
        "generation": after.roster.generation if after.roster is not None else 0,
        "people": len(are),
        "joined": len(are - were),
        "left": len(were - are),
        "model_version": after.manifest.version,
        "encoder_id": after.manifest.encoder_id,
        **({"roster_encoder": after.older} if after.older else {}),
    }
