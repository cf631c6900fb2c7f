"""Options, recipes and config.json: what is written is what is read, and what is misspelt stops."""

from dataclasses import replace
from pathlib import Path

import pytest

from mobilevit import tasks
from mobilevit.errors import UsageError
from mobilevit.tasks.base import ReadOptions
from mobilevit.training.config import OptimiserConfig, TrainConfig, from_json, read_recipe, to_json, with_recipe
from mobilevit.training.distributed import Group
from mobilevit.training.run import prepare
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
