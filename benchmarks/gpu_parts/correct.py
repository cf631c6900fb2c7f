"""Does the GPU give the CPU's answers? Models, precisions, steps, processes, runs.

In float32 without TF32, unless a check says otherwise. On a CPU the same comparisons are of two memory layouts.
"""

import csv
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

from gpu_parts import made, ranks
from gpu_parts.session import Check, Figures, Session
from gpu_parts.sizes import Sizes
from gpu_parts.stepping import distance, gradient, parts_of, train_step
from mobilevit import (
    MobileViTError,
    MultiScaleConfig,
    OptimizerConfig,
    Predictor,
    TrainConfig,
    dry_run,
    fuse,
    load,
    resume,
    train,
)
from mobilevit.datasets import class_folders
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.sample import Sample
from mobilevit.loading.batch import prepare
from mobilevit.loading.loader import ImageDataset, eval_loader
from mobilevit.runners import device_for
from mobilevit.tasks import TASKS
from mobilevit.tasks.base import LossOptions
from mobilevit.training.callbacks import Quiet, StepReport
from mobilevit.training.distributed import Group
from mobilevit.training.optimizer import adamw
from mobilevit.training.run import prepare as prepare_run
from mobilevit.weights.creating import spec_of

torch.set_float32_matmul_precision("highest")
torch.backends.cudnn.allow_tf32 = False

CPU = torch.device("cpu")
# Of float32 sums in another order, through 60 layers. A CPU with another memory layout needs a tenth or less.
OUTPUTS, LOSS, GRADIENT = 1e-3, 1e-4, 1e-2
OF_LEVELS = 5e-2  # gradient of a detector and a segmenter: some of their norms see one value of each image
TRAINED = "imagenette"  # weights that come with the package


@dataclass(frozen=True)
class Answer:
    """What a model says in evaluation, and learns in one step of training."""

    outputs: list[Tensor]
    loss: float
    gradient: dict[str, Tensor]


def task_on_device(task: str, session: Session, figures: Figures) -> None:
    """Outputs, loss and gradient of a model, against the CPU."""
    found, expected = (
        _answer(task, device, layout, session)
        for device, layout in ((session.device, torch.channels_last), (CPU, torch.contiguous_format))
    )
    figures.at_most("outputs", _largest(found.outputs, expected.outputs), OUTPUTS)
    figures.at_most("loss", abs(found.loss / expected.loss - 1), LOSS)
    limit = GRADIENT if task == "classification" else OF_LEVELS
    figures.at_most("gradient", distance(found.gradient, expected.gradient), limit)


def _answer(task: str, device: torch.device, layout: torch.memory_format, session: Session) -> Answer:
    model = made.model_for(task).to(device, memory_format=layout)  # type: ignore[call-overload]
    batch = made.batch_for(task, session.sizes.compared, session.sizes.compared_px)
    images = prepare(batch.images.to(device), "rgb").contiguous(memory_format=layout)
    with torch.inference_mode():
        outputs = [tensor.float().cpu() for tensor in tensors(model.eval()(images))]
    loss = TASKS[task].loss(model.train()(images), batch.targets.to(device), LossOptions())
    mean = loss.total / loss.count
    mean.backward()  # type: ignore[no-untyped-call]
    return Answer(
        outputs, mean.item(), {name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None}
    )


def tensors(raw: Any) -> list[Tensor]:
    """What a model of any task puts out, one tensor after the other."""
    return [raw] if isinstance(raw, Tensor) else [tensor for tensor in raw if isinstance(tensor, Tensor)]


def _largest(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference, over the largest value."""
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(found, expected, strict=True))


def half_precision(task: str, session: Session, figures: Figures) -> None:
    """Outputs under autocast against float32 on the same device, by the angle between them."""
    model = made.model_for(task).to(session.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    batch = made.batch_for(task, session.sizes.compared, session.sizes.compared_px)
    images = prepare(batch.images.to(session.device), "rgb")
    expected = tensors(_under(None, model, images))
    for name, dtype in PRECISIONS.items():
        found = tensors(_under(dtype, model, images))
        cosines = [functional.cosine_similarity(a.float().flatten(1), b.flatten(1)) for a, b in _pairs(found, expected)]
        figures.at_least(f"cosine {name}", float(torch.cat(cosines).min()), 0.99)


PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def _pairs(found: Sequence[Tensor], expected: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    return list(zip(found, expected, strict=True))


@torch.inference_mode()
def _under(dtype: torch.dtype | None, model: nn.Module, images: Tensor) -> Any:
    with torch.autocast(images.device.type, dtype, enabled=dtype is not None):
        return model(images)


def trained_in_half_precision(session: Session, figures: Figures) -> None:
    """Top-1 of trained weights on images of val, under autocast against float32: a clear answer never changes."""
    model = load(TRAINED).to(session.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = prepare(_val_images(session).to(session.device), "rgb")
    expected = _under(None, model, images)
    best_two = expected.softmax(1).topk(2).values
    clear = best_two[:, 0] - best_two[:, 1] > CLEAR
    for name, dtype in PRECISIONS.items():
        found = _under(dtype, model, images).float()
        same = found.argmax(1) == expected.argmax(1)
        figures.at_least(f"cosine {name}", float(functional.cosine_similarity(found, expected).min()), 0.99)
        figures[f"top-1 {name}"] = float(same.float().mean())
        figures.at_most(f"clear answers changed by {name}", int((clear & ~same).sum()), 0)


CLEAR = 0.1  # of probability between the first class and the second


def _val_images(session: Session) -> Tensor:
    """(N, 3, H, W) uint8, as the trained model sees them."""
    spec, task = spec_of(load(TRAINED)), TASKS["classification"]
    dataset = ImageDataset(_val(session), task, seed=0, augment=None, preprocessing=spec.preprocessing)
    return torch.cat([batch.images for batch in eval_loader(dataset, 32, num_workers=0)])


def _val(session: Session) -> tuple[Sample, ...]:
    """Some images of val, evenly from all of them."""
    samples = class_folders.read(session.data, ReadOptions()).splits["val"]
    return samples[:: max(1, len(samples) // session.sizes.agreeing)][: session.sizes.agreeing]


def fused(session: Session, figures: Figures) -> None:
    """The fused trained model on the device, against the model as it is on the CPU."""
    images, model = _val_images(session), load(TRAINED)
    expected = _under(None, model, prepare(images, "rgb"))
    found = _under(None, fuse(model).to(session.device), prepare(images.to(session.device), "rgb")).cpu()
    figures.at_most("outputs", _largest([found], [expected]), OUTPUTS)


def memory_layouts(session: Session, figures: Figures) -> None:
    """The same model and images in both memory layouts of the device."""
    outputs = []
    for layout in (torch.channels_last, torch.contiguous_format):
        model = load(TRAINED).to(session.device, memory_format=layout)  # type: ignore[call-overload]
        images = prepare(_val_images(session).to(session.device), "rgb").contiguous(memory_format=layout)
        outputs.append(_under(None, model, images))
    figures.at_most("outputs", _largest(outputs[:1], outputs[1:]), OUTPUTS)


def grad_scaling(session: Session, figures: Figures) -> None:
    """A step in fp16 learns; one whose scaled gradient overflows is left out, and lowers the scale."""
    step = train_step("classification", session.device, torch.float16)
    batch = [made.batch_for("classification", session.sizes.compared, session.sizes.compared_px)]
    exact = gradient(train_step("classification", session.device), batch)
    figures.at_most("gradient, against float32", distance(gradient(step, batch), exact), 0.1)
    step.optimizer = adamw(step.model, OptimizerConfig())
    step.scaler = torch.amp.GradScaler(session.device.type, init_scale=2.0**60)
    left = gradient(step, batch)
    figures.at_most("change by an overflow", max(float(change.abs().max()) for change in left.values()), 0.0)
    figures.at_most("scale after it, over that before", step.scaler.get_scale() / 2.0**60, 0.5)


def accumulation(session: Session, figures: Figures) -> None:
    """A step over two unequal batches has the gradient of one over both."""
    count = session.sizes.compared
    batch = made.batch_for("classification", count, session.sizes.compared_px)
    found, expected = (
        gradient(train_step("classification", session.device), parts_of(batch, shares))
        for shares in ([range(1), range(1, count)], [range(count)])
    )
    figures.at_most("gradient", distance(found, expected), GRADIENT)


def two_processes(session: Session, figures: Figures, *, sync_norm: bool) -> None:
    """Two processes on one device have the gradient of one with the whole batch."""
    found = ranks.together(session.device, session.work, sync_norm=sync_norm)
    figures.at_most("gradient", distance(found, ranks.share(Group(), session.device, sync_norm=sync_norm)), GRADIENT)


def nccl(session: Session, figures: Figures) -> None:
    """An all-reduce and a broadcast in a group of one: NCCL starts, and changes nothing."""
    store = dist.FileStore(  # type: ignore[attr-defined]
        str(session.work / "nccl"), 1
    )
    dist.init_process_group("nccl", store=store, rank=0, world_size=1)
    try:
        values = torch.arange(8.0, device=session.device)
        dist.all_reduce(values)
        dist.broadcast(values, 0)
        figures.at_most("difference", float((values.cpu() - torch.arange(8.0)).abs().max()), 0.0)
    finally:
        dist.destroy_process_group()


class StopsAt(Quiet):
    """Asks the run to stop, as `timeout` and Ctrl-C do, at the first step of an epoch (from 0)."""

    def __init__(self, epoch: int) -> None:
        self.epoch_to_stop = epoch

    def step(self, report: StepReport) -> None:
        if (report.epoch, report.step) == (self.epoch_to_stop, 0):
            signal.raise_signal(signal.SIGTERM)


def resumed_run(session: Session, figures: Figures) -> None:
    """Two epochs of a run that is stopped between them and resumed, against one that is not: bitwise on a CPU."""
    config = replace(_short_run(session), epochs=3)  # both stop in the third: no time for reports
    whole = train(config, StopsAt(2)).folder
    stopped = train(replace(config, name="stopped"), StopsAt(1)).folder
    figures.at_most("epochs before the stop", len(_rows(stopped)), 1)
    resume(stopped, StopsAt(2))
    found, expected = _rows(stopped)[-1], _rows(whole)[-1]
    figures["updates"] = found["updates"]
    figures.must("without the stop", expected["updates"], expected["updates"] == found["updates"])
    difference = abs(float(found["train_loss"]) / float(expected["train_loss"]) - 1)
    figures.at_most("loss", difference, 0.05 if session.device.type == "cuda" else 0.0)


def _short_run(session: Session) -> TrainConfig:
    data = made.write_subset(session.data, session.work / "few", session.sizes.run)
    image_size = session.sizes.compared_px
    return TrainConfig(
        data=data,
        model="mobilevit_xxs",
        weights="none",
        epochs=2,
        output=session.work / "short",
        name="whole",
        overwrite=True,
        device=session.device.type,  # type: ignore[arg-type]
        scale=MultiScaleConfig(image_size=image_size, batch_size=max(2, session.sizes.run // 8)),
    )


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def predictor(session: Session, figures: Figures) -> None:
    """`Predictor` on the device, as it is used: TF32 as torch has it, the fused model, files; against the CPU."""
    torch.backends.cudnn.allow_tf32 = True
    try:
        paths = [sample.path for sample in _val(session)]
        found, expected = (Predictor(TRAINED, device=name)(paths) for name in (session.device.type, "cpu"))
    finally:
        torch.backends.cudnn.allow_tf32 = False
    figures["images"] = len(paths)
    figures.at_most("score", max(abs(a.best.score - b.best.score) for a, b in zip(found, expected, strict=True)), 0.02)


def auto_device(session: Session, figures: Figures) -> None:
    """`--device auto` takes the GPU."""
    name = device_for("auto").type
    figures.must("device", name, name == session.device.type)


def planning(session: Session, figures: Figures) -> None:
    """`--dry-run` says what a run takes."""
    found = dry_run(_short_run(session))
    figures["seconds of a step"], figures["memory (GB)"] = found.step_seconds, found.peak_bytes / 1e9
    figures.at_least("seconds of an epoch", found.epoch_seconds, 1e-6)


def largest_batch(session: Session, figures: Figures) -> None:
    """`--batch-size auto` finds a batch that fits; at so few images all of them do, unless memory is kept short."""
    torch.cuda.empty_cache()
    config = _short_run(session)
    parts = prepare_run(replace(config, scale=replace(config.scale, batch_size=0)), Quiet(), Group())
    figures.at_least("batch size", parts.config.scale.batch_size, 1)


def out_of_memory(session: Session, figures: Figures) -> None:
    """A batch that does not fit ends in one line for the user."""
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.02)  # 1.6 of 80 GB
    try:
        train(replace(_short_run(session), name="too-large", scale=MultiScaleConfig(image_size=512, batch_size=64)))
        message = "no error"
    except MobileViTError as error:
        message = str(error)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    figures.must("message", message, "memory" in message and "\n" not in message)


def checks(_: Sizes) -> tuple[Check, ...]:
    return (
        Check("auto takes the GPU", auto_device, needs_cuda=True),
        *(Check(f"{task}: outputs, loss, gradient", partial(task_on_device, task)) for task in TASKS),
        *(Check(f"{task}: bf16 and fp16", partial(half_precision, task)) for task in TASKS),
        Check("trained weights: bf16 and fp16", trained_in_half_precision),
        Check("channels_last", memory_layouts),
        Check("fuse", fused),
        Check("a step with gradient scaling", grad_scaling),
        Check("a step with accumulation", accumulation),
        Check("two processes, DistributedDataParallel", partial(two_processes, sync_norm=False), seconds=45),
        Check("two processes, sync_norm", partial(two_processes, sync_norm=True), seconds=45, needs_cuda=True),
        Check("NCCL, a group of one", nccl, needs_cuda=True),
        Check("Predictor", predictor),
        Check("a run stopped and resumed", resumed_run, seconds=60),
        Check("dry run", planning),
        Check("batch size auto", largest_batch, needs_cuda=True),
        Check("out of memory", out_of_memory, needs_cuda=True),
    )
