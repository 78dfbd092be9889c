"""The bundles of this site: which encoder is in force, and its file, signed by the site."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_ui.eyes import Eyes
from admin_ui.models import ModelRow
from admin_ui.store import Store, utc_now
from firmware_config.bundle import Bundle, BundleRefused, Manifest, check_version, read_bundle, sign_bundle
from firmware_config.errors import BadState
from firmware_config.files import OTHERS_WRITE_S, drop_half_written, write_atomic
from firmware_config.keys import SigningKey, VerifyKey

RELEASE_PUBLIC: Final = "release.pub"
DEFAULT_BUNDLE: Final = "models/default.latchkey"
MAX_SELF_TEST_ERROR: Final = 0.02
"""Largest difference of one output number to the golden one; int8 kernels of other processors round elsewhere."""


@dataclass(frozen=True)
class Shelved:
    """A bundle and the file that is sent to the doors: signed by the site."""

    bundle: Bundle
    file: bytes


AS_MADE: Final = "Choose the .latchkey file as it was made. Nothing was changed."


class Shelf:
    """Bundle files in `models` below the state folder; the store says which is in force."""

    def __init__(self, state: Path, site_key: SigningKey, default_bundle: Path | None = None) -> None:
        """default_bundle: what a new site starts with; none: the one that comes with the package."""
        self._folder = state / "models"
        drop_half_written(self._folder, "*", OTHERS_WRITE_S)
        self._site_key = site_key
        self._default = default_bundle

    def read(self, data: bytes) -> Bundle:
        """A bundle from outside: signed by the release key or by this site. Raises BundleRefused."""
        try:
            return read_bundle(data, trusted=[self._site_key.public, *release_keys()])
        except BundleRefused as error:
            raise BundleRefused(error.reason, f"{str(error).removesuffix('.')}. {AS_MADE}") from error

    def keep(self, data: bytes) -> Shelved:
        """Verify, sign with the site key, and put on the shelf (not yet in force). Raises BundleRefused, OSError."""
        self.read(data)
        signed = sign_bundle(data, self._site_key)
        bundle = self.read(signed)
        write_atomic(self._path(bundle.manifest.encoder_id), signed)
        return Shelved(bundle, signed)

    def kept(self, encoder_id: str) -> bytes:
        """The file of a bundle that was shipped. Raises BadState."""
        try:
            return self._path(encoder_id).read_bytes()
        except OSError as error:
            raise BadState(f"The file of that encoder is not on the shelf any more ({error.strerror}).") from error

    def in_force(self, store: Store) -> Shelved:
        """The bundle in force; on a new site the default becomes it. Raises BadState, BundleRefused."""
        with store.read() as session:
            row = newest(session)
        if row is None:
            first = self.keep(self._default_bytes())
            with store.write() as session:
                put_in_force(session, first.bundle.manifest)
            return first
        return self.shelved(row.encoder_id, f"The encoder in force, {row.name} {row.version},")

    def shelved(self, encoder_id: str, title: str = "That encoder") -> Shelved:
        """A bundle that was kept. title: begins the sentence where it cannot be read. Raises BadState."""
        path = self._path(encoder_id)
        try:
            data = path.read_bytes()
            bundle = read_bundle(data, trusted=[self._site_key.public])
        except (OSError, BundleRefused) as error:
            raise BadState(
                f"{title} cannot be read from {path}: {error} Restore the state folder from a backup."
            ) from error
        return Shelved(bundle, data)

    def _path(self, encoder_id: str) -> Path:
        return self._folder / f"{encoder_id[:32]}.latchkey"

    def _default_bytes(self) -> bytes:
        path = self._default
        try:
            return path.read_bytes() if path else resources.files("device").joinpath(DEFAULT_BUNDLE).read_bytes()
        except OSError as error:
            raise BadState(
                f"There is no encoder to start with: {path or DEFAULT_BUNDLE} cannot be read ({error.strerror}). "
                "Install Latchkey again."
            ) from error


def release_keys() -> list[VerifyKey]:
    """The key that the project's own bundles are signed with. Raises BadState for a damaged file."""
    text = resources.files("firmware_config").joinpath(RELEASE_PUBLIC)
    if not text.is_file():
        return []
    return [VerifyKey(bytes.fromhex(text.read_text(encoding="ascii").strip()))]


def newest(session: Session) -> ModelRow | None:
    """The bundle in force."""
    return session.scalar(select(ModelRow).order_by(ModelRow.since.desc()).limit(1))


def check_in_force(session: Session, encoder_id: str) -> None:
    """Raises BadState where another process has shipped a bundle since the caller looked at a photo."""
    row = newest(session)
    if row is None or row.encoder_id != encoder_id:
        raise BadState("The encoder was exchanged just now. Nothing was changed; try again.")


def put_in_force(session: Session, manifest: Manifest) -> None:
    """In the same transaction as the rosters for it."""
    before = newest(session)
    row = session.get(ModelRow, manifest.encoder_id) or ModelRow(encoder_id=manifest.encoder_id)
    row.name, row.version, row.since = manifest.name, manifest.version, utc_now()
    if before is not None and before is not row:
        # A clock that was set back must not bring the old one back into force.
        row.since = max(row.since, before.since + timedelta(microseconds=1))
    session.add(row)


def check_successor(new: Bundle, current: Bundle, eyes: Eyes, *, rollback: bool) -> None:
    """May `new` follow `current`? What a door would refuse is refused here, before anything is sent.

    eyes: with the new encoder. rollback: the administrator wants an older one.
    Raises BundleRefused: older_version, self_test_failed, bad_contents.
    """
    check_version(new.manifest, current.manifest.version, new.manifest.encoder_id if rollback else "")
    proof = new.proofs.get(current.manifest.encoder_id)
    if proof is not None and proof.old != current.calibration:
        # A door would carry its threshold across by numbers that it was not set by.
        raise BundleRefused(
            "bad_contents",
            "The bundle proves that it may be compared with the encoder in force by another calibration of that than "
            f"{current.manifest.name} {current.manifest.version} has. Bundle it anew, --compatible-with the file that "
            "is in force here.",
        )
    error = float(np.max(np.abs(eyes.embed(list(new.golden.inputs)) - new.golden.outputs)))
    # Written so that a NaN fails too.
    if not error <= MAX_SELF_TEST_ERROR:
        raise BundleRefused(
            "self_test_failed",
            f"The bundle's encoder computes other numbers here than where it was made (by {error:.3f}).",
        )
