"""What docs/bad-input.md names: one file or folder for everything that can be wrong."""

import pickle
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn


def write_pictures(root: Path) -> None:
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


def write_data_sets(root: Path) -> None:
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
        "misspelt/train/cat": 2,
        "misspelt/train/dog": 2,
        "misspelt/val/Cat": 2,
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


def write_models(root: Path) -> None:
    whole = (root / "pets.safetensors").read_bytes()
    (root / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (root / "letter.safetensors").write_text("Dear Sir or Madam")
    (root / "letter.pt").write_text("Dear Sir or Madam")
    torch.save(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(8, 2)).state_dict(), root / "other.pt")
    torch.save({"model": Malicious()}, root / "malicious.pt")
    (root / "malicious.pkl").write_bytes(pickle.dumps(Malicious()))


class Malicious:
    """Unpickled, it would create a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("code-was-run"),)
