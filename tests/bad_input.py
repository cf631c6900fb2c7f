"""What docs/bad-input.md names: one file or folder for everything that can be wrong."""

import json
import os
import pickle
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn


def write_images(root: Path) -> None:
    good = root / "good.jpg"
    noise().save(good)
    (root / "cut.jpg").write_bytes(good.read_bytes()[:700])
    (root / "empty.jpg").touch()
    (root / "letter.jpg").write_text("Dear Sir or Madam")
    (root / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (root / "folder.jpg").mkdir()
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    framed = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    (root / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(framed))


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))


def write_datasets(root: Path) -> None:
    for where, count in {
        "flat": 3,
        "alone/cat": 3,
        "hollow/cat": 3,
        "hollow/dog": 0,
        "broken/cat": 3,
        "broken/dog": 3,
        "birds/owl": 3,
        "birds/wren": 3,
        "single/cat": 1,
        "single/dog": 1,
        "lonely/train/cat": 4,
        "lonely/train/dog": 1,
        "lonely/val/cat": 1,
        "lonely/val/dog": 1,
        "misspelled/train/cat": 2,
        "misspelled/train/dog": 2,
        "misspelled/val/Cat": 2,
        "held-out/val/cat": 2,
        "held-out/val/dog": 2,
    }.items():
        folder = root / where
        folder.mkdir(parents=True)
        for number in range(count):
            noise().save(folder / f"{number}.jpg")
    shutil.copy(root / "empty.jpg", root / "broken" / "cat" / "empty.jpg")
    shutil.copy(root / "cut.jpg", root / "broken" / "dog" / "cut.jpg")
    (root / "nothing").mkdir()
    shutil.make_archive(str(root / "pets"), "zip", root / "pets")
    (root / "notes.txt").write_text("a file")


def write_boxes(root: Path) -> None:
    """Datasets for detection, one image each; the label files have one good line first."""
    for where, label in {
        "short": "0 0.5 0.5 0.1",
        "words": "zero 0.5 0.5 0.1 0.1",
        "hidden": "0 0.5 0.5 0.1 0.1",
        "pixels": "",
    }.items():
        folder = root / "boxes" / where
        (folder / "images").mkdir(parents=True)
        (folder / "labels").mkdir()
        noise().save(folder / "images" / "a.jpg")
        (folder / "labels" / "a.txt").write_text(f"0 0.5 0.5 0.1 0.1\n{label}\n")
        (folder / "data.yaml").write_text("names: [cat]\ntrain: images\nval: images\n")
    hidden = root / "boxes" / "hidden"
    (hidden / "data.yaml").write_text("names: [cat]\ntrain: ../../../pets\nval: images\n")
    (root / "boxes" / "pixels" / "labels" / "a.txt").write_text("0 32 32 10 10\n")
    write_json(root / "boxes" / "text" / "train.json", bbox=["12", 4, 30, 30])
    write_json(root / "boxes" / "outside" / "train.json", file_name="../../pets/b.jpg")
    write_json(root / "boxes" / "two" / "train.json")
    shutil.copytree(root / "boxes" / "short", root / "boxes" / "two", dirs_exist_ok=True)
    cut = root / "boxes" / "cut" / "train.json"
    write_json(cut)
    cut.write_bytes(cut.read_bytes()[:-1])
    bomb = root / "boxes" / "bomb" / "Annotations"
    bomb.mkdir(parents=True)
    (bomb / "a.xml").write_text('<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><annotation>&b;</annotation>')


def write_json(path: Path, *, file_name: str = "a.jpg", bbox: list[object] | None = None) -> None:
    """An image with a box, in COCO's way."""
    path.parent.mkdir(parents=True)
    noise().save(path.parent / "a.jpg")
    content = {
        "images": [{"id": 1, "file_name": file_name, "width": 64, "height": 64}],
        "annotations": [{"id": 8, "image_id": 1, "category_id": 1, "bbox": bbox or [12, 4, 30, 30]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    path.write_text(json.dumps(content))


def write_masks(root: Path) -> None:
    """Datasets for segmentation, six images each, of which some masks are wrong."""
    good = np.zeros((64, 64), np.uint8)
    good[16:48, 16:48] = 1
    colored = np.where(good[..., None] == 1, (128, 64, 128), 0).astype(np.uint8)
    datasets: dict[str, tuple[str, dict[int, NDArray[np.uint8]]]] = {
        "small": ("background\nsquare\n", {1: good[:32], 2: good[:, :40]}),
        "values": ("background\nsquare\n", {3: good * 7}),
        "colors": ("", dict.fromkeys(range(6), colored)),
        "unknown": ("background 0 0 0\nroad #804080\n", {**dict.fromkeys(range(6), colored), 4: colored + 9}),
        "half": ("background 0 0 0\nroad\n", {}),
        "two": ("background\nsquare\n\nsquare\n", {}),
        "ignore": ("background\nsquare\nignore\n", {}),
        "strangers": ("background\nsquare\n", {}),
    }
    for name, (classes, wrong) in datasets.items():
        folder = root / "masks" / name
        for kind in ("images", "masks"):
            (folder / kind).mkdir(parents=True)
        for index in range(6):
            noise().save(folder / "images" / f"{index}.jpg")
            mask = f"{index}x.png" if name == "strangers" else f"{index}.png"
            Image.fromarray(wrong.get(index, good)).save(folder / "masks" / mask)
        if classes:
            (folder / "classes.txt").write_text(classes)


def write_models(root: Path) -> None:
    whole = (root / "pets.safetensors").read_bytes()
    (root / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (root / "letter.safetensors").write_text("Dear Sir or Madam")
    (root / "letter.pt").write_text("Dear Sir or Madam")
    torch.save(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(8, 2)).state_dict(), root / "other.pt")
    torch.save({"model": Malicious()}, root / "malicious.pt")
    (root / "malicious.pkl").write_bytes(pickle.dumps(Malicious()))


class Malicious:
    """Unpickled, it would make a folder."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("code-was-run",)
