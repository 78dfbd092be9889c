"""The face detector's file as the door runs it: made once from the official one, which is fetched by hash."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from firmware_config.assets import fetch
from firmware_config.files import write_atomic

FORM: Final = "blended"
"""In the name of the file that device/detector_graph.py makes: another form of it, another name."""


def detector_model(cache_dir: Path | None = None) -> Path:
    """YuNet as the door runs it, kept beside the official file.

    cache_dir: as for assets.fetch -> a path that detect.Detector takes. Raises LostLink as assets.fetch does.
    """
    official = fetch("yunet", cache_dir)
    ours = official.with_name(f"{official.stem}-{FORM}.onnx")
    if not ours.is_file():
        # Imported here: the daemon needs onnx on its first start only, and it is 20 MB of memory.
        from device.detector_graph import as_the_door_runs_it  # noqa: PLC0415

        write_atomic(ours, as_the_door_runs_it(official.read_bytes()), mode=0o644)
    return ours
