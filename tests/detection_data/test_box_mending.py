"""What is wrong with boxes and their images: mended where that is clear, counted always, with the file."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from made_boxes import by_name, coco, image, names, notes, read, sizes, voc, write

from mobilevit.datasets.box_target import UNREADABLE, Boxes
from mobilevit.datasets.finding import Finding
from mobilevit.datasets.sample import Dataset
from mobilevit.errors import DataError
from mobilevit.tasks import checking
from mobilevit.tasks.detection.findings import findings, small_shares


def pairs(root: Path, boxes: dict[str, list[tuple[int, tuple[float, ...]]]]) -> Dataset:
    """Images to train on; one good one for val."""
    coco(root / "train.json", boxes)
    coco(root / "val.json", {"v.jpg": [(3, (5, 5, 9, 9))]})
    for name in (*boxes, "v.jpg"):
        image(root / name)
    return read(root)


def test_boxes_that_are_none_are_dropped_and_counted(tmp_path: Path) -> None:
    good = (3, (5, 5, 10, 10))
    dataset = pairs(
        tmp_path,
        {
            "flat.jpg": [good, (3, (5, 5, 0, 10)), (3, (5, 5, 10, -3)), (3, (float("nan"), 5, 10, 10))],
            "endless.jpg": [good, (3, (5, 5, float("inf"), 10)), (3, (1e308, 5, 1e308, 10)), (3, (10**400, 5, 9, 9))],
            "outside.jpg": [good, (3, (64, 5, 10, 10)), (3, (5, -20, 10, 10))],
            "over.jpg": [good, (7, (-5, -5, 20, 20)), (7, (60, 40, 5, 5))],
            "rounded.jpg": [good, (7, (-0.5, 0, 64.9, 48.9))],
            "twice.jpg": [good, good, (7, (5, 5, 10, 10)), good],
            "strange.jpg": [good, (1, (5, 5, 10, 10))],
            "nothing.jpg": [],
        },
    )
    found = by_name(dataset, "train")
    kept = Boxes.of([[5, 5, 15, 15]], [0], (64, 48))
    assert all(found[name] == kept for name in ("flat", "endless", "outside", "strange"))
    assert found["over"] == Boxes.of([[5, 5, 15, 15], [0, 0, 15, 15], [60, 40, 64, 45]], [0, 1, 1], (64, 48))
    assert found["rounded"].boxes.tolist() == [[5, 5, 15, 15], [0, 0, 64, 48]]
    assert found["twice"] == Boxes.of([[5, 5, 15, 15], [5, 5, 15, 15]], [0, 1], (64, 48))
    assert len(found["nothing"]) == 0
    said = notes(dataset)
    assert said["degenerate-box"] == (
        "6 boxes without an area, dropped: flat.jpg annotation 1 (no area), "
        "flat.jpg annotation 2 (negative width or height), flat.jpg annotation 3 (not a number) and 3 more"
    )
    assert said["outside-box"].startswith("2 boxes completely outside the image, dropped: outside.jpg annotation 201,")
    assert said["clipped-box"] == "1 box reaching beyond the image, clipped: over.jpg annotation 301"
    assert said["duplicate-box"].startswith("2 boxes listed twice with the same class, kept once: twice.jpg annotation")
    strange = "1 box of classes that are not among those named, dropped: strange.jpg annotation 601 (category_id 1)"
    assert said["unknown-class"] == strange
    assert said["no-objects"].startswith("1 image without objects, used as background images: nothing.jpg")


def test_yolo_and_voc_name_the_line_and_the_object(tmp_path: Path) -> None:
    yolo, xml = tmp_path / "yolo", tmp_path / "voc"
    write(yolo / "data.yaml", "train: images\nval: images\nnames: [cat]\n")
    write(yolo / "labels" / "a.txt", "0 0.5 0.5 0.2 0.2\n\n7 0.5 0.5 0.2 0.2\n0 0.5 0.5 inf 0.2\n0 1.5 0.5 0.2 0.2\n")
    image(yolo / "images" / "a.jpg")
    said = notes(read(yolo))
    assert said["unknown-class"].endswith("dropped: labels/a.txt line 3 (class 7)")
    assert "labels/a.txt line 4 (infinite)" in said["degenerate-box"]
    assert "completely outside the image, dropped: labels/a.txt line 5" in said["outside-box"]
    for split in ("train", "val"):
        voc(xml / split / "a.xml", [("owl", (1, 1, 9, 9)), ("cat", (9, 1, 5, 9)), ("cat", (1, 1, 9, 9))])
        image(xml / split / "a.jpg")
    write(xml / "classes.txt", "cat\n")
    said = notes(read(xml))
    assert "dropped: train/a.xml object 1 ('owl')" in said["unknown-class"]
    assert "dropped: train/a.xml object 2 (negative width or height)" in said["degenerate-box"]


def test_outlines_with_a_corner_that_is_nowhere(tmp_path: Path) -> None:
    """Wherever it stands in the outline; such a box is counted, and not one made of the other corners."""
    write(tmp_path / "data.yaml", "train: images\nval: images\nnames: [cat]\n")
    rows = ("0 .1 .1 nan .1 .3 .3 .2 nan", "0 .1 .1 .3 .1 .3 .3 .2 nan", "0 .1 .1 .3 -inf .3 .3", "1e300 .5 .5 .1 .1")
    write(tmp_path / "labels" / "a.txt", "\n".join(rows))
    image(tmp_path / "images" / "a.jpg")
    dataset = read(tmp_path)
    assert len(by_name(dataset, "train")["a"]) == 0
    said = notes(dataset)
    where = "labels/a.txt line"
    places = f"{where} 1 (not a number), {where} 2 (not a number), {where} 3 (infinite) and 3 more"
    assert said["degenerate-box"] == f"6 boxes without an area, dropped: {places}"
    assert said["unknown-class"].endswith("dropped: labels/a.txt line 4 (class 1e+300)")


def test_boxes_of_yolo_in_pixels(tmp_path: Path) -> None:
    """Dropped with the reason, which also stands beside the error where no box is left."""
    write(tmp_path / "data.yaml", "train: images\nval: images\nnames: [cat]\n")
    write(tmp_path / "labels" / "a.txt", "0 32 24 10 10\n0 32 24 64 48\n")
    image(tmp_path / "images" / "a.jpg")
    dataset = read(tmp_path)
    hint = "dropped (YOLO boxes are normalized coordinates, 0 to 1; these look like pixels"
    assert len(by_name(dataset, "train")["a"]) == 0
    assert notes(dataset)["pixel-box"].startswith(f"4 boxes {hint}")
    assert "labels/a.txt line 1, labels/a.txt line 2" in notes(dataset)["pixel-box"]
    assert f"there is nothing to learn. 4 boxes {hint}" in said(dataset)["no-boxes"].message


def test_no_box_makes_numpy_warn(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pairs(tmp_path, {"a.jpg": [(3, (float("nan"), 1e308, 1e308, float("-inf")))]})


def test_images_without_annotation_and_annotations_without_image(tmp_path: Path) -> None:
    for name in "ab":
        voc(tmp_path / "train" / f"{name}.xml", [("cat", (1, 1, 9, 9))])
    image(tmp_path / "train" / "a.jpg")
    image(tmp_path / "train" / "c.jpg")
    voc(tmp_path / "val" / "d.xml", [("cat", (1, 1, 9, 9))])
    image(tmp_path / "val" / "d.jpg")
    dataset = read(tmp_path)
    assert sizes(dataset) == {"train": 2, "val": 1}
    said = notes(dataset)
    assert said["missing-image"] == "1 annotated image not found, skipped: train/b.xml"
    assert said["no-annotation"].endswith("used as images without objects: train/c.jpg")


def test_the_same_for_yolo_and_coco(tmp_path: Path) -> None:
    yolo = tmp_path / "yolo"
    write(yolo / "data.yaml", "train: images\nval: images\nnames: [cat]\n")
    for name in "ab":
        write(yolo / "labels" / f"{name}.txt", "0 0.5 0.5 0.1 0.1")
    image(yolo / "images" / "a.jpg")
    image(yolo / "images" / "c.jpg")
    said = notes(read(yolo))
    assert said["missing-image"].endswith(": labels/b.txt")
    assert said["no-annotation"].endswith(": images/c.jpg (looked for labels/c.txt)")
    json_only = tmp_path / "coco"
    stray = {"id": 1, "image_id": 99, "category_id": 3, "bbox": [1, 1, 5, 5]}
    coco(json_only / "train.json", {"a.jpg": [], "b.jpg": []}, annotations=[stray])
    coco(json_only / "val.json", {"a.jpg": [(3, (1, 1, 5, 5))]})
    image(json_only / "a.jpg")
    said = notes(read(json_only))
    assert said["missing-image"].endswith(": b.jpg")
    place = "train.json annotation 1 (image_id 99)"
    assert said["unlisted-image"] == f"1 box of images that the file does not list, dropped: {place}"


def test_a_list_that_names_a_part_of_the_images(tmp_path: Path) -> None:
    """What is not listed is there; what is listed and missing is said once."""
    write(tmp_path / "data.yaml", "train: train.txt\nval: val.txt\nnames: [cat]\n")
    write(tmp_path / "train.txt", "images/a.jpg\nimages/99.png\n")
    write(tmp_path / "val.txt", "images/a.jpg\n")
    for name in "abc":
        write(tmp_path / "labels" / f"{name}.txt", "0 0.5 0.5 0.1 0.1")
    image(tmp_path / "images" / "a.jpg")
    image(tmp_path / "images" / "b.jpg")
    said = notes(read(tmp_path))
    assert said["not-listed"] == "1 image in no list, skipped: images/b.jpg"
    assert said["missing-image"].endswith("not found, skipped: labels/c.txt, images/99.png")
    assert said.keys() == {"not-listed", "missing-image"}
    assert "outside" not in {finding.kind for finding in checking.check(tmp_path).findings}


def test_a_split_whose_images_are_all_missing(tmp_path: Path) -> None:
    coco(tmp_path / "train.json", {"a.jpg": [(3, (1, 1, 5, 5))]})
    coco(tmp_path / "val.json", {"b.jpg": [(3, (1, 1, 5, 5))]})
    image(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"no images in the val split: none of 1 image exists, starting with .*b\.jpg"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("stated", "box", "expected"),
    [
        ("64 48", (11, 11, 20, 20), [10, 10, 20, 20]),
        ("0 0", (11, 11, 20, 20), [10, 10, 20, 20]),  # as some tools write
        ("128 96", (21, 21, 40, 40), [10, 10, 20, 20]),  # the image was made smaller afterwards
        ("32 24", (6, 6, 10, 10), [10, 10, 20, 20]),
        ("32 24", (11, 11, 40, 40), [10, 10, 40, 40]),  # the size is wrong: the box would not fit
        ("50 50", (11, 11, 20, 20), [10, 10, 20, 20]),
        ("48 64", (11, 11, 20, 20), [10, 10, 20, 20]),  # width and height exchanged, and no EXIF to explain it
    ],
)
def test_a_size_that_is_not_the_images(
    stated: str, box: tuple[int, ...], expected: list[float], tmp_path: Path
) -> None:
    for split in ("train", "val"):
        voc(tmp_path / split / "a.xml", [("cat", box)], size=stated)
        image(tmp_path / split / "a.jpg")
    dataset = read(tmp_path)
    assert by_name(dataset, "train")["a"].boxes.tolist() == [expected]
    kinds = {"64 48": set(), "0 0": set(), "128 96": {"scaled"}}.get(stated, {"scaled"} if box[0] == 6 else {"size"})
    assert notes(dataset).keys() == kinds
    assert all("train/a.xml" in message for message in notes(dataset).values())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_with_their_image(orientation: int, tmp_path: Path) -> None:
    """A white rectangle where the box is, in the image as stored: upright it must lie in the box that is read."""
    from PIL import Image

    from mobilevit.images import decoding

    stored = Image.new("RGB", (80, 48))
    stored.paste("white", (10, 4, 30, 12))
    exif = stored.getexif()
    exif[0x0112] = orientation
    for split in ("train", "val"):
        voc(tmp_path / split / "a.xml", [("cat", (11, 5, 30, 12))], size="80 48")
        stored.save(tmp_path / split / "a.png", exif=exif)
    dataset = read(tmp_path)
    boxes = by_name(dataset, "train")["a"]
    upright = decoding.decode(tmp_path / "train" / "a.png")
    assert boxes.size == upright.size
    if orientation >= 5:  # else nothing tells whether the tool turned the image
        assert tuple(boxes.boxes[0]) == upright.getbbox()
        assert notes(dataset).keys() == {"turned"}


def test_an_annotation_of_the_upright_image_stays(tmp_path: Path) -> None:
    for split in ("train", "val"):
        voc(tmp_path / split / "a.xml", [("cat", (11, 5, 30, 12))], size="48 80")
        image(tmp_path / split / "a.jpg", (80, 48), orientation=6)
    dataset = read(tmp_path)
    assert by_name(dataset, "val")["a"] == Boxes.of([[10, 4, 30, 12]], [0], (48, 80))
    assert not dataset.notes


def test_a_click_without_a_drag_is_no_box_of_voc(tmp_path: Path) -> None:
    for split in ("train", "val"):
        voc(tmp_path / split / "a.xml", [("cat", (5, 5, 5, 5)), ("cat", (5, 5, 6, 6))])
        image(tmp_path / split / "a.jpg")
    dataset = read(tmp_path)
    assert by_name(dataset, "val")["a"].boxes.tolist() == [[4, 4, 6, 6]]
    assert notes(dataset)["degenerate-box"] == (
        "2 boxes without an area, dropped: train/a.xml object 1 (no area), val/a.xml object 1 (no area)"
    )


def test_a_broken_image_stays_for_the_doctor(tmp_path: Path) -> None:
    dataset = pairs(tmp_path, {"a.jpg": [(3, (5, 5, 9, 9))], "b.jpg": [(3, (5, 5, 9, 9))]})
    write(tmp_path / "b.jpg", "Dear Sir or Madam")
    dataset = read(tmp_path)
    assert by_name(dataset, "train")["b"].size == UNREADABLE
    report = checking.check(tmp_path, task="detection")
    assert not report.ok and report.findings[0].kind == "unreadable"
    assert {finding.kind for finding in report.findings}.isdisjoint({"other-files", "outside"})


def said(dataset: Dataset) -> dict[str, Finding]:
    return {finding.kind: finding for finding in findings(dataset)}


def test_classes_that_are_rare_missing_or_small(tmp_path: Path) -> None:
    large, small = (0, 0, 30, 30), (0, 0, 6, 4)
    dataset = pairs(
        tmp_path, {f"{number}.jpg": [(3, large), *([(7, small)] if number < 2 else [])] for number in range(12)}
    )
    kinds = said(dataset)
    assert kinds["few-boxes"].message == "fewer than 10 training boxes: dog (2)"
    assert kinds["missing-class"].message == "1 class without a box in val, which is not measured there: dog"
    assert "'cat' has 6.0 times the training boxes of 'dog' (12 and 2)" in kinds["imbalance"].message
    assert kinds["small-boxes"].message.endswith("dog (100%); train with --anchors data --anchors-per-box 4")
    assert small_shares(dataset) == [0, 1]
    assert small_shares(dataset, anchors=(((0.05, 0.05),),)) == [0, 0]


def test_a_class_that_training_lacks(tmp_path: Path) -> None:
    coco(tmp_path / "train.json", {"a.jpg": [(3, (1, 1, 30, 30))]})
    coco(tmp_path / "val.json", {"a.jpg": [(7, (1, 1, 30, 30))]})
    image(tmp_path / "a.jpg")
    messages = [one.message for one in findings(read(tmp_path)) if one.kind == "missing-class"]
    assert messages[0] == "1 class without a box in train, which cannot be learned: dog"


def test_training_images_without_a_single_box(tmp_path: Path) -> None:
    assert said(pairs(tmp_path, {"a.jpg": []}))["no-boxes"].severity == "error"


def test_left_and_right(tmp_path: Path) -> None:
    categories = [{"id": 3, "name": "left shoe"}, {"id": 7, "name": "right shoe"}]
    for split in ("train", "val"):
        coco(tmp_path / f"{split}.json", {f"{split}.jpg": [(3, (1, 1, 30, 30))]}, categories=categories)
        image(tmp_path / f"{split}.jpg")
    assert "`flip=False`" in said(read(tmp_path))["mirror"].message


def test_an_image_listed_twice(tmp_path: Path) -> None:
    images = [{"id": number, "file_name": "a.jpg"} for number in range(2)]
    coco(tmp_path / "train.json", {"a.jpg": []}, images=images)
    coco(tmp_path / "val.json", {"a.jpg": []})
    image(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg is listed 2 times in the train split"):
        read(tmp_path)


def test_boxes_compare_hash_and_relabel() -> None:
    boxes = Boxes.of([[0, 0, 5, 5], [1, 1, 3, 2]], [0, 2], (9, 9), [False, True])
    same = Boxes.of(np.array([[-0.0, 0, 5, 5], [1, 1, 3, 2]]), [0, 2], (9, 9), [False, True])
    assert boxes == same and hash(boxes) == hash(same) and boxes != "boxes"
    assert boxes != Boxes.of([[0, 0, 5, 5], [1, 1, 3, 2]], [0, 2], (9, 9))
    assert boxes.relabeled([3, 4, 5]).labels.tolist() == [3, 5]
    assert boxes.areas.tolist() == [25, 2]
    assert boxes.class_counts() == {0: 1} and len(boxes.counted()) == 1
    assert Boxes.of([[-5, 2, 20, 3]], [0], (9, 9)).clipped().boxes.tolist() == [[0, 2, 9, 3]]


def test_names_are_one_line_whatever_the_file_says(tmp_path: Path) -> None:
    categories = [{"id": 3, "name": " big\n  cat\x07 "}, {"id": 7, "name": "Hund\u200d & <Katze>"}]
    coco(tmp_path / "train.json", {"a.jpg": [(3, (1, 1, 9, 9))]}, categories=categories)
    coco(tmp_path / "val.json", {"a.jpg": []}, categories=categories)
    image(tmp_path / "a.jpg")
    assert names(read(tmp_path)) == ["big cat", "Hund\u200d & <Katze>"]


def test_the_check_reads_everything_it_says_it_reads(tmp_path: Path) -> None:
    """JSON of the report: every finding names its files."""
    pairs(tmp_path, {"a.jpg": [(3, (5, 5, 0, 0)), (3, (5, 5, 9, 9))]})
    report = checking.check(tmp_path)
    found = json.loads(json.dumps(report.to_dict()))["findings"]
    degenerate = next(one for one in found if one["kind"] == "degenerate-box")
    assert any("a.jpg" in path for path in degenerate["paths"])
