"""`explain` as a user has it: images in, an image out, and mistakes that are named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import mobilevit.weights.creating as creating
from mobilevit.errors import ImageError, OutputError, UsageError
from mobilevit.explanation import explain
from mobilevit.inference import Predictor
from mobilevit.spec import ClassLabel
from mobilevit.weights import model_file

CLASSES = (ClassLabel("n1", "red fox"), ClassLabel("n2", "snow goose"), ClassLabel("n3", "price in $ or $$"))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return creating.create("mobilevit_xxs", classes=CLASSES)


@pytest.fixture(scope="module")
def image() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_says_what_prediction_says(model: nn.Module, image: Image.Image) -> None:
    explanation = explain(model, image, device="cpu")
    (predicted,) = Predictor(model, device="cpu")(image)
    for mine, theirs in zip(explanation.result.top, predicted.top, strict=True):
        assert mine.class_id == theirs.class_id
        assert mine.score == pytest.approx(theirs.score, abs=1e-5)
    assert explanation.result.size == (160, 90)
    assert explanation.attributions.target.name == explanation.result.best.class_name
    assert "\n" not in explanation.text


def test_shows_the_crop_that_the_model_saw(model: nn.Module) -> None:
    """The center of a wide image: its sides are not there."""
    wide = np.zeros((100, 300, 3), dtype=np.uint8)
    wide[:, 100:200] = 255
    crop = explain(model, wide).attributions.crop
    assert crop.size == (256, 256)
    assert np.asarray(crop).min() == 255


def test_the_model_is_left_as_it_was(model: nn.Module, image: Image.Image) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    explain(model, image)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_same_from_files(model: nn.Module, image: Image.Image, tmp_path: Path) -> None:
    path, source = tmp_path / "model.safetensors", tmp_path / "image.png"
    model_file.save(path, model.state_dict(), creating.spec_of(model))
    image.save(source)
    from_files, from_memory = explain(path, source), explain(model, image)
    assert from_files.result.source == str(source)
    assert from_files.result.top == from_memory.result.top
    assert torch.equal(from_files.attributions.heat, from_memory.attributions.heat)


@pytest.mark.parametrize("name", ["snow goose", "n2", "Snow_Goose"])
def test_a_class_by_name_or_id(model: nn.Module, image: Image.Image, name: str) -> None:
    explanation = explain(model, image, class_name=name)
    assert explanation.attributions.target.name == "snow goose"
    assert "snow goose" in explanation.text


def test_the_pixel_is_the_warmest_unless_it_is_chosen(model: nn.Module, image: Image.Image) -> None:
    attributions = explain(model, image).attributions
    row, column = divmod(int(attributions.heat.argmax()), 8)
    assert attributions.pixel == ((column + 0.5) / 8, (row + 0.5) / 8)
    chosen = explain(model, image, pixel=(1.0, 0.3)).attributions
    assert [(a.row, a.column) for a in chosen.attention] == [(9, 31), (4, 15), (2, 7)]


def test_another_size(model: nn.Module, image: Image.Image) -> None:
    attributions = explain(model, image, image_size=96).attributions
    assert attributions.crop.size == (96, 96)
    assert attributions.heat.shape == (3, 3)
    assert [a.seen.shape for a in attributions.attention] == [
        (12, 12),
        (6, 6),
        (4, 4),
    ]  # the last one resized from 3 x 3


def test_bgr_weights_see_bgr(model: nn.Module, image: Image.Image) -> None:
    """The same model with its stem flipped and its spec saying so gives the same image."""
    flipped = creating.create("mobilevit_xxs", classes=CLASSES)
    flipped.load_state_dict(model.state_dict())
    stem = flipped.get_parameter("backbone.stem.conv.weight")
    stem.data = stem.data.flip(1)
    spec = creating.spec_of(model)
    flipped.spec = replace(spec, preprocessing=replace(spec.preprocessing, channel_order="bgr"))  # type: ignore[assignment]
    theirs, mine = explain(flipped, image).attributions, explain(model, image).attributions
    torch.testing.assert_close(theirs.heat, mine.heat, atol=1e-4, rtol=0)


def test_saves_an_image(model: nn.Module, image: Image.Image, tmp_path: Path) -> None:
    explanation = explain(model, image, image_size=64)
    paths = [tmp_path / f"why{suffix}" for suffix in (".JPEG", ".png", ".webp")]
    for path in paths:
        explanation.save(path)
        assert Image.open(path).size == explanation.image.size
    assert sorted(tmp_path.iterdir()) == paths
    (tmp_path / "folder.png").mkdir()
    for name in ("why", "why.txt", "missing/why.png", "folder.png"):
        with pytest.raises(OutputError, match=r"cannot write .*" + name):
            explanation.save(tmp_path / name)


@pytest.mark.parametrize("pixel", [(1.2, 0.5), (0.5, -0.1), (float("nan"), 0.0), (120, 80)])
def test_a_pixel_outside(model: nn.Module, image: Image.Image, pixel: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        explain(model, image, pixel=pixel)


def test_an_unknown_class_offers_the_nearest(model: nn.Module, image: Image.Image) -> None:
    with pytest.raises(UsageError, match="did you mean snow goose"):
        explain(model, image, class_name="snow gose")


def test_a_model_of_features_has_no_class(image: Image.Image) -> None:
    with pytest.raises(UsageError, match="no class to explain"):
        explain(creating.create("mobilevit_xxs", num_classes=0), image)


def test_a_model_without_a_spec(image: Image.Image) -> None:
    with pytest.raises(UsageError, match="spec"):
        explain(nn.Linear(3, 3), image)


def test_broken_and_missing_images(model: nn.Module, tmp_path: Path) -> None:
    broken = tmp_path / "text.jpg"
    broken.write_text("no image")
    for source in (broken, tmp_path / "missing.jpg", b"", ""):
        with pytest.raises(ImageError):
            explain(model, source)


def test_one_image_at_a_time(model: nn.Module, image: Image.Image, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        image.save(tmp_path / name)
    with pytest.raises(UsageError, match="one at a time"):
        explain(model, tmp_path)
    (tmp_path / "b.png").unlink()
    assert explain(model, tmp_path, image_size=64).result.source.endswith("a.png")


def test_a_size_out_of_range(model: nn.Module, image: Image.Image) -> None:
    with pytest.raises(UsageError):
        explain(model, image, image_size=8)
