"""Small datasets that a model can learn in seconds: stripes that run up or across, and squares in two colors."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilevit import figures
from mobilevit.images.transforms import AugmentConfig
from mobilevit.loading.multiscale import MultiScaleConfig
from mobilevit.training.config import OptimizerConfig, TrainConfig


@pytest.fixture(scope="session")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stripes")
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 4)):
        for axis, name in enumerate(("across", "up")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                wave = 110 + 90 * np.sin(np.arange(48) / 2 + rng.uniform(0, 6))
                image = np.broadcast_to(np.expand_dims(wave, axis), (48, 48))[..., None] + rng.normal(0, 9, (48, 48, 3))
                Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
    return root


@pytest.fixture(scope="session")
def short(stripes: Path) -> TrainConfig:
    """Three epochs of a few steps at two sizes."""
    return TrainConfig(
        data=stripes,
        model="mobilevit_xxs",
        weights="none",
        epochs=3,
        name="run",
        device="cpu",
        num_workers=0,
        optim=OptimizerConfig(lr=1e-3),
        scale=MultiScaleConfig(image_size=32, image_size_min=32, image_size_max=48, sizes=2, divisor=16, batch_size=6),
        augment=AugmentConfig(flip=False, crop_area_min=0.6),
    )


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that do not look at the report: its plots take half of the time of so short a run."""
    monkeypatch.setattr(figures.Figure, "png", lambda *_, **__: b"")


@pytest.fixture
def config(short: TrainConfig, tmp_path: Path) -> TrainConfig:
    """As `short`, into a folder of the test's own."""
    return replace(short, output=tmp_path / "runs")


@pytest.fixture(scope="session")
def boxed_squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One square in each image, and its box."""
    root = tmp_path_factory.mktemp("boxed_squares")
    for split, images in squares().items():
        (root / split).mkdir()
        entries = [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 64} for i in range(len(images))]
        boxes = []
        for i, (image, (left, top, side, color)) in enumerate(images):
            image.save(root / split / f"{i}.png")
            box = [left, top, side, side]
            boxes.append({"id": i, "image_id": i, "category_id": color, "bbox": box, "area": side**2, "iscrowd": 0})
        classes = [{"id": 0, "name": "red"}, {"id": 1, "name": "blue"}]
        content = {"images": entries, "categories": classes, "annotations": boxes}
        (root / split / "_annotations.coco.json").write_text(json.dumps(content))
    return root


@pytest.fixture(scope="session")
def masked_squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, and its mask."""
    root = tmp_path_factory.mktemp("masked_squares")
    for split, images in squares().items():
        for name in ("images", "masks"):
            (root / split / name).mkdir(parents=True)
        for i, (image, (left, top, side, color)) in enumerate(images):
            mask = np.zeros((64, 64), np.uint8)
            mask[top : top + side, left : left + side] = 1 + color
            image.save(root / split / "images" / f"{i}.png")
            Image.fromarray(mask).save(root / split / "masks" / f"{i}.png")
    (root / "classes.txt").write_text("background\nred\nblue\n")
    return root


def squares() -> dict[str, list[tuple[Image.Image, tuple[int, int, int, int]]]]:
    """Images by split, each with left, top and side of its square, and 0 for red or 1 for blue."""
    rng = np.random.default_rng(0)
    found: dict[str, list[tuple[Image.Image, tuple[int, int, int, int]]]] = {"train": [], "val": []}
    for split, count in (("train", 12), ("val", 4)):
        for i in range(count):
            side = int(rng.integers(20, 40))
            left, top = rng.integers(0, 64 - side, 2).tolist()
            pixels = rng.normal(128, 20, (64, 64, 3))
            pixels[top : top + side, left : left + side] = [(220, 30, 30), (30, 30, 220)][i % 2]
            found[split].append((Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), (left, top, side, i % 2)))
    return found


@pytest.fixture(params=["classification", "detection", "segmentation"])
def task_config(
    request: pytest.FixtureRequest, config: TrainConfig, boxed_squares: Path, masked_squares: Path
) -> TrainConfig:
    """As `config`, for each task in turn; the model follows the task."""
    data = {"classification": config.data, "detection": boxed_squares, "segmentation": masked_squares}
    return replace(config, data=data[request.param])
