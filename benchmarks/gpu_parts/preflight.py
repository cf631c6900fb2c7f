"""Can the other parts run at all? Imports, versions, the data, one step."""

import importlib
import os
import platform
from pathlib import Path
from shutil import unpack_archive

import torch

from gpu_parts import made
from gpu_parts.session import Check, Figures, Session
from gpu_parts.sizes import Sizes
from gpu_parts.stepping import train_step
from mobilevit.datasets import class_folders
from mobilevit.datasets.options import ReadOptions
from mobilevit.errors import DataError
from mobilevit.runners import device_for

NEEDED = ("numpy", "PIL", "yaml", "safetensors", "matplotlib", "rich", "huggingface_hub", "filelock")
PEERS = ("timm", "torchvision")  # that are compared with where they are there


def imports(session: Session, figures: Figures) -> None:
    """Every library that the parts need; ImportError names the first that is missing, UsageError a device that is."""
    device_for(session.device.type)
    versions = {"python": platform.python_version(), "torch": str(torch.__version__)}
    for name in NEEDED:
        versions[name] = str(getattr(importlib.import_module(name), "__version__", "there"))
    for name in PEERS:
        try:
            versions[name] = str(importlib.import_module(name).__version__)
        except (ImportError, RuntimeError, AttributeError) as error:  # torchvision of another build raises the others
            versions[name] = f"missing ({type(error).__name__})"
    if session.device.type == "cuda":
        versions |= {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}  # type: ignore[no-untyped-call]
        versions["nccl"] = ".".join(map(str, torch.cuda.nccl.version()))  # type: ignore[no-untyped-call]
    session.results.add_facts({"versions": versions, "hardware": hardware(session.device)})
    figures["libraries"] = len(versions)


def hardware(device: torch.device) -> dict[str, str | float]:
    """What the figures were measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found: dict[str, str | float] = {"machine": platform.machine(), "processor": _processor(), "cores": cores}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(0)
        found |= {"gpu": properties.name, "gpu_memory_gib": round(properties.total_memory / 2**30, 1)}
        found["gpus"] = torch.cuda.device_count()
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


def data(session: Session, figures: Figures) -> None:
    """Unpack, link or make the dataset, and count its images."""
    given = session.given_data
    if given is None:
        figures["made"] = made.write_dataset(session.data)
    elif given.is_dir():
        session.data.symlink_to(given.resolve(), target_is_directory=True)
    else:
        unpack_archive(given, session.data)
    dataset = class_folders.read(session.data, ReadOptions())
    for split, samples in dataset.splits.items():
        figures[split] = len(samples)
    figures["classes"] = len(dataset.classes)
    if not (session.data / "train").is_dir() or not (session.data / "val").is_dir():
        raise DataError(f"{given or session.data} has no folders train and val: the parts need both")


def one_step(session: Session, figures: Figures) -> None:
    """One training step of the smallest classifier."""
    step = train_step("classification", session.device)
    outcome = step([made.batch_for("classification", 4, 64)], lr=0.1, seed=0)
    figures.at_most("loss", outcome.loss_total / outcome.loss_count, 100.0)


def checks(_: Sizes) -> tuple[Check, ...]:
    return Check("imports", imports), Check("data", data), Check("one step", one_step)
