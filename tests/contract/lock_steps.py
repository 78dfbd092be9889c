"""Steps of a lock's vectors, and good commands to spoil. make_lock_vectors.py says what the steps mean."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from typing import Any, Final

KEY: Final = bytes(range(32))
DOOR: Final = "office/front"
Step = dict[str, Any]


def challenge(number: int) -> str:
    return f"{number:032x}"


def mac(door: str, action: str, given: str, hold: object, key: bytes = KEY) -> str:
    """As keys.command_text has it, written out anew so that a slip there shows."""
    return hmac.new(key, f"latchkey-lock-1|{door}|{action}|{given}|{hold}".encode(), "sha256").hexdigest()


def fields(number: int = 1, action: str = "unlock", hold: int = 3000, **change: object) -> dict[str, object]:
    good = {"door": DOOR, "action": action, "challenge": challenge(number), "hold_ms": hold}
    return {**good, "mac": mac(DOOR, action, challenge(number), hold), **change}


def text(number: int = 1, action: str = "unlock", hold: int = 3000, **change: object) -> str:
    return json.dumps(fields(number, action, hold, **change), ensure_ascii=False)


def restart(at: int = 0) -> Step:
    return {"at": at, "do": "restart"}


def tick(at: int) -> Step:
    return {"at": at, "do": "tick"}


def command(answer: str, payload: str | bytes, at: int = 0, *, retained: bool = False) -> Step:
    step: Step = {"at": at, "do": "command", "answer": answer}
    step |= {"hex": payload.hex()} if isinstance(payload, bytes) else {"payload": payload}
    return step | {"retained": True} if retained else step


Vector = tuple[str, list[Step]]


def single(family: str, answer: str, payloads: dict[str, str | bytes]) -> Iterator[Vector]:
    """One payload to a lock just started. One that was no command, or not for this lock, spends nothing."""
    for name, payload in payloads.items():
        steps = [restart(), command(answer, payload)]
        if answer in {"no_command", "foreign_door", "bad_mac"}:
            steps.append(command("obeyed", text()))
        yield f"{family}: {name}", steps
