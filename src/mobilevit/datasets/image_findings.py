"""Findings about the images of a dataset, for any task."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from mobilevit.datasets.finding import Finding, Severity, counted, inside, listed, printable
from mobilevit.datasets.image_inspection import Broken, Examined, Truncated
from mobilevit.datasets.sample import Dataset
from mobilevit.datasets.target_protocol import Targets
from mobilevit.images import folders

TINY_PX = 32  # short side below which an image is less than one pixel of the last stage
LONG_RATIO = 4.0  # long side over short side, from which a center crop loses three quarters
HUGE_PIXELS = 16_000_000  # from which each epoch spends its time on decoding
GRAY_SHARE = 0.98  # from which a dataset counts as grayscale as a whole
# Images to people and to cameras, not to our decoder.
UNREAD_SUFFIXES = frozenset(
    {".jxl", ".jp2", ".svg", ".psd", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".pdf"}
    | {".ppm", ".pgm", ".tga", ".ico", ".dcm", ".npy", ".mp4", ".mov"}
)


def broken_findings(dataset: Dataset, broken: Sequence[Broken]) -> Iterator[Finding]:
    """An error that counts the images that cannot be read, with the first reasons."""
    if broken:
        count, paths = counted(len(broken), "image"), tuple(image.path for image in broken)
        message = f"{count} cannot be read; remove them, or train with `skip_broken`: {first_reasons(dataset, broken)}"
        yield Finding("error", "unreadable", message, paths)


def first_reasons(dataset: Dataset, broken: Sequence[Broken]) -> str:
    """Why the first of the broken images cannot be read."""
    return listed([f"{inside(dataset.root, image.path)} {image.reason}" for image in broken], 3, between="; ")


def truncation(dataset: Dataset, image: Truncated) -> str:
    """What a run says of an image that it trains on although its file was cut short."""
    rows = f"{image.missing_rows:,} of {image.height:,} rows are missing"
    return f"{printable(inside(dataset.root, image.path))} is truncated, but used for training: {rows}"


def truncated_findings(truncated: Sequence[Truncated]) -> Iterator[Finding]:
    """How many of the training images that cannot be read lack a few rows alone."""
    if truncated:
        message = (
            f"{counted(len(truncated), 'training image')} of these can be used for training with `allow_truncated`"
        )
        lack = "at most 1 % of the rows are missing"
        yield Finding("info", "truncated", f"{message}: {lack}", tuple(image.path for image in truncated))


def unused_findings(dataset: Dataset, task: Targets) -> Iterator[Finding]:
    """Files under the root that the dataset leaves out, by name alone, but those that the reader spoke of."""
    used_by = ((sample.path, *task.files(sample.target)) for samples in dataset.splits.values() for sample in samples)
    told = {path for note in dataset.notes for path in note.paths}
    used = {path for paths in used_by for path in paths} | set(dataset.files) | told
    unused = [path for path in folders.files_below(dataset.root) if path not in used]
    outside = tuple(path for path in unused if folders.is_image(path))
    strangers = [path for path in unused if not folders.is_image(path)]
    convert = tuple(path for path in strangers if path.suffix.lower() in UNREAD_SUFFIXES)
    others = tuple(path for path in strangers if path.suffix.lower() not in UNREAD_SUFFIXES)
    if outside:
        where = "images outside the dataset layout, ignored"
        yield Finding("warning", "outside", f"{len(outside):,} {where}: {_some(dataset, outside)}", outside)
    if convert:
        message = f"files in unsupported formats: {_suffixes(convert)}; convert them to JPEG or PNG"
        yield Finding("warning", "unread-format", message, convert)
    if others:
        yield Finding("info", "other-files", f"other files, ignored: {_suffixes(others)}", others)


def image_findings(dataset: Dataset, images: Sequence[Examined]) -> Iterator[Finding]:
    """Sizes, shapes, colors and names that differ from what training likes."""
    for severity, kind, is_odd, text in ODDITIES:
        odd = tuple(image.path for image in images if is_odd(image))
        if odd:
            message = f"{counted(len(odd), 'image')} {text}: {_some(dataset, odd)}"
            yield Finding(severity, kind, message, odd)
    gray = tuple(image.path for image in images if image.is_gray)
    if gray and len(gray) >= GRAY_SHARE * len(images):
        yield Finding("info", "grayscale", "the images are grayscale: they are converted to RGB")
    elif gray:
        message = f"{counted(len(gray), 'image')} ({len(gray) / len(images):.1%}) are grayscale, the others in color"
        yield Finding("info", "grayscale", message, gray)


def _short_side(image: Examined) -> int:
    return min(image.header.size)


def _is_long(image: Examined) -> bool:
    return max(image.header.size) >= LONG_RATIO * min(image.header.size)


def _is_huge(image: Examined) -> bool:
    width, height = image.header.size
    return width * height >= HUGE_PIXELS


def _is_misnamed(image: Examined) -> bool:
    expected = Image.registered_extensions().get(image.path.suffix.lower())
    return expected != image.header.format and {expected, image.header.format} != {"JPEG", "MPO"}


ODDITIES: Sequence[tuple[Severity, str, Callable[[Examined], bool], str]] = (
    ("warning", "blank", lambda image: image.is_blank, "of a single color"),
    ("warning", "tiny", lambda image: _short_side(image) < TINY_PX, f"with a short side below {TINY_PX} px"),
    (
        "warning",
        "long",
        _is_long,
        f"with an aspect ratio of {LONG_RATIO:g} or more, of which a center crop keeps little",
    ),
    ("info", "huge", _is_huge, f"of {HUGE_PIXELS / 1e6:g} megapixels or more: training is faster on smaller copies"),
    ("info", "suffix", _is_misnamed, "with a suffix of another format, which does no harm"),
)


def _suffixes(paths: Sequence[Path]) -> str:
    counts = Counter(path.suffix.lower() or "no suffix" for path in paths)
    return listed([f"{suffix} ({count:,})" for suffix, count in counts.most_common()])


def _some(dataset: Dataset, paths: Sequence[Path]) -> str:
    return listed([inside(dataset.root, path) for path in paths], most=3)
