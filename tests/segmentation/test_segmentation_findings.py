"""What `check` says of masks."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_masks import write_pair
from PIL import Image

from mobilevit.datasets import instance_masks
from mobilevit.datasets.doctor import check as check_read
from mobilevit.datasets.doctor import quick_check, without_broken
from mobilevit.datasets.finding import Finding
from mobilevit.datasets.options import ReadOptions
from mobilevit.tasks.checking import check
from mobilevit.tasks.segmentation import findings as module
from mobilevit.tasks.segmentation.task import SegmentationTask

Squares = Callable[[Mapping[str, int]], Path]
TASK = SegmentationTask()


def said(root: Path, *, thorough: bool = True) -> dict[str, Finding]:
    dataset = TASK.read(root, ReadOptions())
    return {finding.kind: finding for finding in TASK.check(dataset, thorough=thorough)}


def change(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    Image.fromarray(change(np.asarray(Image.open(path)))).save(path)


def test_a_sound_dataset(squares: Squares) -> None:
    found = said(squares({"train": 5, "val": 3}))
    assert set(found) == {"ignored", "imbalance"}
    assert found["ignored"].severity == "info"
    assert "% of the pixels are left out" in found["ignored"].message
    assert "'background' has 16 times the pixels of 'square'" in found["imbalance"].message


@pytest.mark.parametrize("thorough", [False, True])
def test_masks_that_cannot_be_used(squares: Squares, thorough: bool) -> None:
    root = squares({"train": 6, "val": 2})
    masks = root / "train/masks"
    change(masks / "000.png", lambda mask: mask[:20])
    change(masks / "001.png", lambda mask: np.rot90(mask))
    change(masks / "002.png", lambda mask: np.where(mask == 1, 9, mask))
    (masks / "003.png").write_bytes((masks / "003.png").read_bytes()[:60])
    found = said(root, thorough=thorough)
    assert found["mask-size"].severity == found["mask"].severity == "error"
    assert found["mask-size"].paths == (masks / "000.png", masks / "001.png")
    assert "000.png is 48 x 20, but its image is 48 x 36: export it again" in found["mask-size"].message
    assert "001.png is 36 x 48, but its image is 48 x 36: rotate the mask" in found["mask-size"].message
    assert found["mask"].paths == (masks / "002.png", masks / "003.png")
    assert "002.png has the value 9: classes are 0 to 1, and 255 is ignored" in found["mask"].message
    assert "003.png is broken" in found["mask"].message
    assert found["mask"].message.endswith("; train with --skip-broken to leave out what is broken")
    (masks / "003.png").unlink()
    assert "--skip-broken" not in said(root, thorough=thorough)["mask"].message


@pytest.mark.parametrize("thorough", [False, True])
def test_training_masks_that_leave_everything_out(squares: Squares, thorough: bool) -> None:
    root = squares({"train": 3, "val": 1})
    for mask in (root / "train/masks").iterdir():
        change(mask, lambda pixels: np.full_like(pixels, 255))
    found = said(root, thorough=thorough)
    assert found["no-pixels"].severity == "error"
    assert "Is 255 one of the classes?" in found["no-pixels"].message


@pytest.mark.parametrize("thorough", [False, True])
def test_a_single_class_in_training(squares: Squares, thorough: bool) -> None:
    root = squares({"train": 3, "val": 1})
    for mask in (root / "train/masks").iterdir():
        change(mask, lambda pixels: np.where(pixels == 1, 255, pixels))
    found = said(root, thorough=thorough)["no-pixels"]
    assert found.severity == "error"
    assert "only 'background' has pixels in the training masks" in found.message
    lines = "'background 0 0 0' and 'square 255 255 255'"
    assert f"255 is left out; if it is white for 'square', write {lines} in classes.txt" in found.message
    for mask in (root / "train/masks").iterdir():
        change(mask, np.zeros_like)
    assert said(root)["no-pixels"].message.endswith("in the training masks: there is nothing to learn")


def test_a_class_that_a_sample_lacks_is_looked_for(squares: Squares, monkeypatch: pytest.MonkeyPatch) -> None:
    root = squares({"train": 5, "val": 2})
    monkeypatch.setattr(module, "QUICK_MASKS", 2)
    for mask in sorted((root / "train/masks").iterdir()):
        if mask.name != "001.png":
            change(mask, np.zeros_like)
    assert "no-pixels" not in said(root, thorough=False)


def test_masks_of_fractions(squares: Squares) -> None:
    root = squares({"train": 3, "val": 1})
    path = root / "train/masks/000.png"
    Image.fromarray(np.asarray(Image.open(path)).astype(np.float32) / 3).save(path.with_suffix(".tiff"))
    path.unlink()
    assert "000.tiff has floating-point values: store integers" in said(root)["mask"].message


def test_an_image_in_two_lists(squares: Squares) -> None:
    """Is told as that, not as a copy of itself."""
    root = squares({"train": 3, "val": 1})
    dataset = TASK.read(root, ReadOptions())
    shared = replace(dataset, splits={"train": dataset.splits["train"], "val": dataset.splits["train"][:1]})
    for report in (check_read(TASK, shared).findings, quick_check(TASK, shared)):
        found = {finding.kind: finding.message for finding in report}
        assert "1 image listed in more than one split" in found["shared-image"]
        assert not {"duplicate", "duplicate-across-splits"} & set(found)


def test_the_size_is_that_of_the_upright_image(squares: Squares) -> None:
    root = squares({"train": 4, "val": 1})
    exif = Image.Exif()
    exif[0x0112] = 6
    image = root / "train/images/002.jpg"
    Image.open(image).save(image, exif=exif)
    assert "may have been rotated by its EXIF orientation" in said(root)["mask-size"].message
    change(root / "train/masks/002.png", lambda mask: np.rot90(mask, -1))
    assert "mask-size" not in said(root)


def test_classes_that_never_occur_and_masks_of_nothing(squares: Squares) -> None:
    root = squares({"train": 4, "val": 2})
    (root / "classes.txt").write_text("background\nsquare\nzebra\n")
    for path in (root / "val/masks").iterdir():
        change(path, lambda mask: np.full_like(mask, 255))
    dataset = TASK.read(root, ReadOptions())
    missing = [finding.message for finding in TASK.check(dataset, thorough=True) if finding.kind == "missing-class"]
    assert missing == [
        "1 class without a pixel in train: zebra",
        "3 classes without a pixel in val: background, square, zebra",
    ]
    assert len(said(root)["empty-mask"].paths) == 2


def test_the_fast_part_reads_a_sample_and_says_so(squares: Squares, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUICK_MASKS", 3)
    found = said(squares({"train": 5, "val": 2}), thorough=False)
    assert found["sampled"].message == "read 5 of 7 masks: `mobilevit check` reads all of them"
    assert "missing-class" not in found


def test_the_report_of_a_dataset_with_broken_masks(squares: Squares) -> None:
    """What can be read is counted, the sheet is drawn, and files that were used are not called unused."""
    root = squares({"train": 5, "val": 2})
    (root / "train/masks/003.png").write_bytes(b"")
    (root / "train/masks/004.png").unlink()
    report = check(root)
    assert not report.ok
    kinds = [finding.kind for finding in report.findings]
    assert kinds.count("mask") == 1
    assert "without-mask" in kinds
    assert not {"outside", "other-files"} & set(kinds)
    assert report.rows()[1]["train"] > 0
    assert report.grid().size[0] > 300
    assert report.to_dict()["task"] == "segmentation"


def test_broken_masks_can_be_skipped(squares: Squares) -> None:
    root = squares({"train": 5, "val": 2})
    (root / "train/masks/003.png").write_bytes(b"")
    readable, findings = without_broken(TASK, TASK.read(root, ReadOptions()))
    assert len(readable.splits["train"]) == 4
    assert "train/masks/003.png is empty" in findings[0].message


def test_the_same_image_with_other_classes_in_its_mask(tmp_path: Path) -> None:
    for index in range(6):
        write_pair(tmp_path / f"train/images/{index}.png", tmp_path / f"train/masks/{index}.png", index, (96, 72))
    write_pair(tmp_path / "val/images/0.png", tmp_path / "val/masks/0.png", 0, (96, 72))
    (tmp_path / "classes.txt").write_text("background\nsquare\n")
    kinds = [finding.kind for finding in check(tmp_path).findings]
    assert "duplicate-across-splits" in kinds
    assert "label-conflict" not in kinds
    change(tmp_path / "val/masks/0.png", np.zeros_like)
    assert "label-conflict" in [finding.kind for finding in check(tmp_path).findings]


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("value", [255, 0])
def test_val_masks_that_measure_nothing(squares: Squares, thorough: bool, value: int) -> None:
    root = squares({"train": 3, "val": 2})
    for mask in (root / "val/masks").iterdir():
        change(mask, lambda pixels: np.full_like(pixels, value))
    found = said(root, thorough=thorough)["no-val-pixels"]
    assert found.severity == "error"
    what = "every pixel of the val masks is left out" if value else "have no pixel but of 'background'"
    assert what in found.message and "label some, or take val from train" in found.message
    change(
        root / "val/masks/000.png",
        lambda pixels: np.where(np.arange(48) < 24, np.uint8(1), np.uint8(0))[None] + 0 * pixels,
    )
    assert "no-val-pixels" not in said(root, thorough=thorough)


def count_up(root: Path, objects: list[int], *, on: bool = False) -> None:
    """So many objects in each mask of training, numbered from 1, or on from those of the mask before."""
    first = 1
    for number, path in zip(objects, sorted((root / "train/masks").iterdir()), strict=True):
        values = np.zeros((36, 48), np.uint8)
        for index in range(number):
            values[5:20, 5 * index : 5 * index + 4] = first + index
        first += number if on else 0
        Image.fromarray(values).save(path)


@pytest.mark.parametrize("on", [False, True])
def test_masks_of_instances_without_names(squares: Squares, on: bool) -> None:
    root = squares({"train": 4, "val": 1})
    (root / "classes.txt").unlink()
    count_up(root, [2, 1, 4, 3], on=on)
    (root / "val/masks/000.png").write_bytes((root / "train/masks/000.png").read_bytes() if not on else b"")
    found = said(root, thorough=False)["instances"]
    assert found.severity == "warning"
    words = "never occur in more than one image" if on else "start at 1 in every image without gaps, up to 4 here"
    assert words in found.message
    assert "--instances NAME --to coco` creates a box for each object, `--to masks` one class" in found.message
    (root / "classes.txt").write_text("\n".join(f"c{index}" for index in range(11)))
    assert "instances" not in said(root)


def test_masks_of_instances_beside_names_of_classes(squares: Squares) -> None:
    root = squares({"train": 4, "val": 1})
    count_up(root, [2, 1, 4, 3])
    found = said(root)["mask"].message
    assert "The values of the masks start at 1 in every image" in found and "--instances NAME" in found


@pytest.mark.parametrize("sets", [[{1}, {2}, {1, 2}], [{1, 2}] * 4, [{1}, {3}, {1, 3}, {2}], [{1}, {1, 2}]])
def test_classes_are_no_instances(sets: list[set[int]]) -> None:
    assert not instance_masks.findings([{0, 255, *found} for found in sets])


def test_a_value_that_is_no_class_has_one_message_with_its_cure(squares: Squares) -> None:
    """Not a second one, that classes lack pixels which such masks may have."""
    root = squares({"train": 4, "val": 2})
    for path in root.glob("*/masks/*.png"):
        change(path, lambda mask: np.where(mask == 255, np.uint8(11), mask))
    found = said(root)
    assert [kind for kind, finding in found.items() if finding.severity != "info"] == ["mask"]
    assert "has the value 11: classes are 0 to 1, and 255 is ignored" in found["mask"].message
    assert found["mask"].message.count("add 'ignore 11' to ignore it") == 1
    assert "000.png, 001.png, 002.png and 3 more each has" in found["mask"].message.replace("train/masks/", "")
    (root / "classes.txt").write_text("background\nsquare\nignore 11\n")
    assert {kind: finding.severity for kind, finding in said(root).items()} == {
        "ignored": "info",
        "imbalance": "warning",
    }
