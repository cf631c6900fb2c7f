"""Distributed training: the rank of this process, and what the processes must agree on.

Under `torchrun` every process calls `join`; without it there is one process and nothing is communicated.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mobilevit.errors import MobileViTError


@dataclass(frozen=True)
class Group:
    """This process among its peers."""

    rank: int = 0
    world_size: int = 1
    local_size: int = 1  # how many of them are on this machine

    @property
    def leads(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, in the order of their ranks."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def from_leader(self, make: Callable[[], Any]) -> Any:
        """What the leading process makes; where that is a MobileViTError, it is raised in every process, since none
        would hear of it otherwise and wait for the others."""
        made: Any = None
        error: MobileViTError | None = None
        if self.leads:
            try:
                made = make()
            except MobileViTError as found:
                error = found
        made, error = self.gather((made, error))[0]
        if error is not None:
            raise error
        return made

    def copy_from_leader(self, model: nn.Module) -> None:
        """Give every process the leading one's parameters and buffers."""
        if self.world_size > 1:
            for tensor in model.state_dict().values():
                dist.broadcast(tensor, 0)


@contextmanager
def joined(device: str) -> Iterator[Group]:
    """The group that `torchrun` started, for as long as the run lasts; a group of one where it did not."""
    if "WORLD_SIZE" not in os.environ or dist.is_initialized():
        yield current()
        return
    gpus = torch.cuda.device_count() if device in ("auto", "cuda") and torch.cuda.is_available() else 0
    if gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % gpus)
    dist.init_process_group(backend(_local_size(), gpus))
    try:
        yield current()
    finally:
        dist.destroy_process_group()


def backend(local_size: int, gpus: int) -> str:
    """What carries the messages of a group with `local_size` processes on this machine, which has so many `gpus`.

    NCCL refuses two processes on one GPU; gloo takes them, and has all that is asked of it here for tensors on a GPU:
    all-reduce, broadcast, and the all-gather of SyncBatchNorm. All machines of a group must come to the same answer.
    """
    return "nccl" if 0 < local_size <= gpus else "gloo"


def current() -> Group:
    """The group that this process belongs to now."""
    if not dist.is_initialized():
        return Group()
    return Group(dist.get_rank(), dist.get_world_size(), _local_size())


def _local_size() -> int:
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))
