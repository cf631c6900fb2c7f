"""What a training run is told. Every default stands here once; a recipe file or a flag replaces it.

The defaults fine-tune on a few hundred to a few thousand own images; `recipes/paper.toml` is the paper's recipe.
"""

import dataclasses
import json
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from mobilevit.errors import UsageError, check_ranges, unknown
from mobilevit.images.transforms import AugmentConfig
from mobilevit.loading.multiscale import MultiScaleConfig
from mobilevit.text import words_of

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW, linear warm-up, cosine decay by the step; moving average of the weights."""

    lr: float = 1e-3  # peak learning rate
    head_lr: float = 1.0  # factor for all but the backbone; the paper has 10 for segmentation
    lr_start: float = 1e-5  # at the first step of the warm-up
    lr_end: float = 1e-5  # at the last step
    warmup_steps: int | None = None  # None: a twentieth of all steps, at most 3000
    weight_decay: float = 0.01  # on all parameters, biases and norms too, as in the paper
    grad_clip_norm: float = 5.0  # largest norm of the gradient; 0 does not clip
    grad_accum_steps: int = 1  # batches to one step of the optimizer
    label_smoothing: float | None = None  # share of the target spread over all classes; None: the task's, as the paper
    class_weights: bool = False  # weigh classes by their inverse frequency
    anchors_per_box: int = 1  # detection: anchors that learn an object at least; more for objects below all anchors
    ema_decay: float = 0.9995  # of the averaged weights, which are evaluated and saved; 0 switches it off
    ema_warmup: bool = True  # let the average follow faster during the first steps; the paper does not

    def __post_init__(self) -> None:
        """Refuses what no optimizer can mean; UsageError."""
        check_ranges(
            self,
            lr=(1e-12, 1e3),
            head_lr=(0.0, 1e3),
            lr_start=(0.0, 1e3),
            lr_end=(0.0, 1e3),
            warmup_steps=(0, float("inf")),
            weight_decay=(0.0, 10.0),
            grad_clip_norm=(0.0, float("inf")),
            grad_accum_steps=(1, 10_000),
            label_smoothing=(0.0, 0.99),
            anchors_per_box=(1, 100),
            ema_decay=(0.0, 0.999999),
        )
        for flag, lr in (("--lr-start", self.lr_start), ("--lr-end", self.lr_end)):
            if lr > self.lr:
                raise UsageError(f"{flag} is {lr:g}, above the peak of {self.lr:g} (--lr): lower it too")


@dataclass(frozen=True)
class TrainConfig:
    """One training run."""

    data: Path  # folder of the dataset: class folders, images with boxes, or with masks (docs/data.md)
    model: str = "mobilevit_xs"  # a name of `mobilevit info`; a classifier stands for the task's of its size
    weights: str = "imagenet"  # to start from: imagenet, none, a catalog name or a file
    task: str | None = None  # None: recognized from the data
    data_format: str | None = None  # of the annotations; None: recognized from the data
    epochs: int = 40  # passes over the training images
    patience: int = 12  # stop after so many epochs without a better score; 0 never stops early
    output: Path = Path("runs")  # where run folders go
    name: str | None = None  # of the run folder; None: the model's name and a number
    overwrite: bool = False  # replace an existing run of that name
    val_fraction: float = 0.2  # share of the images to validate on, where the data has no split of its own
    split_seed: int = 0  # decides which images those are; evaluate needs the same two
    train_on: tuple[str, ...] = ("train",)  # splits to learn from; a score on val means little where val is among them
    skip_broken: bool = False  # leave out images that cannot be decoded, and count them
    allow_truncated: bool = False  # train on images whose files lack at most 1 % of their rows, and count them
    resize_ratio: float = 1.125  # evaluation: short side after resizing, over the side of the crop
    seed: int = 0  # of the order, the augmentation, the initialization and the dropout
    device: Device = "auto"  # where to train
    precision: Precision = "auto"  # auto: bf16 or fp16 on a GPU that has it, else fp32
    compile: bool = False  # torch.compile the model: slow to start, once for every resolution
    num_workers: int | None = None  # processes that decode images; None: from the number of cores
    cache: Literal["none", "memory"] = "none"  # memory: keep decoded images there; every file is decoded once
    anchors: Literal["paper", "data"] = "paper"  # detection: the paper's, or such as fit the training boxes
    dropout: float | None = None  # of every dropout in the model; None: the paper's
    freeze_stages: int = 0  # keep the stem and the first stages (1 to 5) as they are
    freeze_norm: bool = False  # keep the statistics of every BatchNorm as they are
    sync_norm: bool = False  # BatchNorm statistics over all GPUs
    checkpoint_minutes: float = 5.0  # at most so much work is lost when the machine goes down
    optim: OptimizerConfig = field(default_factory=OptimizerConfig)
    scale: MultiScaleConfig = field(default_factory=MultiScaleConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        """Refuses what no run can mean; UsageError."""
        check_ranges(
            self,
            epochs=(1, float("inf")),
            patience=(0, float("inf")),
            val_fraction=(0.01, 0.9),
            resize_ratio=(1.0, 4.0),
            seed=(0, 2**63 - 1),
            split_seed=(0, 2**63 - 1),
            num_workers=(0, 256),
            dropout=(0.0, 0.95),
            freeze_stages=(0, 5),
            checkpoint_minutes=(0.0, float("inf")),
        )
        if self.name is not None and Path(self.name).name != self.name:
            raise UsageError(f"--name is '{self.name}': give a plain name, and the folder for it as --output")


def checked(config: object) -> TrainConfig:
    """The configuration, with paths for folders that were given as strings; UsageError where it is none."""
    if not isinstance(config, TrainConfig):
        raise UsageError(f"expected a TrainConfig, not {config!r}: give mobilevit.TrainConfig(data=FOLDER)")
    for name in ("data", "output"):
        if not isinstance(getattr(config, name), str | Path):
            raise UsageError(f"TrainConfig.{name} is {getattr(config, name)!r}: give the path of a folder")
    for name, kind in get_type_hints(TrainConfig).items():
        value = getattr(config, name)
        if get_origin(kind) is Literal and name != "device" and value not in get_args(kind):  # a GPU may have a number
            raise unknown(f"TrainConfig.{name}", str(value), get_args(kind))
    return dataclasses.replace(config, data=Path(config.data), output=Path(config.output))


Config = TypeVar("Config")


def to_json(config: TrainConfig) -> str:
    """The text of config.json."""
    return json.dumps(dataclasses.asdict(config), indent=2, default=str)


def from_json(text: str) -> TrainConfig:
    """The inverse of `to_json`; UsageError on an unknown or missing option."""
    return with_options(TrainConfig(data=Path()), json.loads(text))


def with_recipe(config: Config, recipe: str | Path) -> Config:
    """`config` with the options that a recipe sets: the name of one in the package, or the path of a TOML file."""
    return with_options(config, read_recipe(recipe))


def read_recipe(recipe: str | Path) -> dict[str, Any]:
    """The options of a recipe; UsageError where there is none of that name or it is not TOML."""
    path = Path(recipe)
    if path.suffix == ".toml":
        if not path.is_file():
            raise UsageError(f"recipe file not found: {path}")
        text = path.read_text(encoding="utf-8")
    else:
        folder = resources.files("mobilevit.recipes")
        names = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))
        if recipe not in names:
            raise unknown("recipe", str(recipe), names)
        text = folder.joinpath(f"{recipe}.toml").read_text(encoding="utf-8")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"recipe {recipe} is not valid TOML: {words_of(error)}") from error


def with_options(config: Config, options: dict[str, Any]) -> Config:
    """`config` (a frozen dataclass) with options from a file; nested tables are nested dataclasses."""
    types = get_type_hints(type(config))
    changes: dict[str, Any] = {}
    for name, value in options.items():
        if name not in types:
            raise unknown("option", name, types)
        current = getattr(config, name)
        if dataclasses.is_dataclass(current):
            changes[name] = with_options(current, value)
        elif isinstance(current, Path):
            changes[name] = Path(value)
        elif isinstance(value, list):
            changes[name] = tuple(value)
        else:
            changes[name] = value
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]
