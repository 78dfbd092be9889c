"""A training run as a TOML file: everything that decides what comes out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from firmware_config.errors import BadInput

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Network(_Part):
    """Which network. `width` and `stem` are MobileFaceNet's, `dropout` is the tutorial's."""

    kind: Literal["tutorial", "mobilefacenet", "fusedfacenet"]
    width: float = Field(default=1.0, gt=0, le=2)
    stem: int = Field(default=64, ge=4, le=128)
    dropout: float = Field(default=0.0, ge=0, lt=1)


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


class Stage(_Part):
    """A stretch of the training with its own losses, batches and image size."""

    epochs: int = Field(ge=1)
    pixels: int = Field(ge=32, le=256)
    learning_rate: tuple[float, float]
    """At its beginning and end; a half cosine in between."""
    sampler: Literal["shuffled", "people", "pairs"] = "shuffled"
    batch: int = Field(default=128, ge=2)
    """Images a batch; pairs a batch for `pairs`."""
    images_each: int = Field(default=4, ge=2)
    singles: int = Field(default=0, ge=0)
    arcface: float = Field(default=0.0, ge=0)
    arcface_margin_degrees: float = Field(default=20.0, ge=0, lt=90)
    """0 to begin with: from random weights a margin stalls the training."""
    triplet: float = Field(default=0.0, ge=0)
    contrastive: float = Field(default=0.0, ge=0)
    taught: float = Field(default=0.0, ge=0)
    """Weight of the squared distance to what the teacher says of the same crop."""
    batches: int = Field(default=0, ge=0)
    """Batches an epoch; 0: about as many as there are images for."""
    margin: float = Field(default=0.3, gt=0)
    """Of the triplet or contrastive loss, a distance."""


class Config(_Part):
    """One run. Raises BadInput through `load` only."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    seed: int = 0
    threads: int = Field(default=2, ge=1)
    optimiser: Literal["adam", "adamw", "sgd"] = "adamw"
    weight_decay: float = Field(default=0.0, ge=0)
    warmup_steps: int = Field(default=0, ge=0)
    arcface_scale: float = Field(default=64.0, gt=0)
    checkpoint_minutes: float = Field(default=5.0, gt=0)
    network: Network
    data: Data
    stage: tuple[Stage, ...] = Field(min_length=1)


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
