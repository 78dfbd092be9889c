"""One record of the audit as one line of JSON: sealed for those who may read it, chained for everybody.

    {"hash": ..., "prev": ..., "sealed": base64, "seq": 7}

hash = sha256(prev + canonical {"sealed", "seq"}), over the ciphertext: `Line.read` checks a chain without the key.
The seal is bound to seq and prev, so with the key nobody else's chain passes: whoever cannot seal can neither put
a record in nor move one to another place and hash the rest anew.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from firmware_config.chain import Head, canonical, link_hash
from firmware_config.errors import BadInput, BadState
from firmware_config.keys import SealRefused, SecretKey

KEY_CONTEXT: Final = "door-audit"
"""What door.key is asked for: the page, which has it too, can read the disk of a door that died."""

RESERVED: Final = frozenset({"seq", "at", "kind", "prev", "hash"})

PADDED_TO: Final = 256
"""Bytes: a record is filled up to a multiple of this, so that its length does not tell a grant from a refusal."""

MAX_LINE: Final = 1 << 20
"""Bytes of one line at most: a damaged file without a line's end must not fill the memory."""

ADVICE: Final = "Move the audit and the outbox beside it away and keep both as evidence; the door then begins anew."

Record = dict[str, Any]
"""seq, at (ISO 8601, UTC), kind, the facts, hash."""


def audit_key(door_key: SecretKey) -> SecretKey:
    """The key that a door's audit is sealed with."""
    return door_key.derive(KEY_CONTEXT)


def write_line(key: SecretKey, head: Head, kind: str, facts: Mapping[str, Any], at: datetime) -> tuple[bytes, Record]:
    """The record after `head` -> the line for the disk, and the record as `Line.open` will give it.

    facts: JSON values under names that are not RESERVED. at: with a time zone. Raises BadInput.
    """
    if RESERVED & facts.keys():
        raise BadInput(f"The audit keeps {', '.join(sorted(RESERVED & facts.keys()))} for itself.")
    seq = head.count + 1
    moment = at.isoformat(timespec="milliseconds")
    try:
        inside = canonical({"at": moment, "kind": kind, **facts})
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"The audit cannot keep {kind} as JSON: {error}.") from error
    inside += b" " * (-len(inside) % PADDED_TO)
    outside = {"seq": seq, "sealed": base64.b64encode(key.seal(_place(seq, head.hash), inside)).decode()}
    link = link_hash(head.hash, outside)
    line = canonical({**outside, "prev": head.hash, "hash": link}) + b"\n"
    return line, {"seq": seq, "at": moment, "kind": kind, **facts, "hash": link}


@dataclass(frozen=True)
class Line:
    """A line whose own hash is right. sealed: base64."""

    seq: int
    prev: str
    hash: str
    sealed: str

    @property
    def head(self) -> Head:
        """The chain up to here."""
        return Head(self.seq, self.hash)

    @classmethod
    def read(cls, data: bytes, place: str) -> Line:
        """place: for the sentence. Raises BadState."""
        try:
            found = json.loads(data)
            line = cls(**found)
            fits = line.hash == link_hash(line.prev, {"seq": line.seq, "sealed": line.sealed})
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise BadState(f"{place} is not an audit record. {ADVICE}") from error
        if not fits or isinstance(line.seq, bool) or not isinstance(line.seq, int) or not data.endswith(b"\n"):
            raise BadState(f"{place} was changed after it was written. {ADVICE}")
        return line

    def follows(self, previous: Head, place: str) -> None:
        """Raises BadState when a record between is missing, or was put in."""
        if self.prev != previous.hash or self.seq != previous.count + 1:
            raise BadState(f"{place}: a record before this one is missing or was put in. {ADVICE}")

    def open(self, key: SecretKey, place: str) -> Record:
        """Raises BadState: another door's key, or somebody without the key wrote this and hashed the chain anew."""
        try:
            inside = json.loads(key.open(_place(self.seq, self.prev), base64.b64decode(self.sealed, validate=True)))
        except (SealRefused, binascii.Error, ValueError, TypeError) as error:
            raise BadState(f"{place} was not sealed with this door's key. {ADVICE}") from error
        return {"seq": self.seq, **inside, "hash": self.hash}


def _place(seq: int, previous: str) -> str:
    return f"latchkey-audit-2|{seq}|{previous}"
