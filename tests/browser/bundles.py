"""Another encoder for a site, made from the one that comes with the package."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path

import onnx

from admin_ui.keyring import Keyring
from firmware_config.bundle import pack_bundle, read_bundle
from firmware_config.compatible import part_name
from firmware_config.messages import encode
from tests.browser.conftest import Building

VERSION = "9.0.0"


def another(building: Building, path: Path) -> Path:
    """The default encoder under another name and version, signed by this site: it computes the same and is not it."""
    bundle = read_bundle(resources.files("device").joinpath("models/default.latchkey").read_bytes(), None)
    model = onnx.load_from_string(bundle.onnx)
    model.doc_string = "another"
    encoder = model.SerializeToString()
    known = {"encoder_id": hashlib.sha256(encoder).hexdigest(), "version": VERSION, "compatible_with": []}
    proofs = {part_name(encoder_id) for encoder_id in bundle.manifest.compatible_with}
    parts = {name: part for name, part in bundle.parts.items() if name not in proofs}
    parts |= {"manifest.json": encode(bundle.manifest.model_copy(update=known)), "encoder.onnx": encoder}
    path.write_bytes(pack_bundle(parts, Keyring(building.page.settings.state).site))
    return path
