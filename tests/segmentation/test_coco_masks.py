"""COCO's outlines read as masks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mobilevit import tasks
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.runs import packed, runs_of
from mobilevit.datasets.sample import Dataset
from mobilevit.errors import DataError, ImageError
from mobilevit.tasks.checking import check

SIZE = (24, 16)
CAT, DOG = {"id": 3, "name": "cat"}, {"id": 8, "name": "dog"}


def rectangle(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    where = np.zeros(SIZE[::-1], bool)
    where[top:bottom, left:right] = True
    return where


def polygon(left: int, top: int, right: int, bottom: int) -> list[list[float]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def annotation(segmentation: Any, category: int = 3, crowd: int = 0, **more: Any) -> dict[str, Any]:
    return {"image_id": 1, "category_id": category, "iscrowd": crowd, "segmentation": segmentation, **more}


def write(root: Path, *annotations: dict[str, Any], categories: Any = (CAT, DOG), size: Any = SIZE) -> Path:
    """The same image and annotations in train and val."""
    for split in ("train", "val"):
        (root / split).mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(len(split)).integers(0, 256, (*SIZE[::-1], 3), np.uint8)
        Image.fromarray(noise).save(root / split / "a.png")
        sides = {} if size is None else {"width": size[0], "height": size[1]}
        content = {
            "images": [{"id": 1, "file_name": "a.png", **sides}],
            "annotations": [{"id": number, **each} for number, each in enumerate(annotations, start=1)],
            "categories": list(categories),
        }
        (root / split / "_annotations.coco.json").write_text(json.dumps(content))
    return root


def read(root: Path) -> Dataset:
    return tasks.get("segmentation").read(root, ReadOptions())


def mask_of(root: Path) -> np.ndarray:
    return read(root).splits["train"][0].target.read_for(SIZE)


RUNS = runs_of(rectangle(4, 2, 14, 9))
WAYS = {
    "polygons": polygon(4, 2, 14, 9),
    "one polygon without its list": polygon(4, 2, 14, 9)[0],
    "runs": {"size": [16, 24], "counts": RUNS},
    "packed runs": {"size": [16, 24], "counts": packed(RUNS)},
    "two polygons": polygon(4, 2, 9, 9) + polygon(7, 2, 14, 9),
}


@pytest.mark.parametrize("segmentation", WAYS.values(), ids=WAYS)
def test_every_way_to_store_an_outline(tmp_path: Path, segmentation: Any) -> None:
    write(tmp_path, annotation(segmentation), annotation(polygon(18, 10, 22, 14), 8))
    dataset = read(tmp_path)
    assert [label.name for label in dataset.classes] == ["background", "cat", "dog"]
    expected = np.where(rectangle(4, 2, 14, 9), 1, 0) + np.where(rectangle(18, 10, 22, 14), 2, 0)
    np.testing.assert_array_equal(mask_of(tmp_path), expected)
    target = dataset.splits["val"][0].target
    assert target.counts() == {0: SIZE[0] * SIZE[1] - 86, 1: 70, 2: 16}
    np.testing.assert_array_equal(target.relabeled((0, 2, 1)).read(), np.array([0, 2, 1])[expected])
    assert tasks.recognize(tmp_path).name == "detection"
    report = check(tmp_path, task="segmentation")
    assert report.ok and not {"outside", "other-files"} & {finding.kind for finding in report.findings}
    assert report.grid().size[0] > 300


def test_overlaps_and_crowds(tmp_path: Path) -> None:
    """The smaller lies above the larger, whatever the order; a crowd below both, and counts for nothing."""
    small, large = annotation(polygon(6, 4, 9, 7), 8), annotation(polygon(4, 2, 14, 9))
    crowd = annotation({"size": [16, 24], "counts": runs_of(rectangle(0, 0, 24, 5))}, 8, crowd=1)
    expected = np.where(rectangle(0, 0, 24, 5), 255, 0)
    expected[rectangle(4, 2, 14, 9)] = 1
    expected[rectangle(6, 4, 9, 7)] = 2
    for number, order in enumerate(((small, large, crowd), (crowd, large, small), (large, crowd, small))):
        np.testing.assert_array_equal(mask_of(write(tmp_path / str(number), *order)), expected)


def test_a_category_may_be_the_background(tmp_path: Path) -> None:
    background = {"id": 9, "name": "Background"}
    write(tmp_path / "a", annotation(polygon(4, 2, 14, 9)), categories=(CAT, background))
    assert [label.name for label in read(tmp_path / "a").classes] == ["cat", "Background"]
    np.testing.assert_array_equal(mask_of(tmp_path / "a"), np.where(rectangle(4, 2, 14, 9), 0, 1))
    halves = (annotation(polygon(0, 0, 12, 16), area=192), annotation(polygon(12, 0, 24, 16), 8, area=192))
    write(tmp_path / "covered", *halves)
    assert [label.name for label in read(tmp_path / "covered").classes] == ["cat", "dog"]
    np.testing.assert_array_equal(mask_of(tmp_path / "covered"), np.where(rectangle(0, 0, 12, 16), 0, 1))


def test_an_image_that_exif_turns_and_one_of_another_size(tmp_path: Path) -> None:
    write(tmp_path, annotation(polygon(4, 2, 14, 9)), annotation(polygon(20, 12, 24, 16), 8))
    expected, path = mask_of(tmp_path), tmp_path / "train/a.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(path).save(path, exif=exif)
    target = read(tmp_path).splits["train"][0].target
    np.testing.assert_array_equal(target.read_for(SIZE[::-1]), np.rot90(expected, -1))
    assert target.size == SIZE[::-1]
    Image.open(path).resize((50, 50)).save(path)
    with pytest.raises(ImageError, match=r"the mask of a\.png is 24 x 16, but its image is 50 x 50"):
        target.read_for((50, 50))
    found = {finding.kind: finding.message for finding in check(tmp_path, task="segmentation").findings}
    assert "is 24 x 16, but its image is 50 x 50" in found["mask-size"]


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    write(
        tmp_path,
        annotation(polygon(4, 2, 14, 9)),
        annotation([], bbox=[1, 1, 5, 5]),
        annotation([[1, 1, 9, 9]]),
        annotation([[1, 1, 9, 1, 5, 1]]),
        {**annotation(polygon(1, 1, 2, 2)), "image_id": 7},
        annotation(polygon(1, 1, 2, 2), 99),
    )
    kinds = {note.kind for note in read(tmp_path).notes}
    assert kinds == {"no-outline", "flat-outline", "unlisted-image", "unknown-class"}
    (tmp_path / "val/a.png").unlink()
    with pytest.raises(DataError, match=r"none of its images exists, starting with .*a\.png"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ([[1, 2, 3, 4, 5]], "numbers are expected, x and y in turn"),
        ([[1, 2, 3, "4", 5, 6]], "numbers are expected, x and y in turn"),
        ([[1, 2, 3, 4, 1e9, 6]], "pixels of the image are expected"),
        ([[1, 2, 3, 4, float("nan"), 6]], "pixels of the image are expected"),
        ("polygon", "numbers are expected"),
        ({"size": [24, 16], "counts": RUNS}, r"a mask of the size \[24, 16\]: that of its image is \[16, 24\]"),
        ({"size": [16, 24], "counts": [3, 4]}, "its runs add up to 7 pixels, the image has 384"),
        ({"size": [16, 24], "counts": [-3, 387]}, "lengths of runs are expected, or their packed text"),
        ({"size": [16, 24], "counts": "\u00ff"}, "lengths of runs are expected"),
        ({"size": [16, 24], "counts": [2**60]}, "its runs add up to 1,152,921,504,606,846,976 pixels"),
        ({"counts": RUNS}, "a mask of the size None"),
    ],
)
def test_outlines_that_say_nothing(tmp_path: Path, segmentation: Any, words: str) -> None:
    write(tmp_path, annotation(polygon(4, 2, 14, 9)), annotation(segmentation))
    with pytest.raises(DataError, match=rf"_annotations\.coco\.json: annotation 2 .*{words}|annotation 2: {words}"):
        read(tmp_path)


def test_boxes_alone(tmp_path: Path) -> None:
    write(tmp_path, {**annotation([]), "bbox": [1, 1, 5, 5]})
    with pytest.raises(DataError, match=r"has no outlines .*only boxes, from which masks cannot be made"):
        read(tmp_path)
    write(tmp_path / "unsized", annotation(polygon(4, 2, 14, 9)), size=None)
    np.testing.assert_array_equal(mask_of(tmp_path / "unsized"), rectangle(4, 2, 14, 9))
