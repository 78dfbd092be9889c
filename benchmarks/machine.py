"""What something was measured on, without the machine's name."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any, Final

VECTOR: Final = (
    "avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8",
    "asimddp", "i8mm", "bf16", "sve",
)  # fmt: skip
"""What decides how fast int8 and bfloat16 are, as /proc/cpuinfo names it on x86 and on Arm."""


def machine() -> dict[str, Any]:
    """Processor, cores, vector instructions, load before the run, versions."""
    import onnxruntime  # noqa: PLC0415  # device.runtime has set its environment by now

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    flags = next((line.split() for line in lines if line.startswith(("flags", "Features"))), [])
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "vector": [flag for flag in VECTOR if flag in flags],
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def in_words(described: dict[str, Any]) -> str:
    """One line for the end of a table."""
    vector = ", ".join(described["vector"]) or "none that is known"
    return (
        f"One thread of {described['cores']}: {described['cpu']}; vector instructions: {vector}; load before the run "
        f"{described['load_before']:.1f}; Python {described['python']}, onnxruntime {described['onnxruntime']}."
    )
