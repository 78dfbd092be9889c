"""`latchkey-device` and `python -m device`: what has to be so before anything else is loaded."""

from __future__ import annotations

import os
import sys

from device.memory import loading

# One thread for numpy too: on four cores its pool would wake three more for a list of a thousand.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# What is read off the wire is checked by us alone: pydantic would ask whatever plugins happen to be installed.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def main() -> int:
    """The command of sys.argv -> exit code."""
    with loading():
        from device.cli import main as obey  # noqa: PLC0415

    return obey()


if __name__ == "__main__":
    sys.exit(main())
