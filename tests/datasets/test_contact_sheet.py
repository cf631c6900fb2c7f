"""The sheet of samples: its size follows the data, and every class has its row."""

import numpy as np
from PIL import Image

from mobilevit.datasets.class_counts import class_counts
from mobilevit.datasets.contact_sheet import (
    GAP_PX,
    HEADING_PX,
    MARGIN_PX,
    MAX_CLASSES,
    MAX_COLUMNS,
    MIN_COLUMNS,
    PAPER,
    TILE_PX,
    TITLE_PX,
    contact_sheet,
)
from mobilevit.datasets.conversion import convert_data
from mobilevit.datasets.options import ReadOptions
from mobilevit.tasks.classification.task import ClassificationTask
from mobilevit.tasks.detection.task import DetectionTask
from mobilevit.tasks.segmentation.task import SegmentationTask


def sheet_of(root):
    task = ClassificationTask()
    dataset = task.read(root, ReadOptions())
    return contact_sheet(dataset, task, class_counts(dataset, task.class_counts))


def tile(sheet: Image.Image, row: int, column: int) -> np.ndarray:
    left = MARGIN_PX + column * (TILE_PX + GAP_PX)
    top = TITLE_PX + row * (HEADING_PX + TILE_PX + GAP_PX) + HEADING_PX
    return np.asarray(sheet.crop((left + 1, top + 1, left + TILE_PX - 1, top + TILE_PX - 1)))


def is_paper(pixels: np.ndarray) -> bool:
    return bool((pixels == 255).all())


def test_a_row_of_tiles_for_every_class(tree):
    sheet = sheet_of(tree({"train/cat": 20, "train/dog": 3, "val/cat": 1, "val/dog": 1}))
    assert PAPER == "#ffffff"
    assert [is_paper(tile(sheet, 0, column)) for column in range(MAX_COLUMNS)] == [False] * MAX_COLUMNS
    assert [is_paper(tile(sheet, 1, column)) for column in range(5)] == [False] * 4 + [True]


def test_the_sheet_is_as_wide_as_its_longest_row(tree):
    for count, columns in (1, MIN_COLUMNS), (6, 6), (MAX_COLUMNS + 1, MAX_COLUMNS):
        sheet = sheet_of(tree({"train/cat": count, "train/dog": 1, "val/dog": 1}))
        assert sheet.width == 2 * MARGIN_PX + columns * (TILE_PX + GAP_PX) - GAP_PX


def test_the_other_splits_fill_a_row_that_training_does_not(tree):
    root = tree({"train/cat": 6, "train/dog": 1, "val/cat": 9, "val/dog": 2, "test/dog": 2})
    for split, gray in (("train", 10), ("val", 90), ("test", 170)):
        for path in (root / split).glob("*/*"):
            Image.new("RGB", (32, 32), (gray, gray, gray)).save(path)
    sheet = sheet_of(root)
    shades = [[round(tile(sheet, row, column).mean() / 80) for column in range(MAX_COLUMNS)] for row in range(2)]
    train, val, test, paper = range(4)
    assert shades == [[train] * 6 + [val] * 2, [train] + [val] * 2 + [test] * 2 + [paper] * 3]


def test_rows_are_headed_by_names(tree):
    sheet = sheet_of(tree({"train/cat": 2, "train/dog": 2, "val/cat": 1}))
    for row in range(2):
        top = TITLE_PX + row * (HEADING_PX + TILE_PX + GAP_PX)
        assert not is_paper(np.asarray(sheet.crop((MARGIN_PX, top, 300, top + HEADING_PX))))


def test_of_many_classes_some_are_shown(tree):
    sheet = sheet_of(tree({f"train/{index}": 1 for index in range(MAX_CLASSES + 5)} | {"val/0": 1}))
    assert sheet.height == TITLE_PX + MAX_CLASSES * (HEADING_PX + TILE_PX + GAP_PX) + MARGIN_PX


def test_broken_images_leave_no_hole_but_a_gap_at_the_end(tree):
    root = tree({"train/cat": 3, "train/dog": 3, "val/cat": 1})
    (root / "train/cat/001.jpg").write_bytes(b"broken")
    sheet = sheet_of(root)
    assert [is_paper(tile(sheet, 0, column)) for column in range(MIN_COLUMNS)] == [False, False, False, True]


def test_long_and_strange_names_are_cut_not_spilt(tree):
    sheet = sheet_of(tree({f"train/{'a very long name ' * 14}": 2, "train/鹿 🦌": 2, "val/鹿 🦌": 1}))
    assert is_paper(np.asarray(sheet.crop((sheet.width - MARGIN_PX, 0, sheet.width, sheet.height))))


def test_boxes_and_masks_are_shown_whole_and_their_colors_named(tmp_path):
    """Of an image three times as wide as high the ends, which a square would lack, are there too."""
    pixels = np.full((40, 120, 3), 120, np.uint8)
    pixels[:, :12], pixels[:, -12:] = (250, 0, 0), (0, 0, 250)
    mask = np.zeros((40, 120), np.uint8)
    mask[10:30, 50:70] = 1
    for split in ("train", "val"):
        for kind, stored in (("images", pixels), ("masks", mask)):
            (tmp_path / split / kind).mkdir(parents=True)
            Image.fromarray(stored).save(tmp_path / split / kind / "a.png")
    (tmp_path / "classes.txt").write_text("background\nthing\n")
    convert_data(tmp_path, tmp_path.parent / f"{tmp_path.name}-boxes", to="coco")
    for root, task in (
        (tmp_path, SegmentationTask()),
        (tmp_path.parent / f"{tmp_path.name}-boxes", DetectionTask()),
    ):
        dataset = task.read(root, ReadOptions())
        sheet = contact_sheet(dataset, task, class_counts(dataset, task.class_counts))
        legend = task.legend(dataset, sheet.width - 2 * MARGIN_PX)
        np.testing.assert_array_equal(
            np.asarray(sheet.crop((MARGIN_PX, TITLE_PX, MARGIN_PX + legend.width, TITLE_PX + legend.height))), legend
        )
        assert not is_paper(np.asarray(legend))
        last = np.asarray(sheet.crop((0, sheet.height - MARGIN_PX - GAP_PX - TILE_PX, sheet.width, sheet.height)))
        assert (last == (250, 0, 0)).all(axis=2).any()
        assert (last == (0, 0, 250)).all(axis=2).any()
    assert ClassificationTask().legend(dataset, 400) is None
