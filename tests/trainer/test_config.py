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
