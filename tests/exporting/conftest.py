"""Small images in color, and every export made once for all tests, in however many processes they run."""

import os
import pickle
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from exported_models import IMAGE_SIZE, model_of
from filelock import FileLock
from PIL import Image

from mobilevit.exporting.export import ExportedModel, export


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen images in color, with edges and of several shapes."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for index in range(16):
        pixels = np.zeros((int(rng.integers(90, 200)), int(rng.integers(90, 200)), 3), np.uint8)
        pixels[:] = rng.integers(0, 256, 3)
        for _ in range(6):
            top, left = rng.integers(0, pixels.shape[0] - 20), rng.integers(0, pixels.shape[1] - 20)
            pixels[top : top + 60, left : left + 40] = rng.integers(0, 256, 3)
        Image.fromarray(pixels).save(folder / f"{index:02}.png")
    return folder


TOGETHER = ["onnx", "openvino"]  # the second is made of the first, which takes the time


@pytest.fixture(scope="session")
def export_of(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], ExportedModel]:
    """The exported model of a task in a format, compared on the images."""
    folder = of_all_processes(tmp_path_factory) / "exported"
    folder.mkdir(exist_ok=True)

    @cache
    def made(task: str, name: str) -> ExportedModel:
        names = TOGETHER if name in TOGETHER and find_spec("openvino") else [name]
        known = folder / f"{task}.{name}.pickle"
        with FileLock(folder / f"{task}.{names[0]}.lock"):
            if not known.exists():
                made = export(model_of(task), names, verify=photos, output=folder / task, image_size=IMAGE_SIZE)
                for written, exported in zip(names, made, strict=True):
                    (folder / f"{task}.{written}.pickle").write_bytes(pickle.dumps(exported))
            found: ExportedModel = pickle.loads(known.read_bytes())
        return found

    return made


def of_all_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this run of pytest: that of xdist's worker lies in it."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
