"""A run as a file: what it may say, and all that is wrong with it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_config.errors import BadInput
from trainer import config as configuration
from trainer import train


@pytest.mark.parametrize("path", sorted((Path(train.__file__).parent / "configs").glob("*.toml")), ids=lambda p: p.stem)
def test_the_configurations_that_come_along_are_valid(path: Path) -> None:
    assert configuration.load(path).name == path.stem


def test_all_that_is_wrong_in_a_configuration_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('name = "UPPER"\nsped = 3\n[network]\nkind = "resnet"\n[data]\nsource = "att"\n')
    with pytest.raises(BadInput) as caught:
        configuration.load(path)
    for part in ("name", "sped", "network.kind"):
        assert part in str(caught.value)


def test_a_run_has_stages_or_teachers(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    path.write_text('name = "none"\n[network]\nkind = "fusedfacenet"\n[data]\nsource = "shards"\n')
    with pytest.raises(BadInput, match="stages, or \\[distill\\] and teachers"):
        configuration.load(path)


RUN = """name = "own"
{more}
[network]
kind = "mobilefacenet"
[data]
source = "{source}"
{data}
[[stage]]
epochs = 1
pixels = 112
learning_rate = [1e-3, 1e-4]
{stage}
[[stage.loss]]
name = "triplet"
"""
STOP = 'early_stop = { score = "eer" }'
PEOPLE = 'sampler = "people"'


def load(tmp_path: Path, source: str = "folder", **parts: str) -> configuration.Config:
    path = tmp_path / "own.toml"
    path.write_text(RUN.format(source=source, **{"more": "", "data": "", "stage": "", **parts}))
    return configuration.load(path)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"data": "validation_people = 1"}, "say validation_people = 2 or more, or 0"),
        ({"data": "validation_people = 0", "more": STOP}, r"say validation_people = 2 or more in \[data\], or leave"),
        ({"source": "omniglot", "more": STOP}, r"say held_out alphabets in \[data\], or leave"),
        ({"stage": f"{PEOPLE}\nbatch = 3"}, "say batch = 8 or more, or a smaller images_each"),
    ],
)
def test_what_cannot_come_out_well_is_refused_with_what_to_write(
    parts: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=sentence):
        load(tmp_path, **parts)


def test_the_least_that_is_taken(tmp_path: Path) -> None:
    assert load(tmp_path, data="validation_people = 2", more=STOP).data.validates
    assert not load(tmp_path, data="validation_people = 0").data.validates
    assert load(tmp_path, source="omniglot", data='held_out = ["Sanskrit"]', more=STOP).data.validates
    assert load(tmp_path, stage=f"{PEOPLE}\nbatch = 4").stage[0].batch == 4
