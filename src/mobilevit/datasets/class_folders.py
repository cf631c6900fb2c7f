"""Reads images in class folders: `train/<class>/*` with `val/<class>/*`, or one folder of classes.

Knows names alone and opens no image. The layouts and the rules are told to users in docs/data.md.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mobilevit import class_tables
from mobilevit.datasets import class_folder_layout, companions
from mobilevit.datasets.finding import Finding, counted, listed, printable
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.sample import Dataset, Sample
from mobilevit.datasets.splitting import SPLIT_NAMES, split_by_seed
from mobilevit.errors import DataError, UsageError
from mobilevit.images import folders
from mobilevit.spec import ClassLabel

TASK = "classification"
WNID = re.compile(r"n\d{8}")

Images = dict[str, list[Path]]  # of each class, by its id


FORMATS: dict[str, object] = {}  # class folders are one layout, which needs no name
LAYOUTS = "train/<class>/*.jpg, or one folder of classes"


def recognizes(root: Path) -> bool:
    """Whether `root` looks like class folders, right or with a mistake that `read` would explain."""
    return class_folder_layout.looks_like_classes(root)


readable = recognizes  # where class folders are asked for


def read(root: Path, options: ReadOptions) -> Dataset:
    """The images under `root` as a dataset whose targets are indices into the sorted classes.

    Without a val folder, test stands in for it; without either, `options.val_fraction` of every class becomes val.
    Raises DataError where the folder is missing, empty or no set of class folders, and where splits disagree.
    """
    root = folders.require_folder(root)
    if options.data_format is not None:
        raise UsageError(
            f"`data_format` is '{options.data_format}', but {root} is read as class folders, which have no other "
            "format: leave it out, or set `task`"
        )
    found = class_folder_layout.split_folders(root)
    train = _read_training(found.get("train", root))
    parts = {split: _read_held_out(split, folder, train) for split, folder in found.items() if split != "train"}
    if not parts:
        train, parts["val"] = _split(train, found.get("train", root), options)
    elif "val" not in parts:
        parts["val"] = parts.pop("test")
    ids = sorted(train)
    ordered = {"train": train, **{split: parts[split] for split in SPLIT_NAMES if split in parts}}
    samples = {split: _samples(part, ids) for split, part in ordered.items()}
    return Dataset(root, TASK, name_classes(ids), samples, tuple(_passed_over(root)))


def _passed_over(root: Path) -> Iterator[Finding]:
    """Says that annotations beside the images are not read; whoever looks for the task stops there unless told to."""
    if found := companions.annotations(Listing(root)):
        yield Finding("warning", "annotations", f"the folders are read as classes, and {found} is ignored")


def name_classes(ids: Sequence[str]) -> tuple[ClassLabel, ...]:
    """Classes in the order of `ids`; ImageNet's wnids get the names that people read."""
    if not any(WNID.fullmatch(identity) for identity in ids):
        return tuple(ClassLabel(identity, identity) for identity in ids)
    names = {label.id: label.name for label in class_tables.imagenet1k()}
    return tuple(ClassLabel(identity, names.get(identity, identity)) for identity in ids)


def _read_training(folder: Path) -> Images:
    """Images of each class, none empty; at least two classes."""
    images = _read_classes(folder)
    empty = [inner for inner in folders.sub_folders(folder) if not images[_identity(inner)]]
    if empty:
        what = "none of the class folders has" if len(empty) == len(images) else "some class folders have no"
        raise DataError(
            f"{folder}: {what} images: {class_folder_layout.names(empty)}{_other_kinds(empty)}. Add images to them, or "
            "remove them"
        )
    if len(images) == 1:
        raise DataError(f"{folder} has one class, '{next(iter(images))}': classification needs at least two")
    return images


def _read_held_out(split: str, folder: Path, train: Images) -> Images:
    """Images of a split whose classes must be among those of training."""
    images = _read_classes(folder)
    strange = sorted(images.keys() - train.keys())
    if strange:
        raise DataError(
            f"{split} has classes missing from train: {listed([_with_nearest(name, train) for name in strange])}"
            f"; classes missing from {split}: {listed(sorted(train.keys() - images.keys())) or 'none'}"
        )
    if not any(images.values()):
        raise DataError(f"{folder} has no images: add some, or remove it to split val from train")
    return images


def _split(train: Images, folder: Path, options: ReadOptions) -> tuple[Images, Images]:
    """Training and val images out of those in `folder`."""
    train, val = split_by_seed(train, folder, fraction=options.val_fraction, seed=options.split_seed)
    if not any(val.values()):
        raise DataError(f"every class in {folder} has only one image, so none is left for validation: add images")
    return train, val


def _read_classes(folder: Path) -> Images:
    """Images of each class folder, perhaps none."""
    class_folders = folders.sub_folders(folder)
    if not class_folders:
        raise DataError(_no_class_folders(folder))
    images: Images = {}
    for inner in class_folders:
        identity = _identity(inner)
        if identity in images:
            raise DataError(f"{folder} has two folders named '{identity}' (in two Unicode forms): merge them")
        if len({class_folder_layout.split_of(below) for below in folders.sub_folders(inner)} - {None}) > 1:
            raise DataError(f"{folder} contains several datasets, not class folders: give one of them, such as {inner}")
        images[identity] = folders.images_below(inner)
    return images


def _no_class_folders(folder: Path) -> str:
    count = sum(map(folders.is_image, folders.files_in(folder)))
    if count and (
        found := companions.list_of_images(Listing(folder.parent if class_folder_layout.split_of(folder) else folder))
    ):
        return (
            f"{folder} has no class folders, but {found}, which is not supported. If it has boxes or "
            "outlines, export them as COCO, Pascal VOC or YOLO; if it has one class for each image, move the images "
            f"into {folder}/<class>/*.jpg"
        )
    if count and folder.name.casefold() in class_folder_layout.OTHER_TASKS:
        return (
            f"{folder} has images, but no class folders: if they have annotations or masks beside them, give the whole "
            f"dataset, {folder.parent}; if not, move them into {folder}/<class>/*.jpg"
        )
    if count:
        lie = f"{counted(count, 'image')} directly in it"
        return f"{folder} has no class folders, but {lie}: move them into one folder per class, {folder}/<class>/*.jpg"
    return f"{folder} has no class folders and no images: expected {folder}/<class>/*.jpg"


def _identity(folder: Path) -> str:
    """The folder's name in one Unicode form: macOS and Linux write the same letters differently."""
    return unicodedata.normalize("NFC", printable(folder.name))


def _samples(images: Images, ids: Sequence[str]) -> tuple[Sample, ...]:
    return tuple(Sample(path, index) for index, name in enumerate(ids) for path in images.get(name, ()))


def _other_kinds(found: Sequence[Path]) -> str:
    """What lies there instead of images, by suffix: " (3 files of other kinds: .heic)"."""
    suffixes = [path.suffix.lower() or "no suffix" for folder in found for path in folders.files_below(folder)]
    return f" ({counted(len(suffixes), 'file')} of other types: {listed(sorted(set(suffixes)))})" if suffixes else ""


def _with_nearest(name: str, known: Iterable[str]) -> str:
    """The name, and the known one that it may be a spelling of."""
    spelled = {identity.casefold(): identity for identity in known}
    near = difflib.get_close_matches(name.casefold(), spelled, n=1, cutoff=0.8)
    return f"'{name}' (train has '{spelled[near[0]]}')" if near else f"'{name}'"
