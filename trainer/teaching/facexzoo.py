"""FaceX-Zoo's MobileFaceNet, which teaches. The package xface pickled the whole module: its weights are read without
running what is in the file, and put into a network of our own."""

from __future__ import annotations

import io
import pickle
import types
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch._utils import _rebuild_parameter, _rebuild_tensor_v2

from firmware_config.assets import fetch
from firmware_config.errors import BadState

ASSET: Final = "facexzoo"

NUMBERS: Final = 512
"""Of its embedding."""

PICKLED: Final = "models.network_def.mobilefacenet_def."
"""Where the pickle says that its own classes come from."""

OWN_CLASSES: Final = ("MobileFaceNet", "Conv_block", "Linear_block", "Depth_Wise", "Residual", "Flatten")

TORCH_CLASSES: Final = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.Conv2d,
    nn.DataParallel,
    nn.Linear,
    nn.PReLU,
    nn.Sequential,
)
"""What else the pickle is made of: unpickling these sets attributes and runs nothing."""


TORCH_PLUMBING: Final = {
    ("__builtin__", "set"): set,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "FloatStorage"): torch.FloatStorage,
    ("torch", "LongStorage"): torch.LongStorage,
    ("torch", "device"): torch.device,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor_v2,
}
"""What tensors are put together with; torch's own reader of weights allows the same."""


class _Part(nn.Module):
    """Stands where the pickle names a class of its own: holds what is in the file, computes nothing."""


def _convolution(before: int, after: int, kernel: int, stride: int, groups: int, *, active: bool) -> nn.ModuleDict:
    padding = kernel // 2 if kernel < 7 else 0
    parts: dict[str, nn.Module] = {
        "conv": nn.Conv2d(before, after, kernel, stride, padding, groups=groups, bias=False),
        "bn": nn.BatchNorm2d(after),
    }
    if active:
        parts["prelu"] = nn.PReLU(after)
    return nn.ModuleDict(parts)


def _through(parts: nn.ModuleDict, x: Tensor) -> Tensor:
    for part in parts.values():
        x = part(x)
    return x


class _Block(nn.Module):
    def __init__(self, before: int, after: int, wide: int, stride: int) -> None:
        super().__init__()
        self.residual = stride == 1 and before == after
        self.conv = _convolution(before, wide, 1, 1, 1, active=True)
        self.conv_dw = _convolution(wide, wide, 3, stride, wide, active=True)
        self.project = _convolution(wide, after, 1, 1, 1, active=False)

    def forward(self, x: Tensor) -> Tensor:
        y = _through(self.project, _through(self.conv_dw, _through(self.conv, x)))
        return x + y if self.residual else y


class _Row(nn.Module):
    def __init__(self, channels: int, wide: int, count: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*(_Block(channels, channels, wide, 1) for _ in range(count)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y


class Teacher(nn.Module):
    """Module for module that of FaceX-Zoo (Wang et al. 2021), so that its weights fit by name.

    pixels: float32[N, 3, 112, 112] BGR, (p - 127.5) / 128 -> float32[N, 512] before it is made unit length.
    Chen et al. 2018.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _convolution(3, 64, 3, 2, 1, active=True)
        self.conv2_dw = _convolution(64, 64, 3, 1, 64, active=True)
        self.conv_23 = _Block(64, 64, 128, 2)
        self.conv_3 = _Row(64, 128, 4)
        self.conv_34 = _Block(64, 128, 256, 2)
        self.conv_4 = _Row(128, 256, 6)
        self.conv_45 = _Block(128, 128, 512, 2)
        self.conv_5 = _Row(128, 256, 2)
        self.conv_6_sep = _convolution(128, 512, 1, 1, 1, active=True)
        self.conv_6_dw = _convolution(512, 512, 7, 1, 512, active=False)
        self.linear = nn.Linear(512, NUMBERS, bias=False)
        self.bn = nn.BatchNorm1d(NUMBERS)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: float32[N, 3, 112, 112] -> float32[N, 512]."""
        x = _through(self.conv2_dw, _through(self.conv1, pixels))
        for part in (self.conv_23, self.conv_3, self.conv_34, self.conv_4, self.conv_45, self.conv_5):
            x = part(x)
        x = _through(self.conv_6_dw, _through(self.conv_6_sep, x))
        rows: Tensor = self.bn(self.linear(x.flatten(1)))
        return rows


def load_teacher(cache_dir: Path | None = None) -> Teacher:
    """Fetch and build the teacher. Raises LostLink when it cannot be fetched, BadState when the file is another."""
    return from_pickle(fetch(ASSET, cache_dir).read_bytes())


def from_pickle(data: bytes) -> Teacher:
    """The pickled module -> the same weights in `Teacher`. Raises BadState."""
    teacher = Teacher()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the classes' source text is not the pickle's: it is not, on purpose
            # weights_only knows no file of before torch 1.6; the list of names does the same for it.
            pickled = torch.load(io.BytesIO(data), "cpu", pickle_module=_LISTED_ONLY, weights_only=False)
        teacher.load_state_dict(pickled.module.state_dict())
    except (pickle.UnpicklingError, RuntimeError, TypeError, AttributeError, ValueError, EOFError) as error:
        raise BadState(f"The file {ASSET} does not hold the teacher's weights and nothing else: {error}") from error
    return teacher.eval()


class _ListedOnly(pickle.Unpickler):
    """Knows the classes above and no others, so that nothing else can run."""

    def find_class(self, module: str, name: str) -> Any:
        if module + "." == PICKLED and name in OWN_CLASSES:
            return _Part
        for known in TORCH_CLASSES:
            if (module, name) == (known.__module__, known.__name__):
                return known
        if (module, name) in TORCH_PLUMBING:
            return TORCH_PLUMBING[module, name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


_LISTED_ONLY: Final = types.SimpleNamespace(
    Unpickler=_ListedOnly, load=lambda file, **how: _ListedOnly(file, **how).load(), __name__="listed_only"
)
"""What torch.load takes for Python's pickle."""
