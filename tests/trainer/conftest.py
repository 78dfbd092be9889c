"""Small stand-ins for the real data: the tests need neither the shards nor a network connection."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.makers_training import six_people
from trainer import export
from trainer.config import Config
from trainer.data import Faces


def _picture(person: int, number: int) -> Image.Image:
    random = np.random.default_rng([person, number])
    base = np.random.default_rng(person).integers(40, 216, (4, 4, 3))
    grown = np.kron(base, np.ones((32, 32, 1)))
    return Image.fromarray(np.clip(grown + random.normal(0, 12, grown.shape), 0, 255).astype(np.uint8))


def _write_shard(path: Path, keys: list[tuple[str, int, int]]) -> None:
    with tarfile.open(path, "w") as archive:
        for key, person, number in keys:
            stream = io.BytesIO()
            _picture(person, number).save(stream, "webp", quality=80)
            entry = tarfile.TarInfo(f"{key}.webp")
            entry.size = stream.tell()
            stream.seek(0)
            archive.addfile(entry, stream)


@pytest.fixture(scope="session", autouse=True)
def _exported_once() -> Iterator[None]:
    """torch's exporter takes four seconds and more for a network, and several tests export the same one."""
    kept: dict[tuple[object, ...], bytes] = {}
    really = export.graph_to_onnx

    def once(graph: nn.Module, output: str) -> bytes:
        numbers = sha256(b"".join(each.numpy().tobytes() for each in graph.state_dict().values())).digest()
        which = (type(graph), repr(graph), getattr(graph, "mirrored", None), output, numbers)
        if which not in kept:
            kept[which] = really(graph, output)
        return kept[which]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "graph_to_onnx", once)
        yield


@pytest.fixture(scope="session")
def shard_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards of coloured squares with identities (12 people, four images each, and four with one), and one
    without identities (8 images, two groups). Shuffled, as the real ones are."""
    folder = tmp_path_factory.mktemp("shards")
    keys = [(f"ca-{person:05d}-{number:06d}", person, number) for person in range(12) for number in range(4)]
    keys += [(f"ca-{person:05d}-000000", person, 0) for person in range(12, 16)]
    order = np.random.default_rng(0).permutation(len(keys))
    shuffled = [keys[i] for i in order]
    _write_shard(folder / "faces-celeba-00.tar", shuffled[:30])
    _write_shard(folder / "faces-celeba-01.tar", shuffled[30:])
    _write_shard(
        folder / "faces-fairface-00.tar",
        [(f"ff-{'Black-F' if i < 5 else 'White-M'}-{i:06d}", 100 + i, 0) for i in range(8)],
    )
    return folder


@pytest.fixture
def grey_people() -> Faces:
    """Six people with five grey images of 100x100 each, as AT&T's look to the tutorial's network."""
    random = np.random.default_rng(3)
    base = random.integers(30, 226, (6, 1, 100, 100, 1))
    noise = random.integers(-20, 21, (6, 5, 100, 100, 1))
    pixels = np.clip(base + noise, 0, 255).astype(np.uint8).reshape(30, 100, 100, 1)
    return Faces(pixels, np.repeat(np.arange(6), 5), tuple(f"grey-{i:02d}" for i in range(30)))


@pytest.fixture(scope="session")
def tiny_door() -> Config:
    """A door's training in miniature: two stages, ArcFace then triplets, four people a batch."""
    return Config.model_validate(
        {
            "name": "tiny",
            "seed": 5,
            "threads": 1,
            "network": {"kind": "mobilefacenet", "width": 0.125, "stem": 4},
            "data": {
                "source": "shards",
                "unnamed_images": 4,
                "calibration_people": 4,
                "validation_people": 2,
            },
            "stage": [
                {"epochs": 1, "pixels": 64, "learning_rate": [1e-3, 1e-3], "batch": 8, "loss": [{"name": "arcface"}]},
                {
                    "epochs": 1,
                    "pixels": 112,
                    "learning_rate": [1e-3, 1e-4],
                    "batch": 8,
                    "images_each": 2,
                    "singles": 1,
                    "sampler": "people",
                    "loss": [{"name": "triplet"}],
                },
            ],
        }
    )


@pytest.fixture(name="six_people")
def _six_people() -> Faces:
    """Six people with five crops each."""
    return six_people()


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Sums in a fixed order, and no fight for cores with other tests."""
    torch.set_num_threads(1)
