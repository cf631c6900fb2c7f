"""Layouts of masks that people and their tools have, beside those of our own documents."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from made_masks import write_pair
from PIL import Image

from mobilevit import tasks
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.palette import PALETTE
from mobilevit.datasets.sample import Dataset
from mobilevit.errors import DataError
from mobilevit.tasks.checking import check


def read(root: Path) -> Dataset:
    task = tasks.recognize(root)
    assert task.name == "segmentation"
    return task.read(root, ReadOptions())


def sizes(dataset: Dataset) -> dict[str, int]:
    return {split: len(samples) for split, samples in dataset.splits.items()}


def fill(root: Path, images: str, masks: str, count: int = 5, ending: str = "", suffix: str = ".jpg") -> None:
    for index in range(count):
        write_pair(root / images / f"{index}{suffix}", root / masks / f"{index}{ending}.png", index)


def store(
    root: Path, folder: str, values: np.ndarray, colors: Mapping[int, tuple[int, int, int]] | None = None
) -> None:
    """A JPEG image and a mask of these values, or of the color of each."""
    number = len(list((root / folder).glob("*.png"))) if (root / folder).is_dir() else 0
    write_pair(root / f"JPEGImages/{number}.jpg", root / folder / f"{number}.png", number, values.shape[::-1])
    stored = values if colors is None else np.array([colors.get(value, (0, 0, 0)) for value in range(256)])[values]
    Image.fromarray(stored.astype(np.uint8)).save(root / folder / f"{number}.png")


SPLITS = {
    "CamVid": ("{}", "{}annot", ""),
    "CamVid as it is often copied": ("{}", "{}_labels", "_L"),
    "endings for both": ("{}_images", "{}_masks", "_mask"),
    "labels for masks": ("{}/image", "{}/label", ""),
    "other words": ("{}/PNGImages", "{}/SegLabels", "_seg"),
}


@pytest.mark.parametrize(("images", "masks", "ending"), SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_layouts_with_splits(tmp_path: Path, images: str, masks: str, ending: str, suffix: str) -> None:
    for split, count in (("train", 4), ("val", 2), ("test", 1)):
        fill(tmp_path, images.format(split), masks.format(split), count, ending, suffix)
    dataset = read(tmp_path)
    assert sizes(dataset) == {"train": 4, "val": 2, "test": 1}
    assert "split" not in {note.kind for note in dataset.notes}
    for samples in dataset.splits.values():
        for sample in samples:
            assert sample.target.read_for((48, 36)).max() == 255


WHOLE = {
    "PennFudan": ("PNGImages", "PedMasks", "_mask"),
    "image and label": ("image", "label", ""),
    "images and labels": ("images", "labels", ""),
    "images and annotations": ("images", "annotations", ""),
    "CVAT's CamVid": ("default", "defaultannot", ""),
    "no word that says so": ("before", "after", ""),
    "as CamVid's author": ("701_StillsRaw_full", "LabeledApproved_full", "_L"),
}


@pytest.mark.parametrize(("images", "masks", "ending"), WHOLE.values(), ids=WHOLE)
def test_layouts_without_splits(tmp_path: Path, images: str, masks: str, ending: str) -> None:
    fill(tmp_path, images, masks, 5, ending, ".png")
    (tmp_path / "Annotation").mkdir()
    (tmp_path / "Annotation/0.txt").write_text("of no use here")
    dataset = read(tmp_path)
    assert sizes(dataset) == {"train": 4, "val": 1}
    for sample in dataset.splits["train"]:
        assert sample.path.parent.name == images and sample.target.path.parent.name == masks
    assert not {"missing-class", "outside"} & {finding.kind for finding in check(tmp_path).findings}


@pytest.mark.parametrize("ending", ["_mask", ""])
def test_masks_beside_their_images(tmp_path: Path, ending: str) -> None:
    """As Roboflow writes them, with its table of classes."""
    for split in ("train", "valid"):
        fill(tmp_path, split, split, 3, ending)
        (tmp_path / split / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, square\n")
    dataset = read(tmp_path)
    assert sizes(dataset) == {"train": 3, "val": 3}
    assert [label.name for label in dataset.classes] == ["background", "square"]


def test_classes_whose_files_share_their_names_stay_classes(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            fill(tmp_path, f"photos/{split}/{name}", "aside", 4)
    assert tasks.recognize(tmp_path / "photos").name == "classification"
    for name in ("zero", "one"):  # drawings
        for index in range(3):
            path = tmp_path / "drawn" / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.eye(30, dtype=np.uint8) * 255).save(path)
    assert tasks.recognize(tmp_path / "drawn").name == "classification"


def test_boxes_in_text_files_are_no_masks(tmp_path: Path) -> None:
    fill(tmp_path, "boxes/images", "aside")
    (tmp_path / "boxes/labels").mkdir()
    for index in range(5):
        (tmp_path / f"boxes/labels/{index}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "boxes/classes.txt").write_text("square\n")
    assert tasks.recognize(tmp_path / "boxes").name == "detection"


def test_two_folders_that_could_be_the_masks(tmp_path: Path) -> None:
    fill(tmp_path, "images", "labels")
    fill(tmp_path, "images", "gt")
    with pytest.raises(DataError, match=r"has masks in .*gt, .*labels: keep one, or rename it to masks"):
        read(tmp_path)


def test_a_jpeg_mask_is_named_as_such(tmp_path: Path) -> None:
    fill(tmp_path, "photos", "outlines")
    for path in sorted((tmp_path / "outlines").iterdir()):
        Image.fromarray((np.asarray(Image.open(path)) == 1).astype(np.uint8) * 255).save(path.with_suffix(".jpg"))
        path.unlink()
    with pytest.raises(DataError, match=r"0\.jpg is a JPEG, whose compression changes values: save masks as PNG"):
        read(tmp_path)


# -- names of classes


SQUARE = np.pad(np.full((20, 30), 1, np.uint8), ((20, 30), (20, 30)))
TWO = (SQUARE, np.where(SQUARE == 1, np.uint8(2), np.uint8(0)))
THREE = ["background", "cat", "dog"]


@pytest.mark.parametrize("folder", ["SegmentationClass", "SegmentationClassPNG"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("class_names.txt", "_background_\ncat\ndog"),
        ("class_names.txt", "__ignore__\n_background_\ncat\ndog\n"),
        ("labels.txt", "__ignore__\n_background_\ncat\ndog\n"),
        ("labels.txt", "_background_\ncat\ndog\n"),
    ],
)
def test_labelme(tmp_path: Path, folder: str, name: str, text: str) -> None:
    for values in (*TWO, *TWO):
        store(tmp_path, folder, values)
    if folder.endswith("PNG"):
        (tmp_path / "SegmentationClass").mkdir()
        np.save(tmp_path / "SegmentationClass/0.npy", SQUARE.astype(np.int32))
    (tmp_path / name).write_text(text)
    dataset = read(tmp_path)
    assert [label.name for label in dataset.classes] == ["_background_", "cat", "dog"]
    assert not [note for note in dataset.notes if note.kind == "class-names"]
    counts = {index for sample in dataset.splits["train"] for index in sample.target.counts()}
    assert counts == {0, 1, 2}
    assert not {"outside", "unread-format"} & {finding.kind for finding in check(tmp_path).findings}


@pytest.mark.parametrize("name", ["labels.txt", "obj.names", "classes.csv"])
def test_names_of_voc_are_not_taken_beside_a_file_of_names(tmp_path: Path, name: str) -> None:
    for values in (*TWO, *TWO):
        store(tmp_path, "SegmentationClass", values)
    (tmp_path / name).write_text("cat\ndog\n")
    dataset = read(tmp_path)
    assert [label.name for label in dataset.classes] == ["class_0", "class_1", "class_2"]
    said = [note.message for note in dataset.notes if note.severity == "warning"]
    assert said == [
        f"{name} is ignored: if it has the class names of the masks, list them in classes.txt, value 0 first"
    ]


def test_masks_of_voc_are_missing(tmp_path: Path) -> None:
    fill(tmp_path, "images", "masks")
    with pytest.raises(DataError, match="has no folder SegmentationClass beside JPEGImages"):
        tasks.recognize(tmp_path).read(tmp_path, ReadOptions(data_format="voc"))


def test_arrays_in_place_of_masks_are_named(tmp_path: Path) -> None:
    store(tmp_path, "aside", SQUARE)
    (tmp_path / "SegmentationClass").mkdir()
    np.save(tmp_path / "SegmentationClass/0.npy", SQUARE.astype(np.int32))
    with pytest.raises(DataError, match=r"SegmentationClass of .* holds files of other types \(\.npy\): masks as PNG"):
        read(tmp_path)


@pytest.mark.parametrize("colors", [(PALETTE[0], PALETTE[1], PALETTE[2]), ((0, 0, 0), (250, 50, 83), (36, 179, 83))])
@pytest.mark.parametrize("palette", [False, True])
def test_cvat(tmp_path: Path, colors: tuple[tuple[int, int, int], ...], palette: bool) -> None:
    for values in (*TWO, *TWO):
        store(tmp_path, "SegmentationClass", values, dict(enumerate(colors)))
    if palette:  # in an order of its own, as programs make it that shrink files
        for path in (tmp_path / "SegmentationClass").iterdir():
            Image.open(path).quantize(3).save(path)
    lines = [f"{name}:{','.join(map(str, color))}::" for name, color in zip(THREE, colors, strict=True)]
    (tmp_path / "labelmap.txt").write_text("\n".join(["# label:color_rgb:parts:actions", *lines]))
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/default.txt").write_text("0\n1\n2\n")
    dataset = read(tmp_path)
    assert [label.name for label in dataset.classes] == THREE
    assert sizes(dataset) == {"train": 2, "val": 1}
    found = {sample.path.stem: sample.target.read() for part in dataset.splits.values() for sample in part}
    for number in range(3):
        np.testing.assert_array_equal(found[str(number)], TWO[number % 2])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("label_colors.txt", "0 0 0 background\n250 50 83\tcat\n36 179 83 dog\n"),
        ("labelmap.txt", "# color (RGB) label\n0 0 0 background\n250 50 83 cat\n36 179 83 dog\n"),
        ("class_dict.csv", "name,r,g,b\nbackground,0,0,0\ncat, 250, 50, 83\ndog,36,179,83\n"),
    ],
)
def test_camvids_colors(tmp_path: Path, name: str, text: str) -> None:
    for split in ("train", "val"):
        fill(tmp_path, split, f"{split}annot", 3)
        for path in (tmp_path / f"{split}annot").iterdir():
            values = np.asarray(Image.open(path)) % 3
            Image.fromarray(np.array([(0, 0, 0), (250, 50, 83), (36, 179, 83)], np.uint8)[values]).save(path)
    (tmp_path / name).write_text(text)
    dataset = read(tmp_path)
    assert [label.name for label in dataset.classes] == THREE
    assert set(np.unique(dataset.splits["val"][0].target.read())) == {0, 1}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("class_names.txt", "_background_\n\ndog\n", "line 2: no class name"),
        ("labelmap.txt", "background:0,0,0::\ncat:1,2::\n", "line 2: 'cat:1,2::': a name and a color are expected"),
        ("labelmap.txt", "background:0,0,0::\ncat:::\n", "'cat' has no color, but others do"),
        ("label_colors.txt", "0 0 0 sky\n0 0 300 road\n", "line 2: 0 0 300 is not a color"),
        ("class_dict.csv", "a,b\n1,2\n", "line 1: the columns a, b: expected name, r, g, b; or pixel value, class"),
        ("class_dict.csv", "name,r,g,b\nsky,0,0\n", "line 2: 'sky, 0, 0': a unique name and whole numbers"),
        ("_classes.csv", "Pixel Value, Class\n0, sky\n0, road\n", "the values are 0, 0: each class needs its own"),
        ("class_names.txt", "x" * 2**21, "is refused because it is larger than 1 MB"),
    ],
)
def test_files_of_names_that_say_something_else(tmp_path: Path, name: str, text: str, words: str) -> None:
    for values in (*TWO, *TWO):
        store(tmp_path, "SegmentationClass", values)
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=rf"{name}.*{words}"):
        read(tmp_path)


def test_the_names_of_pascal_voc_are_a_last_resort_and_said_to_be(tmp_path: Path) -> None:
    for values in (*TWO, *TWO):
        store(tmp_path / "voc", "SegmentationClass", values)
    notes = [note for note in read(tmp_path / "voc").notes if note.kind == "class-names"]
    assert [note.severity for note in notes] == ["warning"]
    assert "using those of Pascal VOC (background, aeroplane, bicycle)" in notes[0].message
    for values in (SQUARE * 30, SQUARE * 2):
        store(tmp_path / "others", "SegmentationClass", values)
    dataset = read(tmp_path / "others")
    assert dataset.classes[2].name == "class_2" and len(dataset.classes) == 31
    (tmp_path / "voc/classes.txt").write_text("background\ncat\ndog\n")
    assert [label.name for label in read(tmp_path / "voc").classes] == THREE


def test_a_value_to_ignore(tmp_path: Path) -> None:
    """Before the classes, among them or after them: they have the other values, in order."""
    values = np.arange(4, dtype=np.uint8)[None].repeat(36, 0).repeat(12, 1)
    fill(tmp_path, "images", "masks")
    for path in (tmp_path / "masks").iterdir():
        Image.fromarray(values).save(path)
    for ignored in range(4):
        (tmp_path / "classes.txt").write_text(f"sky\nroad\ntree\nignore {ignored}\n")
        target = read(tmp_path).splits["train"][0].target
        order = [value for value in range(4) if value != ignored]
        expected = np.array([order.index(value) if value != ignored else 255 for value in range(4)])[values]
        np.testing.assert_array_equal(target.read(), expected)
        np.testing.assert_array_equal(target.relabeled((2, 1, 0)).read() == 255, values == ignored)
        numbered = [f"{value} {name}" for value, name in zip(order, ("sky", "road", "tree"), strict=True)]
        (tmp_path / "classes.txt").write_text("\n".join([*numbered, f"{ignored} ignore"]))
        again = read(tmp_path)
        np.testing.assert_array_equal(again.splits["train"][0].target.read(), expected)
        assert [label.name for label in again.classes] == ["sky", "road", "tree"]
