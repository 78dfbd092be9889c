"""Run a program that ends with the demo, even when the demo is killed: python -m admin_ui.demo.leash PROGRAM ..."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""prctl(2), linux/prctl.h: the signal that the kernel sends to this process when its parent dies."""


def main() -> None:
    """Become the program that the arguments name. Raises OSError when there is no such program."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # The parent may have died before the call above; then nobody would send the signal.
    if os.getppid() != parent:
        sys.exit(1)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the demo's own command lines


if __name__ == "__main__":
    main()
