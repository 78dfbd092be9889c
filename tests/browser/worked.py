"""How much processor time page and browser have taken: on a machine with other work a clock says too much."""

from __future__ import annotations

import os
from pathlib import Path


def worked_ms() -> float:
    """Milliseconds so far of the page's process and all of Chromium's that this process has started."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                # The name, in brackets, may hold anything.
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has ended
    return sum(_own_ms(pid) for pid in parents if _is_ours(pid, parents))


def _is_ours(pid: int, parents: dict[int, int]) -> bool:
    above = pid
    while above > 1 and above != os.getpid():
        above = parents.get(above, 0)
    if above != os.getpid() or pid == os.getpid():
        return False
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"chromium" in command.partition(b"\0")[0] or b"tests.page_server" in command


def _own_ms(pid: int) -> float:
    total = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(task.read_text().split()[0])
        except OSError:
            continue  # this thread has ended
    return total / 1e6
