"""The processes that train one network together: what one of them alone would do with the whole batch, to rounding.

Each takes a share of the batch; embeddings are gathered before the loss, so that mining sees the whole batch, and
batch norm takes its statistics over all of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor, nn

from firmware_config.errors import BadInput


@dataclass(frozen=True)
class World:
    """This process among its like. `rank` counts from 0; the first one writes files and speaks."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, rows: npt.NDArray[np.int64], paired: bool) -> npt.NDArray[np.int64]:
        """This process's part of a batch. `paired`: of both halves, so that pairs stay together.

        Raises BadInput for a batch that is not the same for each.
        """
        parts = rows.reshape(2 if paired else 1, -1)
        if parts.shape[1] % self.size:
            raise BadInput(f"A batch of {parts.shape[1]} cannot be shared evenly by {self.size} processes.")
        return parts.reshape(len(parts), self.size, -1)[:, self.rank].reshape(-1)

    def gather(self, own: Tensor, paired: bool) -> Tensor:
        """Everybody's shares in the batch's order: [N / size, ...] -> [N, ...], with a gradient to the own part."""
        if self.size == 1:
            return own
        gathered: Tensor = _Gather.apply(own, self)  # type: ignore[no-untyped-call]
        if paired:
            halves = gathered.reshape(self.size, 2, -1, *own.shape[1:]).transpose(0, 1)
            return halves.reshape(gathered.shape)
        return gathered

    def any(self, flag: bool) -> bool:
        """Whether it is so for at least one process; all get the same answer."""
        if self.size == 1:
            return flag
        flags = torch.tensor([int(flag)], device=self.device)
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags.item())

    def collect(self, own: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Everybody's rows, those of the first process first."""
        if self.size == 1:
            return own
        parts: list[Any] = [None] * self.size
        dist.all_gather_object(parts, own)
        return np.concatenate(parts)

    def ready(self, network: nn.Module) -> nn.Module:
        """The network as it trains here: DistributedDataParallel around it where there are several processes.

        Its batch norm must be of `with_shared_statistics` then.
        """
        if self.size == 1:
            return network
        return nn.parallel.DistributedDataParallel(network)


ALONE = World()


@contextmanager
def open_world() -> Iterator[World]:
    """As torchrun's environment says: several processes (nccl on GPUs, else gloo), or this one alone."""
    size, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if size == 1:
        yield World(device=device)
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()


class _Gather(torch.autograd.Function):
    """Backwards each process takes the gradient of its own rows, times the number of processes: every process works
    out the whole loss, and DistributedDataParallel takes the mean of what they find."""

    @staticmethod
    def forward(context: Any, own: Tensor, world: World) -> Tensor:
        context.world = world
        parts = [torch.empty_like(own) for _ in range(world.size)]
        dist.all_gather(parts, own.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Any:
        world: World = context.world
        own = gradients[0].chunk(world.size)[world.rank]
        return own * world.size, None


class _Sum(torch.autograd.Function):
    """The sum over all processes; backwards too, as each of them used it."""

    @staticmethod
    def forward(context: Any, own: Tensor) -> Tensor:
        del context
        total = own.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Any:
        del context
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):  # noqa: SLF001  # the base of all of torch's own
    """Batch norm with the statistics of all processes' batches, on a CPU; torch's SyncBatchNorm is for GPUs only.

    Each process must have as many rows. Weights and statistics are kept under the same names.
    """

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002  # torch's name
        del input

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's name
        """float32[N, C, ...] -> the same shape."""
        if not self.training:
            return super().forward(input)
        dims = [0, *range(2, input.dim())]
        shape = [1, -1, *[1] * (input.dim() - 2)]
        size = dist.get_world_size()
        mean: Tensor = _Sum.apply(input.mean(dims)) / size  # type: ignore[no-untyped-call]
        centred = input - mean.view(shape)
        variance: Tensor = _Sum.apply(centred.square().mean(dims)) / size  # type: ignore[no-untyped-call]
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            count = input.numel() // input.shape[1] * size
            with torch.no_grad():
                self.num_batches_tracked += 1
                momentum = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
                self.running_mean.lerp_(mean, momentum)
                self.running_var.lerp_(variance * (count / max(1, count - 1)), momentum)
        normal: Tensor = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal


def with_shared_statistics(network: nn.Module, world: World) -> nn.Module:
    """The network with its batch norms' statistics shared by all processes; itself where there is one process."""
    if world.size == 1:
        return network
    if world.device.type == "cuda":
        synchronised: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return synchronised
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
                shared = SharedBatchNorm(child.num_features, child.eps, child.momentum, child.affine)
                shared.load_state_dict(child.state_dict())
                parent.add_module(name, shared)
    return network
