"""An encoder that may be used: verified, and tested on this very board. And what runs: encoder with roster."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np

from device.gallery_file import mapped, runtime_folder
from device.match import Gallery
from device.ranker import QualityRanker
from device.search import FEW
from firmware_config.bundle import Bundle, BundleRefused, Manifest
from firmware_config.compatible import crossed
from firmware_config.errors import BadInput, BadState
from firmware_config.face import EMBEDDING_SIZE, FloatArray, ImageArray
from firmware_config.roster import Roster, RosterRefused

log = logging.getLogger("latchkey.model")

GOLDEN_TOLERANCE: Final = 0.02
"""Largest difference of one component between the bundle's golden outputs and this board's. int8 kernels of x86
and ARM may round one step apart; a wrong kernel or a wrong file is off by tenths."""


class Embedder(Protocol):
    """What holdings need of `device.embed.Encoder`."""

    @property
    def encoder_id(self) -> str:
        """sha256 of its ONNX file, hex."""

    def embed(self, crops: ImageArray) -> FloatArray:
        """uint8[N, 112, 112, 3] RGB -> float32[N, 128], unit rows. Raises BadInput, BadState."""


MakeEncoder = Callable[[bytes], Embedder]
"""An ONNX file -> its encoder. Raises BadInput."""

MakeHalf = Callable[[Bundle], "Embedder | None"]
"""A bundle with an fp16 variant -> that, where this board runs it quicker than encoder.onnx; otherwise None. Raises
BadInput."""


@dataclass(frozen=True)
class Model:
    """A verified bundle (without its ONNX bytes, which the networks have), its encoder and, if it has one, its ranker
    of quality."""

    bundle: Bundle
    encoder: Embedder
    ranker: QualityRanker | None = None

    @property
    def manifest(self) -> Manifest:
        return self.bundle.manifest


@dataclass(frozen=True)
class Active:
    """The running pair, made by `pair`. No roster and no gallery: the encoder runs, and everybody is refused.

    roster: what is judged by. sent: as the page sent it, where that has the thresholds of an older encoder; None: it is
    `roster`.
    """

    model: Model
    roster: Roster | None = None
    gallery: Gallery | None = None
    sent: Roster | None = None

    @property
    def as_sent(self) -> Roster | None:
        return self.sent or self.roster

    @property
    def older(self) -> str:
        """encoder_id that the templates are of, where that is not the encoder that runs; otherwise ""."""
        return self.sent.encoder_id if self.sent is not None else ""

    @property
    def encoder(self) -> Embedder:
        return self.model.encoder

    @property
    def bundle(self) -> Bundle:
        return self.model.bundle

    @property
    def manifest(self) -> Manifest:
        return self.model.manifest


def tested(bundle: Bundle, make_encoder: MakeEncoder, make_half: MakeHalf = lambda _: None) -> Model:  # noqa: PT028 - no test
    """Load the networks, and compare the encoder with the bundle's golden outputs. An fp16 variant that is quicker here
    takes its place, where it passes too.

    Raises BundleRefused with reason bad_contents (does not load) or self_test_failed.
    """
    try:
        encoder = make_encoder(bundle.onnx)
        ranker = QualityRanker(bundle.quality) if bundle.quality is not None else None
    except BadInput as error:
        raise BundleRefused("bad_contents", f"A network of the bundle does not load: {error}") from error
    try:
        outputs = encoder.embed(bundle.golden.inputs)
        if ranker is not None:
            ranker.score(bundle.golden.inputs)
    except (BadInput, BadState) as error:
        raise BundleRefused("self_test_failed", f"The bundle does not run on this board: {error}") from error
    worst = float(np.max(np.abs(outputs - bundle.golden.outputs)))
    if not worst <= GOLDEN_TOLERANCE:
        raise BundleRefused(
            "self_test_failed",
            f"On this board the encoder is off by {worst:.3f} from its golden outputs, at most {GOLDEN_TOLERANCE} "
            "is rounding. Export it anew, and run the self-test where it was trained.",
        )
    encoder = _half_tested(bundle, make_half) or encoder
    return Model(replace(bundle, onnx=b"", quality=None, half=None, parts={}), encoder, ranker)


def _half_tested(bundle: Bundle, make_half: MakeHalf) -> Embedder | None:
    """Never a reason to refuse a bundle: encoder.onnx has passed."""
    try:
        half = make_half(bundle) if bundle.half is not None else None
        if half is None:
            return None
        off = float(np.max(np.abs(half.embed(bundle.golden.inputs) - bundle.golden.outputs)))
    except (BadInput, BadState) as error:
        log.warning("The encoder's fp16 variant does not run on this board: %s", error)
        return None
    allowed = bundle.manifest.half_off + GOLDEN_TOLERANCE
    if not off <= allowed:
        log.warning("The encoder's fp16 variant is off by %.3f on this board, at most %.3f is rounding.", off, allowed)
        return None
    return half


def fits(bundle: Bundle, roster: Roster) -> bool:
    """May faces that this encoder saw be compared with these templates? Its own; those of an older encoder only where
    the bundle declares and proves it."""
    return roster.encoder_id == bundle.manifest.encoder_id or roster.encoder_id in bundle.proofs


def pair(model: Model, roster: Roster) -> Active:
    """Encoder and roster together, the one way to have both.

    Templates of an older encoder are compared at the thresholds of the bundle's cross calibration, never at those that
    the roster names, which are distances among the older encoder's own. Raises RosterRefused: encoder_mismatch.
    """
    ours = model.manifest.encoder_id
    if not fits(model.bundle, roster):
        raise RosterRefused(
            "encoder_mismatch",
            f"The roster was made with encoder {roster.encoder_id[:12]}, this door runs {ours[:12]} and has no other "
            "for it. Ship that model to the door.",
        )
    gallery = build_gallery(roster)
    if roster.encoder_id == ours:
        return Active(model, roster, gallery)
    templates = sum(len(person.templates) for person in roster.people)
    policy = crossed(roster.policy, model.bundle.proofs[roster.encoder_id], templates)
    return Active(model, roster.model_copy(update={"policy": policy}), gallery, roster)


def build_gallery(roster: Roster) -> Gallery:
    """The people of a roster, ready to be searched; many of them from a mapped file, where there is a folder for it."""
    owner = [index for index, person in enumerate(roster.people) for _ in person.templates]
    raw = b"".join(template for person in roster.people for template in person.templates)
    templates: FloatArray = np.frombuffer(raw, "<f4").astype(np.float32).reshape(len(owner), EMBEDDING_SIZE)
    coded = None
    folder = runtime_folder()
    if len(owner) > FEW and folder is not None:
        try:
            templates, coded = mapped(templates, folder)
        except BadState as error:
            log.warning("%s The list of people is held in memory instead.", error)
    return Gallery(
        ids=[person.id for person in roster.people],
        names=[person.name for person in roster.people],
        templates=templates,
        owner=np.asarray(owner, dtype=np.intp),
        encoder_id=roster.encoder_id,
        coded=coded,
    )
