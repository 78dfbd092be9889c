"""A training run as a TOML file: everything that decides what comes out.

A run has stages, in which the siamese losses teach (`train`), or teachers (`distill`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError, model_validator

from firmware_config.errors import BadInput
from firmware_config.tomltext import TomlRefused, parse_toml
from trainer.parts import EarlyStop, Look, Part, Stage, Style

DOOR_NETWORKS: Final = ("mobilefacenet", "fusedfacenet")
"""Those that see the door's colour crops, and whose rows are made unit length. The others see pixels from 0 to 1."""

FIXED_SIDES: Final = {"tutorial": 100, "koch": 105}
"""Those that take one size only, pixels."""


DRAWN: Final = ("mnist", "omniglot")
"""Sources of drawings, whose validation is by alphabets and not by people."""


class Network(Part):
    """Which network. `width` and `stem` are MobileFaceNet's, `blocks` and `widths` FusedFaceNet's, `towers` the
    tutorial's, `dropout` the tutorial's and EdgeNet's, `strides` to `outputs` EdgeNet's."""

    kind: Literal["tutorial", "koch", "edgenet", "mobilefacenet", "fusedfacenet"]
    width: float = Field(default=1.0, gt=0, le=2)
    stem: int = Field(default=64, ge=4, le=128)
    blocks: tuple[int, int, int, int] = (0, 1, 4, 1)
    """Residual blocks on the maps of 56, 28, 14 and 7 pixels."""
    widths: tuple[int, int, int, int] = (16, 48, 80, 160)
    """Channels of the same maps."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    towers: Literal[1, 2] = 1
    """2: each side of a pair has weights of its own."""
    strides: tuple[int, ...] = Field(default=(4, 8), min_length=1)
    """Pixels to a cell, of each map of edges."""
    bins: int = Field(default=8, ge=4, le=32, multiple_of=4)
    """Directions of edges."""
    channels: tuple[int, ...] = ()
    """Of the convolutions over the edges; none: a linear encoder."""
    outputs: int = Field(default=128, ge=2, le=4096)
    unit: bool | None = None
    """Whether embeddings are made unit length; None: as a door's are, and the articles' are not."""

    @property
    def for_door(self) -> bool:
        return self.kind in DOOR_NETWORKS

    @property
    def unit_rows(self) -> bool:
        return self.for_door if self.unit is None else self.unit


class Data(Part):
    """Which images, and how the people are split."""

    source: Literal["shards", "folder", "att", "mnist", "omniglot"]
    """folder: one with a folder for each person. That, and omniglot's files, lie where --data says."""
    urls: tuple[str, ...] = ()
    """Shards by address, or by a command that writes one (`pipe:...`), in place of those with the prefix `named`."""
    named: str = "faces-celeba"
    """Prefix of the shards with identities."""
    unnamed: str = "faces-fairface"
    """Prefix of the shards where each image is another person."""
    unnamed_images: int = Field(default=0, ge=0)
    """How many of those join the training as people with one image."""
    terms: str = ""
    """Whose images these are and what they may be used for, in a line: for the bundle. CelebA and AT&T are known."""
    calibration_people: int = Field(default=320, ge=0)
    validation_people: int = Field(default=100, ge=0)
    held_out: tuple[str, ...] = ()
    """Omniglot's alphabets whose characters validate."""
    ways: Literal[1, 4, 8] = 1
    """Each character turned by quarters (4), and mirrored too (8), as characters of their own."""
    composed: int = Field(default=0, ge=0)
    """How many new characters to put together from two known ones."""
    digits: int = Field(default=600, ge=2)
    """How many drawings of each of MNIST's digits."""
    centred: bool = True
    """Drawings are brought to one size and place first."""

    @model_validator(mode="after")
    def _validates(self) -> Data:
        if self.validation_people == 1:
            raise ValueError("one person alone shows no impostors: say validation_people = 2 or more, or 0 for none")
        return self

    @property
    def validates(self) -> bool:
        """Whether anybody is kept to validate on."""
        return bool(self.held_out if self.source in DRAWN else self.validation_people)


class Whitening(Part):
    """`[whiten]`: an EdgeNet without convolutions begins with what varies within a person evened out."""

    views: int = Field(default=20, ge=0, le=1000)
    """Changed copies of every training image to learn from, as `[augment]` says."""
    shrink: float = Field(default=0.03, gt=0)
    """Of the mean scatter, added to every direction's."""


class TeacherFile(Part):
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
    licence: str = Field(min_length=3)

    @model_validator(mode="after")
    def _one_file(self) -> TeacherFile:
        if bool(self.asset) == bool(self.onnx) or bool(self.onnx) != bool(self.sha256):
            raise ValueError("a teacher is an asset, or an onnx file with its sha256")
        return self


class OldEncoder(Part):
    """`[distill.old]`: the student shall be comparable with templates that an older encoder made."""

    bundle: str
    """Its bundle's path."""
    encoder_id: str = Field(pattern=r"^[0-9a-f]{64}$")
    """sha256 of its ONNX, as `latchkey-trainer inspect` says it: another bundle at that path is refused."""
    weight: float = Field(default=0.5, ge=0)
    """Of where it puts a person, beside what the teachers say. 0: the teachers' space is only turned to lie upon the
    older one's, which costs the student nothing; more costs it accuracy of its own."""


class Distillation(Part):
    """How the teachers' lessons are given."""

    lessons: Literal["kept", "live"] = "kept"
    """kept: the teachers look once at every crop, at its mirror image, and at `mixes` blends of two, for CPUs.
    live: at crops and blends as the student meets them, moved anew each time, for a GPU."""
    mixes: int = Field(default=3, ge=0, le=16)
    """Turns of blends of each crop with another, each time another one; kept lessons are written once for each."""
    plain: int = Field(default=4, ge=1, le=16)
    """Turns of the plain crops in an epoch, beside those of blends."""
    whiten: float = Field(default=0.0, ge=0, le=1)
    """How far the directions of the teachers' embeddings are evened out: 0 keeps their distances, 1 whitens."""
    crops: int = Field(ge=1)
    """Crops that the student sees altogether, over all workers."""
    batch: int = Field(default=64, ge=2)
    workers: int = Field(default=2, ge=1, le=64)
    """Threads that learn, each on a processor, which meet in the middle of their weights every `sync` steps."""
    sync: int = Field(default=8, ge=1)
    rate: float = Field(default=0.02, gt=0)
    """Muon's learning rate, for matrices and convolutions; half a cosine down to 0."""
    rate_rest: float = Field(default=2e-3, gt=0)
    """AdamW's, for all else."""
    decay: float = Field(default=0.0, ge=0, lt=1)
    """Muon's weight decay, times the rate a step."""
    old: OldEncoder | None = None


class Config(Part):
    """One run. Raises BadInput through `load` only."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=2, ge=1)
    optimiser: Literal["adam", "adamw", "sgd"] = "adamw"
    weight_decay: float = Field(default=0.0, ge=0)
    warmup_steps: int = Field(default=0, ge=0)
    largest_gradient: float = Field(default=5.0, ge=0)
    """Of stages: the length that a step's gradient is cut to, that one odd batch shall not undo an hour; 0: never."""
    checkpoint_minutes: float = Field(default=5.0, gt=0)
    average: float = Field(default=0.0, ge=0, lt=1)
    """Decay a step of averaged weights, which are then the result; 0: none."""
    precision: Literal["auto", "float64", "float32", "bfloat16", "float16"] = "auto"
    """What the network computes in while it trains. auto: half of float32 on a GPU, float32 on a CPU. float64 is for
    comparing two runs: in float32 the last digits grow to other losses within a few steps."""
    loaders: int = Field(default=1, ge=1, le=64)
    """Threads that make the batches to come."""
    validate_every: int = Field(default=1, ge=1)
    """Epochs between two validations; there is one at the end of each stage too."""
    early_stop: EarlyStop | None = None
    network: Network
    start: str = ""
    """A run's folder, or a file of weights, to begin with; its network may have fewer blocks."""
    data: Data
    whiten: Whitening | None = None
    augment: Look | None = None
    """None: the defaults for a door's network, nothing for the others."""
    style: Style | None = None
    stage: tuple[Stage, ...] = ()
    teacher: tuple[TeacherFile, ...] = ()
    distill: Distillation | None = None

    @property
    def look(self) -> Look | None:
        """How training images are changed, None for not at all."""
        return Look() if self.augment is None and self.network.for_door else self.augment

    @model_validator(mode="after")
    def _one_way(self) -> Config:
        if bool(self.stage) == bool(self.distill) or bool(self.teacher) != bool(self.distill):
            raise ValueError("a run has stages, or [distill] and teachers")
        if self.distill is not None and not self.network.for_door:
            raise ValueError("teachers teach a door's network: fusedfacenet or mobilefacenet")
        if self.whiten is not None and (self.network.kind != "edgenet" or self.network.channels):
            raise ValueError("[whiten] is for an edgenet without channels")
        side = FIXED_SIDES.get(self.network.kind)
        if side and any(stage.pixels != side for stage in self.stage):
            raise ValueError(f"{self.network.kind} takes images of {side} pixels: say pixels = {side} in every stage")
        if self.network.towers == 2 and any(stage.sampler != "pairs" for stage in self.stage):
            raise ValueError("two towers learn from pairs: every stage's sampler must be pairs")
        if self.early_stop is not None and not self.data.validates:
            kept = "held_out alphabets" if self.data.source in DRAWN else "validation_people = 2 or more"
            raise ValueError(f"[early_stop] goes by people who validate: say {kept} in [data], or leave it out")
        return self


def load(path: Path) -> Config:
    """Reads a configuration. Raises BadInput that lists every wrong key at once."""
    try:
        values = parse_toml(path.read_bytes())
    except OSError as error:
        raise BadInput(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except TomlRefused as error:
        raise BadInput(f"The configuration {path} is not TOML: {error}.") from error
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in each['loc']) or 'file'}: {each['msg']}" for each in error.errors()
        )
        raise BadInput(f"The configuration {path} has {error.error_count()} errors: {wrong}.") from error
