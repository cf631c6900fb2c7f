"""A classification dataset made small enough to travel: every image as WebP, reduced to a short side.

    python benchmarks/pack_images.py ../shared/data/imagenette build/packed/images

The folders stay as they are; `dog.jpg` becomes `dog.jpg.webp`. benchmarks/gpu.md says which size and quality were
chosen, and what the choice cost in accuracy.
"""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import tyro
from PIL import Image

from mobilevit.data.decoding import decode
from mobilevit.data.loader import auto_workers
from mobilevit.errors import MobileViTError, OutputError
from mobilevit.files import make_folder
from mobilevit.tasks.base import ReadOptions
from mobilevit.tasks.classification import reader

METHOD = 6  # WebP's slowest search: the smallest file


@dataclass(frozen=True)
class Options:
    """What to pack."""

    data: Annotated[Path, tyro.conf.Positional]  # a dataset of class folders
    output: Annotated[Path, tyro.conf.Positional]  # folder to write to; it must not exist
    short_side_px: int = 160  # of the packed images; smaller ones keep their size
    quality: int = 85  # of WebP, 0 to 100


def main(options: Options) -> None:
    count, size_bytes = pack(options)
    print(f"{options.output}: {count} images, {size_bytes / 1e6:.1f} MB")


def pack(options: Options) -> tuple[int, int]:
    """Write the packed dataset, whole or not at all; the number of its images, and of their bytes.

    OutputError where the folder exists, DataError where `data` is no dataset, PictureError for a broken image.
    """
    if options.output.exists():
        raise OutputError(f"cannot write {options.output}: it exists. Choose another folder, or remove it.")
    splits = reader.read(options.data, ReadOptions()).splits
    paths = [sample.path for samples in splits.values() for sample in samples]
    parent = make_folder(options.output.parent)
    with (
        TemporaryDirectory(dir=parent, prefix=".packing-") as staging,
        ThreadPoolExecutor(max(1, auto_workers())) as pool,
    ):
        target = Path(staging) / options.output.name
        # Threads, since WebP's encoder works outside Python's lock.
        sizes_bytes = list(pool.map(lambda path: _pack(path, target, options), paths))
        target.rename(options.output)
    return len(sizes_bytes), sum(sizes_bytes)


def _pack(path: Path, folder: Path, options: Options) -> int:
    """Write one image below `folder`; its number of bytes."""
    target = folder / path.relative_to(options.data)
    content = packed(decode(path), options.short_side_px, options.quality)
    (make_folder(target.parent) / f"{target.name}.webp").write_bytes(content)
    return len(content)


def packed(image: Image.Image, short_side_px: int, quality: int) -> bytes:
    """The WebP file of an RGB image, reduced to that short side and never enlarged."""
    scale = min(1.0, short_side_px / min(image.size))
    width, height = (max(1, round(side * scale)) for side in image.size)
    file = io.BytesIO()
    # The filter that training uses as well; sharper ones make the file a tenth larger.
    image.resize((width, height), Image.Resampling.BILINEAR).save(file, "WEBP", quality=quality, method=METHOD)
    return file.getvalue()


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except MobileViTError as error:
        raise SystemExit(f"error: {error}") from None
