"""One of several processes that train together on one device: the gradient of a step over its share of a batch.

    RANK=0 WORLD_SIZE=2 ... python -m gpu_parts.ranks DEVICE SYNC_NORM OUT.pt

The variables are those of `torchrun`. Imported, it is one process with the whole batch, or starts several.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

from gpu_parts.made import batch_for, model_for
from gpu_parts.stepping import PLAIN, Gradient, gradient, parts_of, sgd, step_of
from mobilevit.training.config import TrainConfig
from mobilevit.training.distributed import Group, joined
from mobilevit.training.model_setup import training_mode, wrapped

IMAGES, IMAGE_SIZE = 8, 64


def share(group: Group, device: torch.device, *, sync_norm: bool) -> Gradient:
    """The gradient of a step in which each process of the group takes its share of the same images."""
    config = TrainConfig(data=Path(), freeze_norm=not sync_norm, sync_norm=sync_norm, optim=PLAIN.optim)
    model = model_for("classification").to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if sync_norm and group.world_size > 1:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    training_mode(model, config)
    step = step_of(
        model, wrapped(model, config, group, device), "classification", sgd(model), config=config.optim, group=group
    )
    indices = range(group.rank, IMAGES, group.world_size)
    return gradient(step, parts_of(batch_for("classification", IMAGES, IMAGE_SIZE), [indices]))


def together(device: torch.device, folder: Path, *, sync_norm: bool, processes: int = 2) -> Gradient:
    """The same from several processes on this machine; CalledProcessError where one of them fails."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = folder / f"gradient-{sync_norm}.pt"
    command = [sys.executable, "-m", "gpu_parts.ranks", device.type, str(sync_norm), str(result)]
    # A name for the loopback device, since a bare machine may not find an address for its own name.
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    shared |= {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    running = [
        subprocess.Popen(command, env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(processes)
    ]
    codes = [process.wait() for process in running]
    if any(codes):
        raise subprocess.CalledProcessError(max(codes, key=abs), command)
    found: Gradient = torch.load(result, weights_only=True)
    return found


def main() -> None:
    device, sync_norm, result = sys.argv[1], sys.argv[2] == "True", Path(sys.argv[3])
    with joined(device) as group:
        found = share(group, torch.device(device), sync_norm=sync_norm)
        if group.leads:
            torch.save(found, result)


if __name__ == "__main__":
    main()
