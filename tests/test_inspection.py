"""Parameters and multiply-adds of every model, against the figures counted on the official code."""

from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from mobilevit.errors import UsageError
from mobilevit.inspection import deit_tiny, info
from mobilevit.models.table import MODELS
from mobilevit.spec import Preprocessing
from mobilevit.weights import model_file
from mobilevit.weights.creating import create, spec_of

# name, size: total, convolution, linear with the classifier, attention products; millions (official code)
OFFICIAL = {
    ("mobilevit_xxs", 224): (301.50, 149.42, 106.00, 46.07),
    ("mobilevit_xs", 224): (772.34, 465.07, 238.15, 69.11),
    ("mobilevit_s", 224): (1521.51, 836.33, 580.44, 104.74),
    ("mobilevit_xxs", 256): (407.36, 195.17, 134.01, 78.18),
    ("mobilevit_xs", 256): (1025.91, 607.44, 301.19, 117.28),
    ("mobilevit_s", 256): (2000.83, 1092.35, 730.84, 177.64),
    ("mobilevit_xxs", 320): (705.04,),
    ("mobilevit_xs", 320): (1705.85,),
    ("mobilevit_s", 320): (3282.06,),
    ("ssdlite_mobilevit_xxs", 320): (842.0,),
    ("ssdlite_mobilevit_xs", 320): (1845.4,),
    ("ssdlite_mobilevit_s", 320): (3426.7,),
    ("deeplabv3_mobilevit_xxs", 512): (3952.8,),
    ("deeplabv3_mobilevit_xs", 512): (7378.4,),
    ("deeplabv3_mobilevit_s", 512): (13693.5,),
}


@pytest.mark.parametrize(("name", "image_size"), OFFICIAL)
def test_multiply_adds_are_the_official_ones(name: str, image_size: int) -> None:
    macs = info(name, image_size).macs
    found = (macs.total, macs.convolution, macs.linear, macs.attention)
    for count, millions in zip(found, OFFICIAL[name, image_size], strict=False):
        printed = 0.011 if name.startswith("mobilevit") else 0.051
        assert count / 1e6 == pytest.approx(millions, abs=printed)


@pytest.mark.parametrize("name", MODELS)
def test_a_name_alone_is_the_published_model_at_its_own_size(name: str) -> None:
    summary = info(name)
    assert summary.image_size == MODELS[name].image_size
    assert summary.parameters == sum(p.numel() for p in create(name).parameters())


def test_a_model_that_says_its_size_is_counted_at_that_size(tmp_path: Path) -> None:
    model = create("ssdlite_mobilevit_xxs", num_classes=3)
    model.spec = replace(spec_of(model), preprocessing=Preprocessing(image_size=160, fit="stretch"))  # type: ignore
    assert info(model).image_size == 160
    model_file.save(tmp_path / "own.safetensors", model.state_dict(), spec_of(model))
    assert info(tmp_path / "own.safetensors").image_size == 160
    assert info(nn.Conv2d(3, 8, 1)).image_size == 256


def test_heads_are_listed_by_what_they_say() -> None:
    stages = {stage.name: stage for stage in info("ssdlite_mobilevit_xxs").stages}
    assert [stages[f"heads.{i}"].shape for i in range(6)] == [(n, 85) for n in (2400, 600, 150, 54, 24, 4)]
    stages = {stage.name: stage for stage in info("deeplabv3_mobilevit_s_os8").stages}
    assert stages["classifier"].shape == (21, 64, 64)
    assert stages["auxiliary"].blocks == "Auxiliary, in training only" and stages["auxiliary"].macs.total == 0


def test_parameters_of_the_stages_are_the_official_ones() -> None:
    stages = {stage.name: stage.parameters for stage in info("mobilevit_xxs").stages}
    assert list(stages.values()) == [464, 1472, 7696, 139888, 341824, 433440, 26240, 321000]
    assert deit_tiny().parameters == 5717416


def test_counting_leaves_the_model_as_it_is() -> None:
    model = create("mobilevit_xxs", num_classes=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    summary = info(model, 64)
    assert model.training
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert summary.stages[-1].shape == (320, 2, 2)  # no classifier
    assert not any(module._forward_hooks for module in model.modules())


def test_plain_values_add_up() -> None:
    values = info("mobilevit_xs", 96).to_dict()
    assert values["parameters"] == sum(stage["parameters"] for stage in values["stages"])
    assert values["macs"]["total"] == sum(sum(stage["macs"].values()) for stage in values["stages"])
    assert len(info("mobilevit_xs", 96).rows()) == len(values["stages"]) + 1


@pytest.mark.parametrize("image_size", [0, -5, 31, 100_000])
def test_a_size_that_makes_no_sense_is_refused(image_size: int) -> None:
    with pytest.raises(UsageError, match="size"):
        info("mobilevit_xxs", image_size)


def test_any_module_will_do() -> None:
    assert info(nn.Sequential(nn.Conv2d(3, 8, 1)), 32).macs.convolution == 3 * 8 * 32 * 32
