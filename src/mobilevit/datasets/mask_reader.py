"""Reads images with masks in every layout of FORMATS, by the rules of docs/data.md.

Opens no image, and masks only where nothing else says what they are, or what their classes are.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mobilevit.datasets import beside, camvid, class_files, class_list, coco_masks, companions, pairs, voc_masks
from mobilevit.datasets.class_list import ClassList
from mobilevit.datasets.finding import Finding, counted, inside, listed
from mobilevit.datasets.instance_masks import InstanceMask
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.mask_target import Coding, Mask
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.pairs import Matched
from mobilevit.datasets.sample import Dataset, Sample
from mobilevit.datasets.splitting import SPLIT_NAMES, split_by_seed
from mobilevit.datasets.stated_masks import Parts, Stated
from mobilevit.errors import DataError, unknown
from mobilevit.images import folders
from mobilevit.spec import labels

TASK = "segmentation"
Masks = Mapping[Path, Mask]  # of each image


@dataclass(frozen=True)
class MaskFormat:
    """One way to lay out images and masks."""

    fits: Callable[[Path], bool]
    read: Callable[[Path], Stated]
    layout: str  # for people
    layout_of_masks: "Layout | None" = None  # where masks are files
    is_sure: bool = True  # of others, the first that fits counts, and only where none of the sure ones does
    is_boxes: bool = False  # it is data for detection too, and is taken for that unless segmentation is asked for


@dataclass(frozen=True)
class Layout:
    """Folders of masks: which mask belongs to which image, and what else the layout holds."""

    matched: Callable[[Path], Mapping[str | None, Matched]]  # by split; under None what is still to be split
    others: Callable[[Path], Iterable[Path]] = lambda _: ()  # files that belong to it
    classes: Callable[[Path, list[Path]], ClassList] = class_list.from_masks  # where no file names them

    def pairs(self, root: Path) -> tuple[Mapping[str | None, Mapping[Path, Path]], list[Finding]]:
        """The mask of each image, by split, and what is left out; DataError where no image has one."""
        found = self.matched(root)
        notes = [note for split, part in found.items() for note in _unmatched(root, split, part)]
        masks = {split: part.masks for split, part in found.items() if part.masks}
        if not masks:
            left_out = [f". {note.message}" for note in notes]
            raise DataError(f"no image of {root} has a mask of the same name{''.join(left_out)}")
        return masks, notes

    def read(self, root: Path) -> Stated:
        """DataError where no image has a mask, or the classes cannot be told."""
        found, notes = self.pairs(root)
        names = class_files.find(root)
        every = [mask for masks in found.values() for mask in masks.values()]
        named = class_list.from_file(names) if names else self.classes(root, every)
        parts = {
            split: {image: Mask(mask, image, named.coding) for image, mask in masks.items()}
            for split, masks in found.items()
        }
        files = (*([names] if names else ()), *self.others(root))
        return Stated(named.classes, parts, (*notes, *named.notes), files)


FOLDERS, CAMVID, BESIDE = (Layout(layout.matched_splits) for layout in (pairs, camvid, beside))
VOC = Layout(
    voc_masks.matched, lambda root: (*voc_masks.lists(root).values(), *voc_masks.companions(root)), class_list.of_voc
)
FORMATS = {
    "masks": MaskFormat(
        pairs.are_named,
        FOLDERS.read,
        "images/ and masks/ in it, in its train/ and val/, or each with train/ and val/",
        FOLDERS,
    ),
    "voc": MaskFormat(voc_masks.recognizes, VOC.read, "JPEGImages/ and SegmentationClass/", VOC),
    "camvid": MaskFormat(
        camvid.recognizes, CAMVID.read, "train/ and trainannot/, val/ and valannot/", CAMVID, is_sure=False
    ),
    "folders": MaskFormat(
        pairs.recognizes, FOLDERS.read, "two folders of files with the same names", FOLDERS, is_sure=False
    ),
    "beside": MaskFormat(
        beside.recognizes, BESIDE.read, "a.jpg and a_mask.png in train/ and val/", BESIDE, is_sure=False
    ),
    "coco": MaskFormat(coco_masks.fits, coco_masks.read, "COCO's outlines", is_sure=False, is_boxes=True),
}

LAYOUTS = "images/ and masks/, or these in train/ and val/, or JPEGImages/ and SegmentationClass/"


def recognizes(root: Path) -> bool:
    """Whether `root` has images and masks in a layout that is known here, and that is no detection dataset as well."""
    return _fits(root, [known for known in FORMATS.values() if not known.is_boxes])


def readable(root: Path) -> bool:
    """Whether `root` can be read as masks where these are asked for: COCO's outlines among them."""
    return _fits(root, FORMATS.values())


def _fits(root: Path, formats: Iterable[MaskFormat]) -> bool:
    try:
        return any(known.fits(root) for known in formats)
    except DataError:
        return False


def read(root: Path, options: ReadOptions) -> Dataset:
    """The images under `root` that have masks, as a dataset whose targets are `Mask`s.

    Without a val split, test stands in for it; without either, `options.val_fraction` of the images become val. A
    dataset of held-out images alone can be evaluated, and its notes say that it cannot be trained on. DataError
    where the folder is missing, empty or no such dataset.
    """
    root = folders.require_folder(root)
    return _split(root, _stated(root, options.data_format), options)


def _stated(root: Path, name: str | None) -> Stated:
    """By the format of that name; what is not there is an error that says what lies in its place."""
    known = FORMATS[format_of(root, name)]
    if name is None or known.fits(root):
        return known.read(root)
    try:
        return known.read(root)  # which knows best what is missing
    except DataError as error:
        others = [other for other, its in FORMATS.items() if other != name and its.fits(root)]
        said = f"images and masks in the format {listed(others)}" if others else companions.lying(Listing(root))
        expected = f", as {known.layout} ({name})" if known.layout not in str(error) else ""
        raise DataError(f"{error}{expected}{f'. It has {said}' if said else ''}") from None


def read_instances(root: Path, name: str, options: ReadOptions) -> Dataset:
    """As `read`, of masks whose values count objects, all of the class `name`: the targets are `InstanceMask`s."""
    root = folders.require_folder(root)
    layout = FORMATS[format_of(root, options.data_format)].layout_of_masks
    if layout is None:
        raise DataError(f"{root} has outlines of objects, but no instance masks")
    found, notes = layout.pairs(root)
    coding = Coding((0, 1))
    parts = {
        split: {image: InstanceMask(mask, image, coding) for image, mask in masks.items()}
        for split, masks in found.items()
    }
    return _split(root, Stated(labels(["background", name]), parts, tuple(notes), ()), options)


def _split(root: Path, stated: Stated, options: ReadOptions) -> Dataset:
    splits, origin = _splits(root, stated.parts, options)
    samples = {
        split: tuple(Sample(image, mask) for image, mask in splits[split].items())
        for split in SPLIT_NAMES
        if split in splits
    }
    return Dataset(root, TASK, stated.classes, samples, (*stated.notes, *origin), stated.files)


def format_of(root: Path, name: str | None) -> str:
    """The format by its name, or the one that fits; DataError where none does, or several that are sure."""
    if name is not None:
        if name not in FORMATS:
            raise unknown("`data_format`", name, FORMATS)
        return name
    fitting = [name for name, known in FORMATS.items() if known.fits(root)]
    if not fitting:
        layouts = "; ".join(f"{known.layout} ({name})" for name, known in FORMATS.items())
        raise DataError(f"{root} has no folders of images and masks: expected {layouts}")
    sure = [name for name in fitting if FORMATS[name].is_sure]
    if len(sure) > 1:
        choice = " or ".join(f"`data_format={name}`" for name in sure)
        raise DataError(f"{root} matches several formats: choose one with {choice}")
    return (sure or fitting)[0]


def _unmatched(root: Path, split: str | None, part: Matched) -> list[Finding]:
    """Images and masks that are left out because the other is missing."""
    where = f" in {split}" if split else ""
    kinds = (("without-mask", "image", "a mask", part.no_mask), ("without-image", "mask", "an image", part.no_image))
    return [
        Finding(
            "warning",
            kind,
            f"{counted(len(paths), noun)}{where} without {other} of the same name, skipped: "
            f"{listed([inside(root, path) for path in paths], 3)}",
            tuple(paths),
        )
        for kind, noun, other, paths in kinds
        if paths
    ]


def _splits(root: Path, parts: Parts, options: ReadOptions) -> tuple[Mapping[str, Masks], list[Finding]]:
    """ "train", "val" and perhaps "test", with a word on where they come from."""
    named = {split: masks for split, masks in parts.items() if split is not None}
    if None in parts:
        return _apart(root, parts[None], named, options)
    if "train" not in named:
        note = Finding("error", "no-train", "no training images: the dataset can only be used for evaluation")
        return {"train": {}, **({} if "val" in named else {"val": named["test"]}), **named}, [note]
    if "val" in named:
        return named, []
    if "test" not in named:
        return _apart(root, named["train"], named, options)
    message = "no val split: validating on test, whose score is then too optimistic, since it selects the best epoch"
    return {"train": named["train"], "val": named["test"]}, [Finding("info", "split", message)]


def _apart(
    root: Path, masks: Masks, named: Mapping[str, Masks], options: ReadOptions
) -> tuple[Mapping[str, Masks], list[Finding]]:
    """Training and val images out of those of `masks`, beside what was found."""
    chosen = split_by_seed({"": list(masks)}, root, fraction=options.val_fraction, seed=options.split_seed)
    train, val = ({path: masks[path] for path in part[""]} for part in chosen)
    if not val:
        raise DataError(f"{root} has one image with a mask: none can be spared for val; add images")
    message = f"no val split: validating on {counted(len(val), 'image')}, held out by name and seed"
    return {**named, "train": train, "val": val}, [Finding("info", "split", message)]
