"""Up to where the audit was pruned, sealed in a file beside it: its first segment has to go on from there.

It is written before anything is removed, so a power cut leaves segments that are removed at the next start, and never
a gap. Without the door's key none can be made, and an older one, put back, fits no segment that is left.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from firmware_config.chain import Head, canonical
from firmware_config.errors import BadState, DiskFault
from firmware_config.files import write_atomic
from firmware_config.keys import SealRefused, SecretKey

PRUNED_FILE: Final = "pruned"
CONTEXT: Final = "latchkey-audit-pruned-1"
"""What the seal is bound to, so that no head of another file passes for this one."""


def read_pruned(folder: Path, key: SecretKey) -> Head:
    """key: the audit's -> the last record that was pruned, Head() where none was. Raises BadState, DiskFault."""
    path = folder / PRUNED_FILE
    try:
        return Head(**json.loads(key.open(CONTEXT, path.read_bytes())))
    except FileNotFoundError:
        return Head()
    except OSError as error:
        raise DiskFault(f"{path} cannot be read ({error.strerror}).") from error
    except (SealRefused, ValueError, TypeError) as error:
        raise BadState(
            f"{path} was changed by somebody without the door's key. It says where the audit begins, so records may "
            "have been cut off. Move the audit and the outbox away, as evidence."
        ) from error


def write_pruned(folder: Path, key: SecretKey, through: Head) -> None:
    """On disk when this returns. Raises OSError."""
    write_atomic(folder / PRUNED_FILE, key.seal(CONTEXT, canonical({"count": through.count, "hash": through.hash})))
