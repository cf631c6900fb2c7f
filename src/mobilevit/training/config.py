"""The configuration of a training run. Every default is declared here once; a recipe or an option replaces it.

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
    """AdamW with linear warm-up, cosine decay per step, and a moving average (EMA) of the weights."""

    lr: float = 1e-3  # peak learning rate
    head_lr: float = 1.0  # learning rate factor of all layers outside the backbone; paper: 10 for segmentation
    lr_start: float = 1e-5  # learning rate at the first step of the warm-up
    lr_end: float = 1e-5  # learning rate at the last step
    warmup_steps: int | None = None  # steps of linear warm-up; None: 5 % of all steps, at most 3000
    weight_decay: float = 0.01  # AdamW weight decay of all parameters, including biases and norms as in the paper
    grad_clip_norm: float = 5.0  # maximum norm of the gradient; 0: no clipping
    grad_accum_steps: int = 1  # batches accumulated for each optimizer step
    label_smoothing: float | None = None  # label smoothing, 0 to 0.99; None: the paper's value for the task
    class_weights: bool = False  # weight the loss of each class by its inverse frequency
    anchors_per_box: int = 1  # detection: minimum anchors matched to each object; raise it for small objects
    ema_decay: float = 0.9995  # decay of the averaged (EMA) weights, which are evaluated and saved; 0: no averaging
    ema_warmup: bool = True  # use a smaller EMA decay during the first steps; the paper does not

    def __post_init__(self) -> None:
        """UsageError for values out of range."""
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
        for name, lr in (("lr_start", self.lr_start), ("lr_end", self.lr_end)):
            if lr > self.lr:
                raise UsageError(f"`{name}` is {lr:g}, above the peak of {self.lr:g} (`lr`): lower it too")


@dataclass(frozen=True)
class TrainConfig:
    """One training run."""

    data: Path  # dataset folder: class folders, images with boxes, or images with masks (docs/data.md)
    model: str = "mobilevit_xs"  # model name (`mobilevit info`); a classifier selects the task's model of its size
    weights: str = "imagenet"  # initial weights: imagenet, none, a catalog name, or a file
    task: str | None = None  # classification, detection or segmentation; None: recognized from the data
    data_format: str | None = None  # annotation format, such as coco, voc or yolo; None: recognized from the data
    epochs: int = 40  # passes over the training images
    patience: int = 12  # early stopping: epochs without a better score; 0: never stop early
    output: Path = Path("runs")  # folder for run folders
    name: str | None = None  # name of the run folder; None: model name and a number
    overwrite: bool = False  # replace an existing run of the same name
    val_fraction: float = 0.2  # fraction of the images held out for validation if the data has no val split
    split_seed: int = 0  # seed of that split; use the same value and fraction in evaluate
    train_on: tuple[str, ...] = ("train",)  # splits to train on; with val among them, its score is meaningless
    skip_broken: bool = False  # skip and count images that cannot be decoded
    allow_truncated: bool = False  # train on images that lack at most 1 % of their rows, and count them
    resize_ratio: float = 1.125  # evaluation: short side after resizing divided by the crop size, 1 to 4
    seed: int = 0  # seed of the sample order, augmentation, initialization and dropout
    device: Device = "auto"  # device to train on; auto: GPU if there is one
    precision: Precision = "auto"  # arithmetic; auto: bf16 or fp16 on a GPU that supports it, else fp32
    compile: bool = False  # compile the model with torch.compile: slow start, once for each image size
    num_workers: int | None = None  # processes that decode images; None: from the number of cores
    cache: Literal["none", "memory"] = "none"  # memory: decode every image once, and keep it in memory
    anchors: Literal["paper", "data"] = "paper"  # detection: anchor boxes, the paper's or fitted to the data
    dropout: float | None = None  # probability of every dropout in the model, 0 to 0.95; None: the paper's
    freeze_stages: int = 0  # freeze the stem and the first stages, 1 to 5; 0: train all
    freeze_norm: bool = False  # freeze the statistics of every BatchNorm
    sync_norm: bool = False  # compute BatchNorm statistics over all GPUs
    checkpoint_minutes: float = 5.0  # minutes between checkpoints: the most work that a crash can lose
    optim: OptimizerConfig = field(default_factory=OptimizerConfig)
    scale: MultiScaleConfig = field(default_factory=MultiScaleConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        """UsageError for values out of range."""
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
            raise UsageError(f"`name` is '{self.name}': give a name without folders, and the folder as `output`")


def checked(config: object) -> TrainConfig:
    """The configuration, with strings for folders turned into paths; UsageError for an invalid one."""
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
    """`config` with the options of a recipe: a name from the package, or the path of a TOML file."""
    return with_options(config, read_recipe(recipe))


def read_recipe(recipe: str | Path) -> dict[str, Any]:
    """The options of a recipe; UsageError if it does not exist or is not TOML."""
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
