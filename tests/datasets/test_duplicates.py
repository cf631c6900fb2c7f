"""Copies and neighboring frames: what is said of each, whatever the task."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from made_images import smooth_image
from PIL import Image

import mobilevit
from mobilevit.datasets.finding import Finding

SIZE = (320, 240)
COPIES = {"duplicate", "label-conflict", "near-label-conflict", "duplicate-across-splits"}


def frame(video: int, number: int) -> Image.Image:
    """A small thing that moves over a scene which stays."""
    image = smooth_image(video, *SIZE)
    image.paste((250, 250, 250), (10 + 2 * number, 40, 18 + 2 * number, 48))
    return image


def found(root: Path, **options: str) -> Mapping[str, Finding]:
    return {finding.kind: finding for finding in mobilevit.check(root, **options).findings}


def write_frames(root: Path, split: str, numbers: range, masks: bool) -> None:
    """Frames with masks, the first of which has nothing in it, or with COCO's boxes."""
    images, boxes = [], []
    for number in numbers:
        path = root / split / ("images" if masks else "") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame(0, number).save(path)
        left = 10 + 2 * number
        images.append({"id": number, "file_name": path.name, "width": SIZE[0], "height": SIZE[1]})
        box = {"id": number, "image_id": number, "category_id": 1, "bbox": [left, 40, 8, 8], "iscrowd": 0}
        boxes += [box] * (number > 0)
        if masks:
            mask = np.zeros(SIZE[::-1], np.uint8)
            mask[40:48, left : left + 8] = number > 0
            (root / split / "masks").mkdir(exist_ok=True)
            Image.fromarray(mask).save(root / split / f"masks/{number}.png")
    if masks:
        (root / "classes.txt").write_text("background\nthing\n")
        return
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "thing"}]}
    (root / split / "_annotations.coco.json").write_text(json.dumps(content))


@pytest.mark.parametrize("masks", [False, True], ids=["boxes", "masks"])
def test_frames_of_a_video_are_no_copies_and_contradict_nothing(tmp_path: Path, masks: bool) -> None:
    write_frames(tmp_path, "train", range(8), masks)
    write_frames(tmp_path, "val", range(20, 23), masks)
    for path in tmp_path.rglob("2[0-9].png"):
        if path.parent.name != "masks":
            smooth_image(int(path.stem), *SIZE).save(path)  # another scene
    said = found(tmp_path)
    assert not COPIES & said.keys()
    assert "near-duplicate-across-splits" not in said
    assert said["near-duplicate"].severity == "info"
    assert "nearly the same image more than once in a split, as neighboring frames" in said["near-duplicate"].message
    assert " ~ " in said["near-duplicate"].message and "keep" not in said["near-duplicate"].message


@pytest.mark.parametrize("masks", [False, True], ids=["boxes", "masks"])
def test_a_video_in_two_splits_is_leakage_and_shows_the_frames_that_meet(tmp_path: Path, masks: bool) -> None:
    write_frames(tmp_path, "train", range(8), masks)
    write_frames(tmp_path, "val", range(8, 11), masks)
    said = found(tmp_path)
    assert not COPIES & said.keys()
    near = said["near-duplicate-across-splits"]
    assert "data leakage" in near.message and "put the whole video into one split" in near.message
    assert len(near.paths) == 11
    one, other = near.message.rsplit(": ", 1)[1].split(" ~ ")
    assert (one.split("/")[0], other.split("/")[0]) == ("train", "val")


def test_the_same_file_with_other_classes_contradicts_itself(tmp_path: Path) -> None:
    write_frames(tmp_path, "train", range(3), masks=True)
    write_frames(tmp_path, "val", range(2, 3), masks=True)
    mask = tmp_path / "val/masks/2.png"
    Image.fromarray(np.zeros_like(np.asarray(Image.open(mask)))).save(mask)
    said = found(tmp_path)
    assert "keep the right one: train/images/2.png = val/images/2.png" in said["label-conflict"].message
    assert "duplicate-across-splits" in said


def test_nearly_the_same_image_in_two_classes(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for index, name in enumerate(("cat", "dog")):
            for number in range(3):
                path = tmp_path / split / name / f"{number}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                smooth_image(len(split) * 100 + 10 * index + number, *SIZE).save(path)
    frame(99, 0).save(tmp_path / "train/cat/near.png")
    frame(99, 1).save(tmp_path / "train/dog/near.png")
    said = found(tmp_path)
    assert "train/cat/near.png ~ train/dog/near.png" in said["near-label-conflict"].message
    assert "keep the right one" not in said["near-label-conflict"].message
    assert "label-conflict" not in said
