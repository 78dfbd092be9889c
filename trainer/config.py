"""A training run as a TOML file: everything that decides what comes out.

A run has stages, in which the siamese losses teach (`train`), or teachers (`distill`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from firmware_config.errors import BadInput

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


DOOR_NETWORKS: Final = ("mobilefacenet", "fusedfacenet")
"""Those that see the door's colour crops, and whose rows are made unit length. The others see pixels from 0 to 1."""


class Network(_Part):
    """Which network. `width` and `stem` are MobileFaceNet's, `blocks` FusedFaceNet's, `dropout` the tutorial's."""

    kind: Literal["tutorial", "mobilefacenet", "fusedfacenet"]
    width: float = Field(default=1.0, gt=0, le=2)
    stem: int = Field(default=64, ge=4, le=128)
    blocks: tuple[int, int] = (2, 2)
    """Residual blocks on the 14x14 and on the 7x7 map."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    unit: bool | None = None
    """Whether embeddings are made unit length; None: as a door's are, and the articles' are not."""

    @property
    def for_door(self) -> bool:
        return self.kind in DOOR_NETWORKS

    @property
    def unit_rows(self) -> bool:
        return self.for_door if self.unit is None else self.unit


class Data(_Part):
    """Which images, and how the people are split."""

    source: Literal["shards", "att"]
    named: str = "faces-celeba"
    """Prefix of the shards with identities."""
    unnamed: str = "faces-fairface"
    """Prefix of the shards where each image is another person."""
    unnamed_images: int = Field(default=0, ge=0)
    """How many of those join the training as people with one image."""
    calibration_people: int = Field(default=320, ge=0)
    validation_people: int = Field(default=100, ge=0)


OWN_LOSSES: Final = ("contrastive", "triplet", "pair-logistic")
CLASS_LOSSES: Final = ("arcface", "cosface", "subcenter-arcface", "proxy-anchor")
"""Those that learn a vector for every training person."""
MARGINS: Final = {"contrastive": 2.0, "triplet": 0.2}
"""Distances: the articles' and FaceNet's."""


class Loss(_Part):
    """One of a stage's losses. The first three are ours, the others pytorch-metric-learning's."""

    name: Literal[
        "contrastive",
        "triplet",
        "pair-logistic",
        "arcface",
        "cosface",
        "subcenter-arcface",
        "proxy-anchor",
        "multi-similarity",
        "circle",
        "supcon",
        "nt-xent",
    ]
    weight: float = Field(default=1.0, gt=0)
    margin: float | None = Field(default=None, gt=0)
    """Of contrastive (2.0) and triplet (0.2), a distance."""
    miner: Literal["", "random", "semi-hard", "batch-hard", "multi-similarity", "pair-margin", "triplet-margin"] = ""
    """Which triplets or pairs of the batch; the last three are the library's. Triplet's own default is batch-hard."""
    options: dict[str, int | float] = {}
    """Of the library's losses, by the library's names: arcface has margin (degrees) and scale."""

    @property
    def distance_margin(self) -> float:
        """The margin that holds, a distance; semi-hard mining for a library's loss goes by triplet's."""
        return self.margin if self.margin is not None else MARGINS.get(self.name, MARGINS["triplet"])

    @model_validator(mode="after")
    def _fits(self) -> Loss:
        if self.margin is not None and self.name not in MARGINS:
            raise ValueError(f"margin is of {' and '.join(MARGINS)}; {self.name} has options")
        if self.options and self.name in OWN_LOSSES:
            raise ValueError(f"options are of the library's losses; {self.name} has none")
        mined = ("", "random", "semi-hard", "batch-hard") if self.name == "triplet" else ("",)
        if self.name in OWN_LOSSES and self.miner not in mined:
            raise ValueError(f"{self.name} has no miner {self.miner}; triplet has random, semi-hard and batch-hard")
        return self


class Stage(_Part):
    """A stretch of the training with its own losses, batches and image size."""

    epochs: int = Field(ge=1)
    pixels: int = Field(ge=28, le=256)
    learning_rate: tuple[float, float]
    """At its beginning and end; a half cosine in between."""
    sampler: Literal["shuffled", "people", "pairs"] = "shuffled"
    batch: int = Field(default=128, ge=2)
    """Images a batch; pairs a batch for `pairs`."""
    images_each: int = Field(default=4, ge=2)
    singles: int = Field(default=0, ge=0)
    batches: int = Field(default=0, ge=0)
    """Batches an epoch; 0: about as many as there are images for."""
    loss: tuple[Loss, ...] = Field(min_length=1)


class TeacherFile(_Part):
    """A public face encoder that teaches: where its file is, how it wants its crops, what it may be used for."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,30}$")
    asset: str = ""
    """An entry of firmware_config/assets.toml, fetched and known by its sha256."""
    onnx: str = ""
    """Instead of an asset: path of an ONNX file, whose sha256 is then wanted too."""
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    size: int = Field(default=112, ge=32, le=512)
    """Side of the crop that it was trained on; the door's template is scaled to it."""
    order: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Its pixels are (p - mean) / deviation with p 0 to 255, in its own order."""
    weight: float = Field(default=1.0, gt=0)
    """Of its unit rows beside those of the other teachers."""
    maps: tuple[str, ...] = Field(default=(), max_length=2)
    """Names of its tensors that the student's 14x14 and 7x7 maps shall tell too. One teacher at most has them."""
    licence: str = Field(min_length=3)

    @model_validator(mode="after")
    def _one_file(self) -> TeacherFile:
        if bool(self.asset) == bool(self.onnx) or bool(self.onnx) != bool(self.sha256):
            raise ValueError("a teacher is an asset, or an onnx file with its sha256")
        return self


class Distillation(_Part):
    """How the teachers' lessons are given."""

    lessons: Literal["kept", "live"] = "kept"
    """kept: the teachers look once at `views` fixed views of every crop, for CPUs. live: at every augmented crop
    while the student learns, for a GPU."""
    views: int = Field(default=2, ge=1, le=8)
    """Kept views of each crop; every second one is mirrored."""
    crops: int = Field(ge=1)
    """Crops that the student sees altogether, over all workers."""
    batch: int = Field(default=64, ge=2)
    workers: int = Field(default=2, ge=1, le=64)
    """Processes of one thread each, which meet in the middle of their weights every `sync` steps."""
    sync: int = Field(default=8, ge=1)
    rate: float = Field(default=0.02, gt=0)
    """Muon's learning rate, for matrices and convolutions; half a cosine down to 0."""
    rate_rest: float = Field(default=2e-3, gt=0)
    """AdamW's, for all else."""
    hints: float = Field(default=1.0, ge=0)
    """Weight of the maps beside the embedding at the start; falls in a line to a twentieth."""
    start: str = ""
    """Folder of a run whose weights to begin with; its network may have fewer blocks."""


class Config(_Part):
    """One run. Raises BadInput through `load` only."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    seed: int = 0
    threads: int = Field(default=2, ge=1)
    optimiser: Literal["adam", "adamw", "sgd"] = "adamw"
    weight_decay: float = Field(default=0.0, ge=0)
    warmup_steps: int = Field(default=0, ge=0)
    checkpoint_minutes: float = Field(default=5.0, gt=0)
    network: Network
    data: Data
    stage: tuple[Stage, ...] = ()
    teacher: tuple[TeacherFile, ...] = ()
    distill: Distillation | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Config:
        if bool(self.stage) == bool(self.distill) or bool(self.teacher) != bool(self.distill):
            raise ValueError("a run has stages, or [distill] and teachers")
        if sum(bool(teacher.maps) for teacher in self.teacher) > 1:
            raise ValueError("only one teacher may give maps")
        return self


def load(path: Path) -> Config:
    """Reads a configuration. Raises BadInput that lists every wrong key at once."""
    try:
        values = tomllib.loads(path.read_text())
    except OSError as error:
        raise BadInput(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"The configuration {path} is not TOML: {error}.") from error
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in each['loc']) or 'file'}: {each['msg']}" for each in error.errors()
        )
        raise BadInput(f"The configuration {path} has {error.error_count()} errors: {wrong}.") from error
