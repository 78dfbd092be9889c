"""The board that the door runs on: whether the settings are meant for it, and its processor's cores."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from device.memory import few_arenas
from firmware_config.settings import DoorSettings, RuntimeSettings

log = logging.getLogger("latchkey.board")

MODEL: Final = Path("/proc/device-tree/model")
"""What an ARM board calls itself; a PC has no such file."""


def machine_model(path: Path = MODEL) -> str:
    """ "Raspberry Pi 5 Model B Rev 1.0", for example; "" where nothing says."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""


def foreign_board(settings: DoorSettings, model: str) -> str:
    """A sentence where the defaults are another board's, otherwise "". model: from machine_model()."""
    if not settings.board_model or settings.board_model in model:
        return ""
    return (
        f"The defaults are those of {settings.board}, and this is {model or 'another machine'}: camera, pins and "
        "threads may be wrong."
    )


def bind_cores(runtime: RuntimeSettings) -> str:
    """Let this process run on the cores that the settings name, threads that it starts included.

    -> a sentence where that cannot be, otherwise "".
    """
    if not runtime.cpus:
        return ""
    there = os.cpu_count() or 1
    wrong = [core for core in runtime.cpus if core >= there]
    if wrong:
        return f"runtime.cpus names core {wrong[0]}, and this board has {there}, counted from 0; all are used."
    try:
        os.sched_setaffinity(0, runtime.cpus)
    except OSError as error:
        return (
            f"The cores of runtime.cpus cannot be kept to ({error.strerror}); under systemd write CPUAffinity= into a "
            "drop-in instead: docs/boards.md."
        )
    return ""


def settle(settings: DoorSettings) -> None:
    """At the start of the daemon: what is wrong is said, and the door runs all the same."""
    few_arenas()
    for sentence in (foreign_board(settings, machine_model()), bind_cores(settings.runtime)):
        if sentence:
            log.warning("%s", sentence)
