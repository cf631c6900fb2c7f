"""Searches for the largest batch that fits the memory of a GPU."""

from collections.abc import Callable
from dataclasses import replace

import torch

from mobilevit.datasets.splitting import evenly
from mobilevit.errors import ImageError, OutOfMemoryError, UsageError, is_out_of_memory
from mobilevit.loading.batch import Batch, Key
from mobilevit.loading.loader import LoadFailure
from mobilevit.loading.multiscale import resolutions
from mobilevit.training.distributed import Group
from mobilevit.training.loop import Parts
from mobilevit.training.model_setup import training_mode

# Of the memory that is free: sizes alternate, and the blocks that torch's allocator keeps of one do not serve another.
FILLED = 0.9
IMAGES = 32  # that are decoded for a trial; a larger batch has each of them several times
STEPS = 2  # of a trial: the second one has the optimizer's state beside it


def must_be_searchable(device: torch.device, group: Group) -> None:
    """UsageError if this process has no CUDA GPU of its own to search on."""
    if device.type != "cuda":
        raise UsageError(
            f"`batch_size` is auto (0), which needs a CUDA GPU, but this run is on {device.type}: give a number"
        )
    if group.local_size > torch.cuda.device_count():
        raise UsageError("`batch_size` is auto (0), but processes of this run share a GPU: give a number")


def largest_batch(parts: Parts) -> int:
    """The largest batch size at the base size whose step fits at the largest size; OutOfMemoryError if not even 1.

    Trains the model of `parts`, which must not be used afterwards.
    """
    trial = Trial(parts)
    found = largest(trial.fits, parts.sampler.schedule.samples)
    if not found:
        raise OutOfMemoryError(
            f"not even one image of {trial.image_size} px fits: use a smaller model or smaller images"
        )
    return found


def largest(fits: Callable[[int], bool], most: int) -> int:
    """The largest number from 1 to `most` that fits, 0 where 1 does not; nothing above one that does not is tried."""
    fitting, failing = 0, most + 1
    while fitting + 1 < failing:
        number = min(max(1, 2 * fitting), most) if failing > most else (fitting + failing) // 2
        if fits(number):
            fitting = number
        else:
            failing = number
    return fitting


class Trial:
    """Steps of a run at its largest size, with its own images and targets, in batches of any size."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.image_size = parts.sampler.schedule.choices[-1].image_size
        dataset = parts.loader.dataset
        self.items = [
            dataset[Key(index, 0, self.image_size)] for index in evenly(range(parts.sampler.num_samples), IMAGES)
        ]
        training_mode(parts.model, parts.config)
        self.available_bytes = _available_bytes(parts.device)

    def fits(self, batch_size: int) -> bool:
        """Whether there is memory for the batches that belong to `batch_size` images at the base size."""
        parts = self.parts
        scale = replace(parts.config.scale, batch_size=batch_size)
        batches = [self._batch(resolutions(scale, parts.group.world_size)[-1].batch_size)]
        if parts.config.optim.grad_accum_steps > 1:
            batches *= 2
        forget_peak(parts.device)
        try:
            for _ in range(STEPS):
                parts.step(batches, lr=0.0, seed=0)
                if parts.ema is not None:
                    parts.ema.update(1)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            fitted = False
        else:
            fitted = peak_bytes(parts.device) <= FILLED * self.available_bytes
        parts.optimizer.zero_grad(set_to_none=True)
        return fitted

    def _batch(self, count: int) -> Batch:
        collate = self.parts.loader.collate_fn
        batch: Batch | LoadFailure = collate([self.items[place % len(self.items)] for place in range(count)])
        if isinstance(batch, LoadFailure):
            raise ImageError(batch.message)
        return batch


def _available_bytes(device: torch.device) -> float:
    """What this process has of the device's memory and may still get."""
    if device.type != "cuda":
        return float("inf")
    torch.cuda.empty_cache()
    return float(torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device))


def forget_peak(device: torch.device) -> None:
    """Give back what is not used, and let `peak_bytes` begin anew."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: torch.device) -> int:
    """The most memory of the GPU that this process has held; 0 elsewhere."""
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else 0
