"""The encoder in force and the eyes for it, exchanged together; follows what another process has shipped."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from admin_ui.eyes import Eyes
from admin_ui.shelf import Shelf, Shelved, newest
from admin_ui.store import Store
from firmware_config.calibration import Calibration


@dataclass(frozen=True)
class Sight:
    """A bundle and eyes with its encoder."""

    shelved: Shelved
    eyes: Eyes

    @property
    def calibration(self) -> Calibration:
        return self.shelved.bundle.calibration


class SightKeeper:
    """Safe to use from any thread: whoever asks gets a pair that belongs together."""

    def __init__(self, shelf: Shelf, store: Store, make_eyes: Callable[[bytes, bytes | None], Eyes]) -> None:
        """make_eyes: encoder.onnx and quality.onnx -> Eyes. Raises BadState, BundleRefused, LostLink."""
        self._shelf = shelf
        self._store = store
        self._lock = threading.Lock()
        shelved = shelf.in_force(store)
        self._sight = Sight(shelved, make_eyes(shelved.bundle.onnx, shelved.bundle.quality))
        self._other: Sight | None = None

    def of(self, encoder_id: str, session: Session | None = None) -> Sight:
        """With the encoder of this id: the one in force, or one that doors run ahead of it. session: current's. Raises
        BadState."""
        now = self.current(session)
        if encoder_id == now.eyes.encoder_id:
            return now
        with self._lock:
            if self._other is None or self._other.eyes.encoder_id != encoder_id:
                shelved = self._shelf.shelved(encoder_id)
                self._other = Sight(shelved, now.eyes.with_encoder(shelved.bundle.onnx, shelved.bundle.quality))
            return self._other

    def current(self, session: Session | None = None) -> Sight:
        """What the store says is in force; read again when the command line has shipped another. session: of a caller
        who has one open, so that nobody waits for a second connection with one in hand. Raises BadState."""
        with contextlib.nullcontext(session) if session is not None else self._store.read() as opened:
            row = newest(opened)
        with self._lock:
            held = self._sight.shelved.bundle.manifest
            # The same encoder may come again with another ranking of quality, under a higher version.
            if row is not None and (row.encoder_id, row.version) != (held.encoder_id, held.version):
                shelved = self._shelf.in_force(self._store)
                self._sight = Sight(shelved, self._sight.eyes.with_encoder(shelved.bundle.onnx, shelved.bundle.quality))
            return self._sight
