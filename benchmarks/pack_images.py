"""A classification dataset as one small file that can travel: its images as WebP, reduced to a short side.

    python benchmarks/pack_images.py ../shared/data/imagenette build/imagenette.zip

The folders inside are those of the dataset; `dog.jpg` becomes `dog.jpg.webp`. benchmarks/gpu.md says which size and
quality were chosen, and why.
"""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from zipfile import ZipFile, ZipInfo

import tyro
from PIL import Image

from mobilevit.datasets import class_folders
from mobilevit.datasets.options import ReadOptions
from mobilevit.errors import MobileViTError, OutputError
from mobilevit.files import make_folder, write_atomically
from mobilevit.images.decoding import decode
from mobilevit.loading.workers import auto_workers

METHOD = 6  # WebP's slowest search: the smallest file


@dataclass(frozen=True)
class Options:
    """What to pack."""

    data: Annotated[Path, tyro.conf.Positional]  # a dataset of class folders
    output: Annotated[Path, tyro.conf.Positional]  # the zip file to write
    short_side_px: int = 192  # of the packed images; smaller ones keep their size
    quality: int = 75  # of WebP, 0 to 100


def main(options: Options) -> None:
    count, size_bytes = pack(options)
    print(f"{options.output}: {count} images, {size_bytes / 1e6:.1f} MB")


def pack(options: Options) -> tuple[int, int]:
    """Write the file, whole or not at all: the same bytes for the same images; their number, and the file's bytes.

    OutputError for a name that is no zip file's, DataError where `data` is no dataset, ImageError for a broken image.
    """
    if options.output.suffix != ".zip":
        raise OutputError(f"cannot write {options.output}: give it a name that ends in .zip")
    splits = class_folders.read(options.data, ReadOptions()).splits
    paths = [sample.path for samples in splits.values() for sample in samples]
    make_folder(options.output.parent)
    content = io.BytesIO()
    with ZipFile(content, "w") as archive, ThreadPoolExecutor(max(1, auto_workers())) as pool:
        # Threads, since WebP's encoder works outside Python's lock; not compressed again, since WebP is.
        images = pool.map(lambda path: packed(decode(path), options.short_side_px, options.quality), paths)
        for path, image in zip(paths, images, strict=True):
            inside = path.relative_to(options.data)
            archive.writestr(ZipInfo(inside.with_name(f"{inside.name}.webp").as_posix()), image)
    write_atomically(options.output, content.getvalue())
    return len(paths), content.tell()


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
