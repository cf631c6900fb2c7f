"""Options, recipes and config.json: what is written is what is read, and what is misspelled stops."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mobilevit import tasks
from mobilevit.datasets.options import ReadOptions
from mobilevit.errors import UsageError
from mobilevit.loading.multiscale import resolutions
from mobilevit.training.callbacks import Quiet
from mobilevit.training.config import (
    OptimizerConfig,
    TrainConfig,
    checked,
    from_json,
    read_recipe,
    to_json,
    with_recipe,
)
from mobilevit.training.distributed import Group
from mobilevit.training.lines import ProgressLines
from mobilevit.training.lr_finder import find_lr
from mobilevit.training.run import prepare, train


def test_config_json_reads_back(config: TrainConfig) -> None:
    assert from_json(to_json(config)) == config


def test_the_papers_recipe_is_the_papers() -> None:
    config = with_recipe(TrainConfig(data=Path("imagenet")), "paper")
    assert (config.epochs, config.scale.image_size, config.scale.batch_size) == (300, 256, 128)
    assert (config.optim.lr, config.optim.lr_end, config.optim.warmup_steps) == (2e-3, 2e-4, 3000)
    assert (config.optim.weight_decay, config.optim.grad_clip_norm, config.optim.label_smoothing) == (0.01, 0.0, 0.1)
    assert config.augment.crop_area_min == 0.08
    assert not config.optim.ema_warmup


SIZES_PX = {
    "bccd": [256, 288, 320, 352, 384],
    "digits": [48, 56, 64, 72, 80],
    "digits-detection": [128, 144, 160, 176, 192],
    "digits-segmentation": [160, 192, 224],
    "imagenette": [80, 96, 128, 144, 160],
    "paper": [160, 192, 256, 288, 320],
    "paper-detection": [320],
    "paper-segmentation": [512],
    "pets": [192, 224, 256, 288, 320],
}


@pytest.mark.parametrize("recipe", SIZES_PX)
def test_the_sizes_of_a_recipe_follow_its_base(recipe: str) -> None:
    scale = with_recipe(TrainConfig(data=Path("images")), recipe).scale
    assert [size.image_size for size in resolutions(scale)] == SIZES_PX[recipe]
    assert scale.image_size is not None
    doubled = [size.image_size for size in resolutions(replace(scale, image_size=2 * scale.image_size, divisor=1))]
    assert doubled[0] >= 1.2 * SIZES_PX[recipe][0] and doubled[-1] >= 1.9 * SIZES_PX[recipe][-1]


def test_a_rate_below_the_ends_of_its_recipe_is_refused() -> None:
    paper = with_recipe(TrainConfig(data=Path("images")), "paper")
    with pytest.raises(UsageError, match=r"`lr_start` is 0.0002, above the peak of 0.0001"):
        replace(paper.optim, lr=1e-4)


def test_what_does_not_fit_into_a_short_run_is_said(config: TrainConfig) -> None:
    heard: list[str] = []
    long = replace(config, optim=replace(config.optim, warmup_steps=3000, ema_warmup=False))
    prepare(long, ProgressLines(heard.append), Group())
    assert any("warm-up of 3,000 steps is longer than the run" in line for line in heard)
    assert any("the averaged weights are still" in line for line in heard)


def test_what_is_held_out_does_not_hang_on_the_seed_of_the_run(stripes: Path, config: TrainConfig) -> None:
    classes = replace(config, data=stripes / "train", seed=5)
    parts = prepare(classes, Quiet(), Group())
    assert parts.dataset.splits == tasks.get("classification").read(classes.data, ReadOptions()).splits


@pytest.mark.parametrize("verb", [train, find_lr])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("images", r"expected a TrainConfig, not 'images': give mobilevit\.TrainConfig\(data="),
        (TrainConfig(data=None), r"TrainConfig\.data is None: give the path"),  # type: ignore[arg-type]
        (TrainConfig(data=Path(), cache="memry"), r"unknown TrainConfig\.cache 'memry': did you mean memory"),  # type: ignore[arg-type]
        (TrainConfig(data=Path(), precision="half"), r"unknown TrainConfig\.precision 'half'"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_configuration(verb: Callable[[object], object], given: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        verb(given)


def test_folders_may_be_given_as_strings() -> None:
    assert checked(TrainConfig(data="images", output="runs")) == TrainConfig(data=Path("images"))  # type: ignore[arg-type]


def test_an_option_that_is_no_number() -> None:
    with pytest.raises(UsageError, match="`epochs` is '5': it must be a number"):
        TrainConfig(data=Path(), epochs="5")  # type: ignore[arg-type]


def test_a_misspelled_option_offers_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[optim]\nweight_decey = 0.1\n")
    with pytest.raises(UsageError, match="weight_decay"):
        with_recipe(TrainConfig(data=tmp_path), path)


@pytest.mark.parametrize(("recipe", "message"), [("papper", "paper"), ("absent.toml", "not found")])
def test_an_unknown_recipe_is_named(recipe: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_recipe(recipe)


def test_broken_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("epochs = = 3")
    with pytest.raises(UsageError, match="not valid TOML"):
        read_recipe(path)


@pytest.mark.parametrize(
    ("build", "option"),
    [
        (lambda: TrainConfig(data=Path(), epochs=0), "`epochs`"),
        (lambda: TrainConfig(data=Path(), resize_ratio=0.5), "`resize_ratio`"),
        (lambda: TrainConfig(data=Path(), optim=OptimizerConfig(lr=-1.0)), "`lr`"),
        (lambda: TrainConfig(data=Path(), optim=OptimizerConfig(ema_decay=1.0)), "`ema_decay`"),
    ],
)
def test_values_outside_their_range_are_refused(build: object, option: str) -> None:
    with pytest.raises(UsageError, match=option):
        build()  # type: ignore[operator]
