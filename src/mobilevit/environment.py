"""What a maintainer asks about a machine first: versions, extras, processor, GPUs, threads.

Versions are read from the metadata of packages. torch alone is imported, and where that fails, this says why: it is the
most frequent fault of an installation, and the one that stops every other command.
"""

import os
import platform
import re
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from mobilevit import __version__
from mobilevit.text import words_of


@dataclass(frozen=True)
class Environment:
    """What `environment` found."""

    mobilevit: str  # versions
    python: str
    platform: str
    torch: "Torch"
    processor: str
    cpu_count: int  # logical CPUs of the machine
    available_cpu_count: int  # those that this process may use
    packages: dict[str, str | None]  # required ones, by name: version; None where one is missing
    extras: dict[str, dict[str, str | None]]  # the same by extra, without the extras that it contains

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def facts(self) -> dict[str, str]:
        """Names and values for people."""
        torch = self.torch
        listed = {f"extra {name}": _listed(packages) for name, packages in self.extras.items()}
        facts = {
            "mobilevit": self.mobilevit,
            "Python": self.python,
            "platform": self.platform,
            "torch": torch.error or f"{torch.version}, {torch.threads} threads, CPU capability {torch.cpu_capability}",
            "processor": f"{self.processor}, {self.cpu_count} CPUs, {self.available_cpu_count} available",
            "GPU": ", ".join(torch.gpus) or "none",
            "CUDA": torch.cuda or "",
            "packages": _listed(self.packages),
            **listed,
        }
        return {name: fact for name, fact in facts.items() if fact}


@dataclass(frozen=True)
class Torch:
    """What torch says of itself and of the devices that it sees."""

    version: str | None = None
    error: str | None = None  # why it cannot be imported
    threads: int | None = None  # that it computes with on the CPU
    cpu_capability: str | None = None  # the widest instructions that it uses, such as AVX2
    cuda: str | None = None  # version that it was built for
    gpus: tuple[str, ...] = ()


def environment() -> Environment:
    """Look around; no model is made, and no extra imported. Never raises."""
    extras = _requirements()
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Environment(
        mobilevit=__version__,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        platform=platform.platform(),
        torch=_torch(),
        processor=processor(),
        cpu_count=os.cpu_count() or 1,
        available_cpu_count=available,
        packages=_versions(extras.pop("", [])),
        extras={name: _versions(packages) for name, packages in sorted(extras.items()) if name != "all"},
    )


def processor() -> str:
    """The model of the processor, as the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _requirements() -> dict[str, list[str]]:
    """Names of packages by extra, "" for what is always required; nothing where mobilevit is run without an install."""
    try:
        lines = requires("mobilevit") or []
    except PackageNotFoundError:
        return {}
    found: dict[str, list[str]] = {}
    for line in lines:
        name, extra = re.match(r"[\w.-]+", line), re.search(r"extra == ['\"]([\w.-]+)['\"]", line)
        if name and name[0] != "mobilevit":
            found.setdefault(extra[1] if extra else "", []).append(name[0])
    return found


def _versions(packages: list[str]) -> dict[str, str | None]:
    return {name: _version(name) for name in packages}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _torch() -> Torch:
    try:
        import torch
    except Exception as error:  # OSError where a library of the system is missing, and whatever else
        return Torch(_version("torch"), error=f"cannot be imported: {words_of(error)}")
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        gpus.append("MPS")
    capability = torch.backends.cpu.get_cpu_capability()
    return Torch(torch.__version__, None, torch.get_num_threads(), capability, torch.version.cuda, tuple(gpus))


def _listed(packages: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {found or '(missing)'}" for name, found in packages.items())
