"""A small picture folder that a network can learn in seconds: stripes that run up or across."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilevit.data.multiscale import MultiScaleConfig
from mobilevit.data.transforms import AugmentConfig
from mobilevit.training.config import OptimiserConfig, TrainConfig


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
                picture = np.broadcast_to(np.expand_dims(wave, axis), (48, 48))[..., None] + rng.normal(
                    0, 9, (48, 48, 3)
                )
                Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
    return root


@pytest.fixture
def config(stripes: Path, tmp_path: Path) -> TrainConfig:
    """Three epochs of a few steps at two sizes."""
    return TrainConfig(
        data=stripes,
        model="mobilevit_xxs",
        weights="none",
        epochs=3,
        output=tmp_path / "runs",
        name="run",
        device="cpu",
        workers=0,
        optim=OptimiserConfig(lr=1e-3),
        scale=MultiScaleConfig(size_px=32, size_min_px=32, size_max_px=48, sizes=2, divisor=16, batch_size=6),
        augment=AugmentConfig(flip=False, crop_area_min=0.6),
    )
