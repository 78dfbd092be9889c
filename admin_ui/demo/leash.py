"""Run a program that ends with the demo, even when the demo is killed.

python -m admin_ui.demo.leash PARENT PROGRAM ARGUMENT..., PARENT being the process id of the demo.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""prctl(2), linux/prctl.h: the signal that the kernel sends to this process when its parent dies."""


def main(parent: int, command: list[str]) -> None:
    """Become the program. Raises OSError when there is no such program, SystemExit when the parent is gone."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # The parent may have died before the call above; then nobody would send the signal.
    if os.getppid() != parent:
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - the demo's own command lines


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
