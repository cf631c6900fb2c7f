"""What the documents name, made small: datasets, images, models; and what is shortened, or run elsewhere."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from blocks import ROOT
from PIL import Image
from safetensors.torch import save

from mobilevit.datasets.conversion import convert_data
from mobilevit.images.video import Frame
from mobilevit.images.video_writer import VideoWriter
from mobilevit.loading.multiscale import MultiScaleConfig
from mobilevit.spec import Preprocessing, labels
from mobilevit.training.callbacks import Quiet
from mobilevit.training.config import TrainConfig
from mobilevit.training.run import train
from mobilevit.weights import model_file
from mobilevit.weights.creating import create, load, spec_of
from mobilevit.weights.recognition import Recognized
from mobilevit.weights.translation import from_ours

sys.path.append(str(ROOT / "tests" / "weights"))
from servers import Site, serve

NOT_RUN = {
    "CONTRIBUTING.md": 1,
    "docs/android.md": 4,
    "docs/benchmarks.md": 1,
    "docs/ios.md": 4,
    "docs/training.md": 1,
    "docs/video.md": 1,
    "docs/weights.md": 1,
}

# Documents whose blocks a test of their own runs, several times or word by word, or compares with those of another.
ELSEWHERE = {
    "README.zh.md": "tests/documents/test_figures.py",
    "benchmarks/gpu.md": "tests/benchmarking/test_gpu.py",
    "docs/bad-input.md": "tests/cli/test_bad_input.py",
    "docs/python.md": "tests/exporting/test_docs.py",
}

SHORT = "--epochs 1 --image-size 64 --batch-size 8"
SHORT_CONFIG = "epochs=1, scale=mobilevit.MultiScaleConfig(image_size=64, batch_size=8)"

# What is shortened in the blocks of a document: fewer epochs, small images, fewer rounds and formats; `make` says what
# it would do, and nothing is installed but the package, beside the environment.
SHORTER: Mapping[str, Mapping[str, str]] = {
    "CONTRIBUTING.md": {"make ": "make --dry-run ", ".ci/run ": "bash -n .ci/run "},
    "README.md": {
        "pip install . ": "pip install --quiet --no-deps --target installed . ",
        "--name mine ": f"--name mine {SHORT} ",
        'model="mobilevit_xs")': f'model="mobilevit_xs", {SHORT_CONFIG})',
    },
    "docs/export.md": {"onnx,openvino,executorch,coreml,litert": "onnx", "--threads 1,2": "--threads 1,2 --runs 2"},
    "docs/training.md": {
        "--epochs 40": SHORT,
        "--dry-run": f"--dry-run {SHORT}",
        'data="flowers"': f'data="flowers", {SHORT_CONFIG}',
    },
}


def lay_out(document: str, folder: Path) -> None:
    """Everything that the document takes for granted, in `folder`."""
    if document in ("README.md", "CONTRIBUTING.md"):
        _copy_project(folder)
    for name in ("flowers", "images"):
        _write_classes(folder / name, ("daisy", "rose"), {"train": 8, "val": 4, "test": 2})
    _write_classes(folder / "IMAGENETTE", [label.id for label in spec_of(load("imagenette")).classes], {"val": 2})
    for name in ("cat", "dog", "photo", *(f"holiday/{stem}" for stem in ("beach", "dog", "hill"))):
        _write(folder / f"{name}.jpg", _photo(len(name)))
    _write_boxes(folder / "bccd")
    for name in (
        "best",
        "runs/flowers/best",
        "runs/pets/best",
        *(() if document == "README.md" else ("runs/mine/best",)),
    ):
        _write_model(folder / f"{name}.safetensors", "mobilevit_xxs", ("daisy", "rose"))
    _write_model(folder / "detector.safetensors", "ssdlite_mobilevit_xxs", ("cat", "dog"))
    _write_video(folder / "clip.mp4")
    if document == "docs/data.md":
        _write_masks(folder / "pets", "images", "masks", {"classes.txt": "background\npet\n"})
        _write_masks(folder / "PennFudanPed", "PNGImages", "PedMasks", {}, instances=True)
        convert_data(folder / "pets", folder / "coco-set", to="coco-polygons")
    if document == "docs/evaluation.md":
        _write_cells(folder / "cells", folder / "runs")


def _copy_project(folder: Path) -> None:
    """What a fresh clone has."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)


def _write_classes(root: Path, names: Sequence[str], counts: Mapping[str, int]) -> None:
    for split, count in counts.items():
        for place, name in enumerate(names):
            for number in range(count):
                _write(root / split / name / f"{number}.jpg", _photo(100 * place + number, hue=place))


def _photo(seed: int, hue: int | None = None) -> Image.Image:
    """Blocks of color, those of a class in its own."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    if hue is not None:
        blocks[..., hue % 3] //= 4
    return Image.fromarray(blocks).resize((160, 120), Image.Resampling.BICUBIC)


def _write(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _write_boxes(root: Path) -> None:
    """Pascal VOC: a box in each image."""
    box = "<bndbox><xmin>20</xmin><ymin>30</ymin><xmax>80</xmax><ymax>90</ymax></bndbox>"
    size = "<size><width>160</width><height>120</height></size>"
    names = {"train": ("a", "b", "c", "d"), "val": ("e", "f")}
    for split, stems in names.items():
        for stem in stems:
            _write(root / "JPEGImages" / f"{stem}.jpg", _photo(ord(stem)))
            text = (
                f"<annotation><filename>{stem}.jpg</filename>{size}<object><name>RBC</name>{box}</object></annotation>"
            )
            (root / "Annotations").mkdir(exist_ok=True)
            (root / "Annotations" / f"{stem}.xml").write_text(text)
        (root / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(stems))


def _write_model(path: Path, architecture: str, names: Sequence[str]) -> None:
    """A model as it is before any training, for images of 64 px."""
    torch.manual_seed(0)
    model = create(architecture, classes=labels(names))
    path.parent.mkdir(parents=True, exist_ok=True)
    spec = replace(spec_of(model), preprocessing=Preprocessing(image_size=64, resize_px=72))
    model_file.save(path, model.state_dict(), spec)


def _write_masks(root: Path, images: str, masks: str, texts: Mapping[str, str], *, instances: bool = False) -> None:
    """Images with a bright square each, its mask 1; with `instances` a second square, its mask 2."""
    for split in ("",) if instances else ("train", "val"):
        for number in range(6):
            rng = np.random.default_rng(number)
            pixels, mask = rng.integers(0, 90, (80, 100, 3), dtype=np.uint8), np.zeros((80, 100), np.uint8)
            for value in range(1, 3 if instances else 2):
                left = 10 + 45 * (value - 1) + int(rng.integers(0, 10))
                pixels[20:50, left : left + 30], mask[20:50, left : left + 30] = 220, value
            _write(root / split / images / f"{number}.png", Image.fromarray(pixels))
            _write(root / split / masks / f"{number}.png", Image.fromarray(mask))
    for name, text in texts.items():
        (root / name).write_text(text)


def _write_cells(data: Path, runs: Path) -> None:
    """The squares of masks as boxes, and a detector that has begun to find them."""
    with tempfile.TemporaryDirectory() as folder:
        _write_masks(Path(folder) / "masks", "images", "masks", {}, instances=True)
        convert_data(Path(folder) / "masks", data, to="coco", instances="cell")
    scale = MultiScaleConfig(image_size=96, batch_size=5)
    config = TrainConfig(data, model="ssdlite_mobilevit_xxs", weights="imagenette", epochs=4, output=runs, name="cells")
    train(replace(config, scale=scale, device="cpu", num_workers=0), Quiet())


def _write_video(path: Path) -> None:
    writer = VideoWriter(path)
    for index in range(12):
        image = _photo(index)
        writer.add(image, Frame(index, index / 10, Fraction(10), image))
    writer.close()


@contextmanager
def weights_server() -> Iterator[str]:
    """The URL of a hub that has, under every name, weights of mobilevit_xs in timm's layout."""
    torch.manual_seed(0)
    state = create("mobilevit_xs", num_classes=1000).state_dict()
    with serve(Site(save(from_ours(state, Recognized("timm", "mobilevit_xs", 1000))))) as site:
        yield site.url
