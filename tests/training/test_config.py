"""Options, recipes and config.json: what is written is what is read, and what is misspelt stops."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mobilevit import tasks
from mobilevit.errors import UsageError
from mobilevit.tasks.base import ReadOptions
from mobilevit.training.config import (
    OptimiserConfig,
    TrainConfig,
    checked,
    from_json,
    read_recipe,
    to_json,
    with_recipe,
)
from mobilevit.training.distributed import Group
from mobilevit.training.lr_finder import find_lr
from mobilevit.training.run import prepare, train
from mobilevit.training.watching import Quiet


def test_config_json_reads_back(config: TrainConfig) -> None:
    assert from_json(to_json(config)) == config


def test_the_papers_recipe_is_the_papers() -> None:
    config = with_recipe(TrainConfig(data=Path("imagenet")), "paper")
    assert (config.epochs, config.scale.size_px, config.scale.batch_size) == (300, 256, 128)
    assert (config.optim.lr, config.optim.lr_end, config.optim.warmup_steps) == (2e-3, 2e-4, 3000)
    assert (config.optim.weight_decay, config.optim.clip_norm, config.optim.label_smoothing) == (0.01, 0.0, 0.1)
    assert config.augment.crop_area_min == 0.08
    assert not config.optim.ema_warmup


def test_what_is_held_out_does_not_hang_on_the_seed_of_the_run(stripes: Path, config: TrainConfig) -> None:
    classes = replace(config, data=stripes / "train", seed=5)
    parts = prepare(classes, Quiet(), Group())
    assert parts.dataset.splits == tasks.get("classification").read(classes.data, ReadOptions()).splits


@pytest.mark.parametrize("verb", [train, find_lr])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("pictures", r"expected a TrainConfig, not 'pictures': give mobilevit\.TrainConfig\(data="),
        (TrainConfig(data=None), r"TrainConfig\.data is None: give the path"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_configuration(verb: Callable[[object], object], given: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        verb(given)


def test_folders_may_be_given_as_strings() -> None:
    assert checked(TrainConfig(data="pictures", output="runs")) == TrainConfig(data=Path("pictures"))  # type: ignore[arg-type]


def test_an_option_that_is_no_number() -> None:
    with pytest.raises(UsageError, match="--epochs is '5': it must be a number"):
        TrainConfig(data=Path(), epochs="5")  # type: ignore[arg-type]


def test_a_misspelt_option_offers_the_nearest(tmp_path: Path) -> None:
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
        (lambda: TrainConfig(data=Path(), epochs=0), "--epochs"),
        (lambda: TrainConfig(data=Path(), resize_ratio=0.5), "--resize-ratio"),
        (lambda: TrainConfig(data=Path(), optim=OptimiserConfig(lr=-1.0)), "--lr"),
        (lambda: TrainConfig(data=Path(), optim=OptimiserConfig(ema_decay=1.0)), "--ema-decay"),
    ],
)
def test_values_outside_their_range_are_refused(build: object, option: str) -> None:
    with pytest.raises(UsageError, match=option):
        build()  # type: ignore[operator]
