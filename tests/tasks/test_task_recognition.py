"""Which task a folder is for: annotations and masks are never taken for classes; a wish is never ignored."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilevit import tasks
from mobilevit.datasets.options import ReadOptions
from mobilevit.errors import DataError, UsageError
from mobilevit.tasks.checking import check

BOTH = ("cat", "dog")


def images(root: Path, *folders: str, count: int = 4, suffix: str = ".jpg") -> list[Path]:
    """Noise, as a photograph is to whoever counts colors."""
    paths = [root / folder / f"{number}{suffix}" for folder in folders for number in range(count)]
    for seed, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)).save(path)
    return paths


def masks(root: Path, folder: str, names: list[str]) -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        pixels = np.zeros((24, 32), np.uint8)
        pixels[4:12, 4:20] = 2
        Image.fromarray(pixels).save(root / folder / name)


def refused(root: Path, task: str | None = None, data_format: str | None = None) -> str:
    with pytest.raises((DataError, UsageError)) as caught:
        tasks.recognize(root, task, data_format).read(root, ReadOptions(data_format=data_format))
    return str(caught.value)


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".json", json.dumps({"tags": [], "objects": [{"classTitle": "cat"}]})),
        (".jpg.json", json.dumps({"tags": [], "objects": [{"classTitle": "cat"}]})),
        (".txt", "Car 0.00 0 1.57 614.24 181.78 727.31 284.77 1.57 1.73 4.15 1.00 1.75 13.22 1.62"),
        (".TXT", "a photo of a cat"),
        (".xml", "<doc><item/></doc>"),
    ],
)
@pytest.mark.parametrize("folder", ["", "train/{}", "{}"])
def test_annotations_that_nobody_reads_stop(suffix: str, text: str, folder: str, tmp_path: Path) -> None:
    for path in images(tmp_path, *{folder.format(name) for name in BOTH}):
        path.with_suffix(suffix).write_text(text)
    said = refused(tmp_path)
    assert "file of the name of nearly every image" in said and "which begins" in said
    assert "one folder per class" not in said


def test_whoever_insists_gets_classes_and_a_warning(tmp_path: Path) -> None:
    for path in images(tmp_path, *BOTH, count=12):
        path.with_suffix(".txt").write_text("a photo of a pet")
    report = check(tmp_path, task="classification")
    assert [label.name for label in report.dataset.classes] == list(BOTH)
    assert "annotations" in {finding.kind for finding in report.findings if finding.severity == "warning"}


def test_a_few_notes_beside_the_images_do_not_stop(tmp_path: Path) -> None:
    for path in images(tmp_path, *BOTH)[::3]:
        path.with_suffix(".txt").write_text("a photo of a pet")
    assert tasks.recognize(tmp_path).name == "classification"


def test_classes_of_numbered_images_are_no_masks(tmp_path: Path) -> None:
    images(tmp_path, *BOTH)
    assert tasks.recognize(tmp_path).name == "classification"


def test_masks_in_a_layout_that_nobody_reads_stop(tmp_path: Path) -> None:
    """As Cityscapes names them."""
    images(tmp_path, "left/one", "left/two")
    for town in ("one", "two"):
        for path in (tmp_path / "left" / town).iterdir():
            path.rename(path.with_name(f"{town}_{path.stem}_left.png"))
        for kind in ("color", "ids"):
            masks(tmp_path, f"fine/{town}", [f"{town}_{number}_fine_{kind}.png" for number in range(4)])
    assert "masks of the images (fine/" in refused(tmp_path)


@pytest.mark.parametrize("split", ["", "train"])
@pytest.mark.parametrize("share_names", [True, False])
def test_projects_with_images_and_masks_of_their_own_are_no_classes(
    split: str, tmp_path: Path, *, share_names: bool
) -> None:
    """As Supervisely exports them, with a second kind of masks, and where each image has many."""
    for project in ("one", "two"):
        place = tmp_path / split / project
        paths = images(place, "img")
        masks(place, "masks_machine", [path.with_suffix(".png").name for path in paths] if share_names else ["x.png"])
        masks(place, "aside", [path.with_suffix(".png").name for path in paths] if share_names else [])
    said = refused(tmp_path)
    assert "masks" in said and "in no supported layout" in said


def test_folders_inside_classes_stay_classes(tmp_path: Path) -> None:
    """As in Tiny ImageNet, and with parts of the same names."""
    images(tmp_path, *(f"{name}/{part}" for name in BOTH for part in ("images", "more")))
    assert tasks.recognize(tmp_path).name == "classification"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("via_export_csv.csv", '{},123,"{{}}",1,0,"{{""name"":""rect""}}"\n'),
        ("export.ndjson", '{{"data_row": {{"external_id": "{}"}}}}\n'),
        ("labels.txt", "{} cat\n"),
    ],
)
@pytest.mark.parametrize("folder", ["", "train"])
def test_a_file_that_names_the_images_is_told(name: str, line: str, folder: str, tmp_path: Path) -> None:
    paths = images(tmp_path, folder)
    (tmp_path / name).write_text("".join(line.format(path.name) for path in paths))
    said = refused(tmp_path)
    assert f"a file that names the images ({name}, which begins" in said
    assert "export them as COCO" in said and "if it has one class for each image, move" in said


def test_a_file_that_names_the_images_of_classes_stops_nothing(tmp_path: Path) -> None:
    paths = images(tmp_path, *BOTH)
    (tmp_path / "list.csv").write_text("".join(f"{path.name},0\n" for path in paths))
    assert tasks.recognize(tmp_path).name == "classification"


def test_a_part_of_a_dataset_is_told_from_classes(tmp_path: Path) -> None:
    images(tmp_path, "JPEGImages")
    assert f"give the whole dataset, {tmp_path};" in refused(tmp_path / "JPEGImages")


@pytest.mark.parametrize(
    ("first", "second"),
    [("PNGImages", "PedMasks"), ("image", "label"), ("train", "trainannot"), ("photos", "gt"), ("my_pictures", "gt_1")],
)
def test_images_beside_masks_are_never_classes(first: str, second: str, tmp_path: Path) -> None:
    paths = images(tmp_path, first, suffix=".png")
    masks(tmp_path, second, [path.name for path in paths])
    try:
        assert tasks.recognize(tmp_path).name == "segmentation"
    except DataError as error:
        assert "masks of the images" in str(error)


def labeled(root: Path) -> None:
    """Of YOLO, in the groups that the images were taken in."""
    (root / "classes.txt").write_text("cat\ndog\n")
    for number, path in enumerate(images(root, "one", "two")):
        path.with_suffix(".txt").write_text(f"{number % 2} 0.5 0.5 0.25 0.25\n")


def test_text_files_of_yolo_in_groups_are_boxes(tmp_path: Path) -> None:
    labeled(tmp_path)
    dataset = tasks.recognize(tmp_path).read(tmp_path, ReadOptions())
    assert dataset.task == "detection" and [label.name for label in dataset.classes] == ["cat", "dog"]
    assert tasks.recognize(tmp_path, "detection", "yolo").name == "detection"
    (tmp_path / "classes.txt").unlink()
    assert "labels beside the images, but no class names: write" in refused(tmp_path)


def test_a_format_is_never_ignored(tmp_path: Path) -> None:
    images(tmp_path, *BOTH)
    assert "no YOLO labels" in refused(tmp_path, data_format="yolo")
    assert "did you mean yolo" in refused(tmp_path, data_format="yollo")
    assert "is read as class folders, which have no other format" in refused(tmp_path, "classification", "yolo")
    assert "could be for several tasks" not in refused(tmp_path, data_format="coco")


def test_a_task_is_never_ignored(tmp_path: Path) -> None:
    images(tmp_path / "classes", *BOTH)
    assert "did you mean detection" in refused(tmp_path / "classes", "detektion")
    assert "no boxes in a known format" in refused(tmp_path / "classes", "detection")
    paths = images(tmp_path / "masks", "images")
    masks(tmp_path / "masks", "masks", [f"{path.stem}.png" for path in paths])
    assert "a layout for segmentation, not for classification" in refused(tmp_path / "masks", "classification")


def test_two_splits_are_no_classes(tmp_path: Path) -> None:
    images(tmp_path, "train", "val", "extra")
    said = refused(tmp_path)
    assert "train has no class folders, but 4 images directly in it" in said or "beside it" in said


def test_the_flat_folder_of_a_labeling_tool(tmp_path: Path) -> None:
    for path in images(tmp_path, ""):
        path.with_suffix(".xml").write_text(
            "<annotation><object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax>"
            "</bndbox></object></annotation>"
        )
    assert tasks.recognize(tmp_path).name == "detection"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pets.json", '{"project": {"data_format_version": "3.1.1"}, "file": {}}', "a project of VIA 3 (pets.json)"),
        ("a.csv", "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates\n", "of VIA 3"),
        ("annotations/train.json", '{"categories": {"label": {"labels": []}}, "items": []}', "COCO 1.0"),
        ("det.json", '[{"name": "0.jpg", "labels": [{"category": "car", "box2d": {"x1": 1}}]}]', "convert it to COCO"),
        ("metadata.jsonl", '{"file_name": "0.jpg", "objects": {"bbox": [[1, 2, 3, 4]]}}', "Hugging Face's metadata"),
    ],
)
@pytest.mark.parametrize("folder", ["", "images", "train"])
def test_what_is_not_read_is_named_with_the_cure(name: str, text: str, said: str, folder: str, tmp_path: Path) -> None:
    images(tmp_path, folder)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    found = refused(tmp_path)
    assert said in found and "which is not supported:" in found and "one folder per class" not in found


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"image_id": 1, "file_name": "0.png", "segments_info": []}, "is COCO panoptic: .*make masks of classes"),
        ({"id": 1, "image_id": 1, "caption": "a cat"}, "has captions, not boxes: use the instances"),
    ],
)
def test_files_of_coco_for_another_purpose(record: dict[str, object], said: str, tmp_path: Path) -> None:
    images(tmp_path, "train2017")
    (tmp_path / "annotations").mkdir()
    content = {"images": [{"id": 1, "file_name": "0.jpg"}], "annotations": [record]}
    (tmp_path / "annotations" / "panoptic_train2017.json").write_text(json.dumps(content))
    assert re.search(said, refused(tmp_path))
    assert re.search(said, refused(tmp_path, "segmentation"))


@pytest.mark.parametrize(
    ("data_format", "expected"),
    [("coco", "instances_train.json"), ("voc", "JPEGImages"), ("csv", "xmin"), ("camvid", "trainannot"), ("masks", "")],
)
def test_a_format_that_does_not_fit_says_what_lies_there(data_format: str, expected: str, tmp_path: Path) -> None:
    for place, text in (("other", '{"tags": []}'), ("via", '{"0.jpg": {"filename": "0.jpg", "regions": []}}')):
        for path in images(tmp_path / place, "images"):
            path.with_suffix(".json").write_text(text)
    said = refused(tmp_path / "other", data_format=data_format)
    assert expected in said and "It has a .json file of the name of nearly every image" in said
    assert "no reader knows" not in said
    if data_format in ("coco", "voc", "csv"):
        assert "It has annotations in the format via" in refused(tmp_path / "via", data_format=data_format)
