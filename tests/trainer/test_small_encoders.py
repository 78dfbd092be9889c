"""The networks of the small worlds have the shapes that their papers say, and see what they should."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from firmware_config.errors import BadInput
from trainer import small_encoders
from trainer.cli import main
from trainer.config import load
from trainer.small_encoders import EdgeNet, Edges, Koch, Tutorial, TwoTowers


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_the_tutorial_network_is_the_articles(dropout: float) -> None:
    network = Tutorial(dropout)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size) for c in convolutions] == [
        (1, 4, (3, 3)),
        (4, 8, (3, 3)),
        (8, 8, (3, 3)),
    ]
    linear = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert [(c.in_features, c.out_features) for c in linear] == [(80000, 500), (500, 500), (500, 5)]
    kinds = [type(layer) for layer in network.convolutions]
    block = [nn.ReflectionPad2d, nn.Conv2d, nn.ReLU, nn.BatchNorm2d] + ([nn.Dropout2d] if dropout else [])
    assert kinds == block * 3
    assert network(torch.zeros(2, 1, 100, 100)).shape == (2, 5)


def test_two_towers_see_one_side_of_each_pair() -> None:
    network = TwoTowers()
    left, right = network.towers
    pair = torch.rand(2, 1, 100, 100)
    with torch.no_grad():
        for tower in (left, right):
            for statistics in tower.modules():
                if isinstance(statistics, nn.BatchNorm2d):
                    statistics.momentum = 0.0  # so that training and evaluation can be compared
        seen = network.train()(torch.cat([pair, pair]))
        assert torch.allclose(seen[:2], left(pair), atol=1e-5)
        assert torch.allclose(seen[2:], right(pair), atol=1e-5)
        assert not torch.allclose(seen[:2], seen[2:])
        assert torch.allclose(network.eval()(pair), (left(pair) + right(pair)) / 2)


def test_koch_is_the_papers() -> None:
    network = Koch()
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert [(c.out_channels, c.kernel_size[0]) for c in convolutions] == [(64, 10), (128, 7), (128, 4), (256, 4)]
    full = next(layer for layer in network.modules() if isinstance(layer, nn.Linear))
    assert (full.in_features, full.out_features) == (9216, 4096)  # 256 maps of 6 x 6
    # 38,951,745 in the paper, of which 4,097 are the unit on |f(a) - f(b)|, here the pair-logistic loss's.
    assert sum(parameter.numel() for parameter in network.parameters()) == 38_947_648
    with torch.no_grad():
        rows = network(torch.rand(2, 1, 105, 105))
    assert rows.shape == (2, 4096)
    assert 0.0 <= float(rows.min()) <= float(rows.max()) <= 1.0


def _ramp(degrees: float) -> Tensor:
    """Grey that rises in one direction, x to the right and y down."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    angle = math.radians(degrees)
    return (0.5 + 0.3 * (math.cos(angle) * x + math.sin(angle) * y))[None, None]


@pytest.mark.parametrize("number", range(8))
def test_edges_tell_directions_apart(number: int) -> None:
    maps = Edges(stride=4, bins=8)(_ramp(45.0 * number))
    assert maps.shape == (1, 8, 8, 8)
    middle = maps[0, :, 2:-2, 2:-2]
    assert (middle.argmax(dim=0) == number).all()


def test_edges_hardly_mind_the_light() -> None:
    picture = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    picture = nn.functional.interpolate(picture, size=(48, 48), mode="bicubic").clamp(0, 1)
    bright, dim = (Edges(stride=8, bins=8)(picture * gain + 0.1) for gain in (0.8, 0.4))
    assert float((bright - dim).abs().max()) < 0.05
    assert float(Edges(stride=8, bins=8)(torch.full((1, 1, 48, 48), 0.3)).abs().max()) < 0.15  # nothing there


@pytest.mark.parametrize(("strides", "channels"), [((4, 8), ()), ((4,), (8, 16)), ((2, 4), (8,))])
def test_edge_network_gives_rows_of_the_asked_length(strides: tuple[int, ...], channels: tuple[int, ...]) -> None:
    assert EdgeNet(56, strides, 8, channels, outputs=40)(torch.rand(3, 1, 56, 56)).shape == (3, 40)


@pytest.mark.parametrize(
    ("network", "stage", "part"),
    [
        ('kind = "koch"', 'pixels = 100\nsampler = "pairs"', "say pixels = 105"),
        ('kind = "tutorial"\ntowers = 2', 'pixels = 100\nsampler = "people"', "must be pairs"),
        ('kind = "edgenet"\nbins = 6', "pixels = 56", "multiple of 4"),
    ],
)
def test_network_that_does_not_fit_its_stage_is_a_sentence(tmp_path: Path, network: str, stage: str, part: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        f"name = 'x'\n[network]\n{network}\n[data]\nsource = 'att'\n[[stage]]\nepochs = 1\n{stage}\n"
        "learning_rate = [1e-3, 1e-3]\nloss = [{name = 'contrastive'}]\n"
    )
    with pytest.raises(BadInput, match=part):
        load(path)


def test_seed_below_zero_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(Path(small_encoders.__file__).parent / "configs/att-best.toml"), "--seed", "-1"]) == 2
    assert "counts from 0" in capsys.readouterr().err
