"""The layout of Pascal VOC: JPEGImages, SegmentationClass, and lists of names in ImageSets/Segmentation.

CVAT and labelme write it too: the one with a list of all, the other with masks in SegmentationClassPNG.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mobilevit.datasets import pairs
from mobilevit.datasets.finding import listed
from mobilevit.datasets.pairs import Matched, Pair
from mobilevit.datasets.splitting import split_named
from mobilevit.datasets.text_files import read_text
from mobilevit.errors import DataError
from mobilevit.images import folders

IMAGES, LISTS = "JPEGImages", Path("ImageSets", "Segmentation")
MASKS = ("SegmentationClass", "SegmentationClassPNG")  # the first with images: labelme's older one has arrays
MAX_BYTES = 2**26  # of a list
WHOLE = "trainval"  # read where one of its halves has no list


def recognizes(root: Path) -> bool:
    return (root / IMAGES).is_dir() and any((root / name).is_dir() for name in MASKS)


def matched(root: Path) -> dict[str | None, Matched]:
    """The images of each list with their masks; under None those that are still to be split."""
    whole = pairs.matched(Pair(root / IMAGES, _masks(root)))
    found = lists(root)
    if not found:
        return {None: Matched(whole.masks, (), whole.no_image)}  # images for boxes alone are no mistake
    return {split: _of_list(root, path, whole) for split, path in found.items()}


def _masks(root: Path) -> Path:
    """The folder of the masks; DataError where none holds images."""
    there = [root / name for name in MASKS if (root / name).is_dir()]
    if not there:
        raise DataError(f"{root} has no folder {MASKS[0]} beside {IMAGES}, so it is not in the Pascal VOC layout")
    for folder in there:
        if folders.images_below(folder):
            return folder
    suffixes = sorted({path.suffix for folder in there for path in folders.files_below(folder)})
    holds = f"files of other types ({listed(suffixes)})" if suffixes else "nothing"
    raise DataError(f"{listed(there)} of {root} holds {holds}: masks as PNG are expected; export them as such")


def lists(root: Path) -> dict[str | None, Path]:
    """The list of each split; under None that of training and val images, where one of the two has none.

    A list of another name, such as CVAT's default.txt, counts where it is the only one.
    """
    folder = root / LISTS
    texts = [path for path in folders.files_in(folder) if path.suffix == ".txt"] if folder.is_dir() else []
    found: dict[str | None, Path] = {split: path for path in texts if (split := split_named(path.stem)) is not None}
    whole = next((path for path in texts if path.stem == WHOLE or texts == [path]), None)
    if found.keys() >= {"train", "val"} or whole is None or whole in found.values():
        return found
    return {None: whole, **{split: path for split, path in found.items() if split == "test"}}


def companions(root: Path) -> list[Path]:
    """What tools write beside the masks that are read: instances, arrays, images for the eye."""
    beside = [folder for folder in folders.sub_folders(root) if folder.name.startswith("Segmentation")]
    return [path for folder in beside if folder != _masks(root) for path in folders.files_below(folder)]


def _of_list(root: Path, path: Path, whole: Matched) -> Matched:
    """The part of `whole` that a list names, in its order; a line may have more words, or a path."""
    images = {image.stem: image for image in (*whole.masks, *whole.no_mask)}
    found = dict.fromkeys(_image(root, line, images) for line in _lines(path))
    masks = {image: whole.masks[image] for image in found if image in whole.masks}
    return Matched(masks, [image for image in found if image not in masks], ())


def _image(root: Path, line: str, images: Mapping[str, Path]) -> Path:
    """By the whole line, or else by its first word."""
    names = (_stem(line), _stem(line.split()[0]))
    return next((images[name] for name in names if name in images), root / IMAGES / f"{names[1]}.jpg")


def _lines(path: Path) -> Sequence[str]:
    lines = [line.strip() for line in read_text(path, MAX_BYTES).splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path} is empty: write one image name per line, or remove the file")
    return lines


def _stem(word: str) -> str:
    """The name in "2007_000032", "2007_000032.jpg" and "/JPEGImages/2007_000032.jpg"."""
    name = word.replace("\\", "/").rsplit("/", 1)[-1]
    return name.rsplit(".", 1)[0] if folders.is_image(name) else name
