"""Embeddings that were computed once: by what the encoder is, where it ran, and the very pixels it was shown."""

from __future__ import annotations

import hashlib
import io
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.faces import Shot
from benchmarks.machine import machine
from benchmarks.peers import Peer
from firmware_config.face import FloatArray
from firmware_config.files import write_atomic

SAVE_EVERY: Final = 500
"""Faces: what an interrupted run loses of dlib's is half a minute."""


def rows_of(peer: Peer, shots: list[Shot], folder: Path | None) -> FloatArray:
    """Each shot's embedding, float32[N, D]. folder: where they are kept; None keeps nothing.

    Several faces at a time where the encoder allows it: nothing is timed here.
    """
    path = folder / f"{peer.name.lower().replace(' ', '-')}-{_where(peer)}.npz" if folder else None
    known = _read(path)
    chips = [peer.chip(shot) for shot in shots]
    names = [hashlib.sha256(np.ascontiguousarray(chip).tobytes()).hexdigest() for chip in chips]
    missing = list({name: chip for name, chip in zip(names, chips, strict=True) if name not in known}.items())
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        each = pool.map if peer.threads else map
        for begin in range(0, len(missing), SAVE_EVERY):
            part = missing[begin : begin + SAVE_EVERY]
            known.update(zip((name for name, _ in part), each(peer.embed, (chip for _, chip in part)), strict=True))
            if path is not None:
                _write(path, known)
                print(f"{peer.name}: {begin + len(part)} of {len(missing)} faces embedded", file=sys.stderr)
    return np.stack([known[name] for name in names])


def _where(peer: Peer) -> str:
    # int8 differs a little between processors with VNNI and those without.
    here = machine()
    text = f"{peer.key} {here['cpu']} {here['vector']} {here['onnxruntime']}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(path: Path | None) -> dict[str, FloatArray]:
    if path is None or not path.exists():
        return {}
    with np.load(path) as kept:
        return dict(zip(kept["names"].tolist(), kept["rows"], strict=True))


def _write(path: Path, known: dict[str, FloatArray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, names=np.array(list(known)), rows=np.stack(list(known.values())))
    write_atomic(path, buffer.getvalue(), 0o644)
