"""What a stage of a training consists of, in TOML: losses, looks of the images, when to stop."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Part(BaseModel):
    """A table of the file. An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


OWN_LOSSES: Final = ("contrastive", "triplet", "pair-logistic")
CLASS_LOSSES: Final = ("arcface", "cosface", "subcenter-arcface", "proxy-anchor")
"""Those that learn a vector for every training person."""
MARGINS: Final = {"contrastive": 2.0, "triplet": 0.2}
"""Distances: the articles' and FaceNet's."""


class Loss(Part):
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


class Stage(Part):
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

    @model_validator(mode="after")
    def _has_people(self) -> Stage:
        if self.sampler == "people" and self.batch < self.images_each:
            raise ValueError(
                f"a batch of {self.batch} has nobody with {self.images_each} images in it: say batch = "
                f"{2 * self.images_each} or more, or a smaller images_each"
            )
        return self


Share = Annotated[float, Field(ge=0, le=1)]
"""Of the images, by chance."""


class Look(Part):
    """`[augment]`: what a camera at a door makes of a face. 0 leaves a step out; the defaults suit a door."""

    turn_degrees: float = Field(default=6.0, ge=0, le=180)
    zoom: float = Field(default=0.05, ge=0, lt=1)
    shift: float = Field(default=0.02, ge=0, lt=1)
    """Of the side."""
    shear_degrees: float = Field(default=0.0, ge=0, le=45)
    mirror: bool = True
    landmarks: float = Field(default=0.01, ge=0, lt=0.2)
    """Standard deviation of each of the detector's five landmarks, of the side: about a pixel of the 112 on a small
    face. The crop is then cut by them, as at the door."""
    elastic: float = Field(default=0.0, ge=0, lt=0.5)
    """How far a smooth warp moves a place at most, of the side."""
    brightness: float = Field(default=0.3, ge=0, le=1)
    """Half of the range of grey levels at most, up or down."""
    contrast: float = Field(default=0.3, ge=0, lt=1)
    colour: float = Field(default=0.1, ge=0, lt=1)
    """A cast: each colour's gain, up or down."""
    shade_share: Share = 0.2
    """Light from one side."""
    backlight_share: Share = 0.1
    """A dark face before a bright ground."""
    grey_share: Share = 0.3
    """Cameras turn grey under infra-red light, which makes skin paler and evener than daylight does."""
    cover_share: Share = 0.1
    """A hand, a scarf, a cap: a patch of up to a sixth of the image."""
    mask_share: Share = 0.05
    """Nose and mouth under a mask."""
    small_share: Share = 0.2
    """Seen from afar: shrunk to between a half and a quarter and enlarged again."""
    blur_share: Share = 0.1
    motion_share: Share = 0.1
    noise: float = Field(default=5.0, ge=0, le=100)
    """Standard deviation at most, grey levels."""
    jpeg_share: Share = 0.1


class Style(Part):
    """`[style]`: training faces look as if a certain door's camera had taken them. Yang and Soatto 2020."""

    frames: str
    """Folder of that camera's pictures, of whatever; nobody needs to be named in them."""
    share: Share = 0.3
    beta: float = Field(default=0.03, gt=0, le=0.25)
    """Which frequencies are the camera's: up to this share of the image's side. Above 0.1 faces change."""


class EarlyStop(Part):
    """The result is then the epoch that was best on the validation people, and not the last."""

    score: Literal["eer", "tar_1e-2", "tar_1e-3"] = "eer"
    patience: int = Field(default=10, ge=1)
    """Validations without a better one before the training ends."""
