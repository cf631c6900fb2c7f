"""Every layout of COCO, Pascal VOC and YOLO that is found in the wild, read into the same Boxes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from made_boxes import by_name, coco, image, names, notes, read, sizes, voc, write

from mobilevit.datasets import box_reader
from mobilevit.datasets.box_target import Boxes
from mobilevit.datasets.options import ReadOptions
from mobilevit.errors import DataError, UsageError

SIZE = (64, 48)
A = Boxes.of([[8, 4, 24, 20], [10, 10, 64, 48]], [0, 1], SIZE)  # cat, dog
B = Boxes.of([[0, 0, 16, 12]], [1], SIZE)
COCO_A, COCO_B = [(3, (8, 4, 16, 16)), (7, (10, 10, 54, 38))], [(7, (0, 0, 16, 12))]
VOC_A, VOC_B = [("cat", (9, 5, 24, 20)), ("dog", (11, 11, 64, 48))], [("dog", (1, 1, 16, 12))]
YOLO_A, YOLO_B = (
    "0 0.25 0.25 0.25 0.3333333333\n1 0.578125 0.60416666667 0.84375 0.79166666667\n",
    "1 0.125 0.125 0.25 0.25\n",
)
YAML = "train: images/train\nval: images/val\nnames: [cat, dog]\n"


def images(*paths: Path) -> None:
    for path in paths:
        image(path)


def coco_official(root: Path) -> None:
    coco(root / "annotations" / "instances_train2017.json", {"a.jpg": COCO_A})
    coco(root / "annotations" / "instances_val2017.json", {"b.jpg": COCO_B})
    write(root / "annotations" / "captions_train2017.json", '{"images": [], "annotations": []}')
    images(root / "train2017" / "a.jpg", root / "val2017" / "b.jpg")


def coco_images(root: Path) -> None:
    coco(root / "annotations" / "train.json", {"a.jpg": COCO_A})
    coco(root / "annotations" / "valid.json", {"b.jpg": COCO_B})
    images(root / "images" / "a.jpg", root / "images" / "b.jpg")


def coco_with_folders(root: Path) -> None:
    coco(root / "train.json", {"images/one/a.jpg": COCO_A})
    coco(root / "val.json", {"images\\two\\b.jpg": COCO_B})
    images(root / "images" / "one" / "a.jpg", root / "images" / "two" / "b.jpg")


def roboflow_coco(root: Path) -> None:
    categories = [{"id": 0, "name": "pets", "supercategory": "none"}]
    categories += [{"id": key, "name": name, "supercategory": "pets"} for key, name in ((3, "cat"), (7, "dog"))]
    coco(root / "train" / "_annotations.coco.json", {"a.jpg": COCO_A}, categories=categories)
    coco(root / "valid" / "_annotations.coco.json", {"b.jpg": COCO_B}, categories=categories)
    images(root / "train" / "a.jpg", root / "valid" / "b.jpg")


def voc_lists(root: Path) -> None:
    voc(root / "Annotations" / "a.xml", VOC_A)
    voc(root / "Annotations" / "b.xml", VOC_B)
    write(root / "ImageSets" / "Main" / "train.txt", "a\n")
    write(root / "ImageSets" / "Main" / "val.txt", "b\r\n")
    write(root / "ImageSets" / "Main" / "trainval.txt", "a\nb\n")
    write(root / "ImageSets" / "Main" / "cat_train.txt", "a -1\nb 1\n")
    images(root / "JPEGImages" / "a.jpg", root / "JPEGImages" / "b.jpg", root / "JPEGImages" / "unlisted.jpg")


def voc_pairs(root: Path) -> None:
    voc(root / "train" / "a.xml", VOC_A)
    voc(root / "valid" / "b.xml", VOC_B)
    images(root / "train" / "a.jpg", root / "valid" / "b.jpg")


def voc_split_folders(root: Path) -> None:
    voc(root / "train" / "annotations" / "a.xml", VOC_A)
    voc(root / "val" / "annotations" / "b.xml", VOC_B)
    images(root / "train" / "images" / "a.jpg", root / "val" / "images" / "b.jpg")


def yolo_folders(root: Path) -> None:
    write(root / "data.yaml", YAML)
    write(root / "labels" / "train" / "a.txt", YOLO_A)
    write(root / "labels" / "val" / "b.txt", YOLO_B)
    images(root / "images" / "train" / "a.jpg", root / "images" / "val" / "b.jpg")


def yolo_lists(root: Path) -> None:
    write(
        root / "dataset.yml", "path: ../datasets/pets\ntrain: train.txt\nval: [val.txt]\nnames:\n  0: cat\n  1: dog\n"
    )
    write(root / "train.txt", "./images/a.jpg\n")
    write(root / "val.txt", "images/b.jpg\n\n")
    write(root / "labels" / "a.txt", YOLO_A)
    write(root / "labels" / "b.txt", YOLO_B)
    images(root / "images" / "a.jpg", root / "images" / "b.jpg")


def roboflow_yolo(root: Path) -> None:
    write(
        root / "data.yaml",
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\nnames: ['cat', 'dog']\n",
    )
    write(root / "train" / "labels" / "a.txt", YOLO_A)
    write(root / "valid" / "labels" / "b.txt", YOLO_B)
    images(root / "train" / "images" / "a.jpg", root / "valid" / "images" / "b.jpg")


def yolo_names(root: Path) -> None:
    write(root / "classes.txt", "cat\ndog\n")
    write(root / "labels" / "train" / "a.txt", YOLO_A)
    write(root / "labels" / "val" / "b.txt", YOLO_B)
    images(root / "images" / "train" / "a.jpg", root / "images" / "val" / "b.jpg")


UNLISTED = "1 image in no list, skipped: JPEGImages/unlisted.jpg"
LAYOUTS = [
    *(coco_official, coco_images, coco_with_folders, roboflow_coco),
    *(voc_lists, voc_pairs, voc_split_folders),
    *(yolo_folders, yolo_lists, roboflow_yolo, yolo_names),
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_every_layout_says_the_same(
    layout: Callable[[Path], None], relative: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout(tmp_path)
    monkeypatch.chdir(tmp_path)
    root = Path() if relative else tmp_path
    assert box_reader.recognizes(root)
    dataset = read(root)
    assert names(dataset) == ["cat", "dog"]
    assert by_name(dataset, "train").keys() == {"a"} and by_name(dataset, "val") == {"b": B}
    found = by_name(dataset, "train")["a"]
    assert found.size == SIZE and found.labels.tolist() == [0, 1]
    assert found.boxes == pytest.approx(A.boxes, abs=1e-4)
    assert notes(dataset) == ({"not-listed": UNLISTED} if layout is voc_lists else {})
    assert all(path.is_file() for path in dataset.files)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_the_doctor_takes_no_annotation_for_a_stranger(layout: Callable[[Path], None], tmp_path: Path) -> None:
    layout(tmp_path)
    strangers = {path for path in tmp_path.rglob("*.*") if path.is_file() and path.suffix != ".jpg"}
    passed_over = {"captions_train2017.json", "trainval.txt", "cat_train.txt"}
    assert {path.name for path in strangers - set(read(tmp_path).files)} <= passed_over


def test_two_formats_that_fit_are_both_named(tmp_path: Path) -> None:
    coco_images(tmp_path)
    yolo_names(tmp_path)
    with pytest.raises(DataError, match="`data_format=coco` or `data_format=yolo`"):
        read(tmp_path)
    assert names(read(tmp_path, data_format="yolo")) == ["cat", "dog"]


def test_a_format_that_does_not_exist(tmp_path: Path) -> None:
    yolo_folders(tmp_path)
    with pytest.raises(UsageError, match="did you mean yolo"):
        read(tmp_path, data_format="yolov")


def test_no_format_fits(tmp_path: Path) -> None:
    image(tmp_path / "cat" / "a.jpg")
    write(tmp_path / "cat" / "notes.json", '{"names": []}')
    write(tmp_path / "mkdocs.yaml", "site: names:")
    assert not box_reader.recognizes(tmp_path)
    assert not box_reader.recognizes(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no boxes in a known format"):
        read(tmp_path)


def test_one_file_without_splits_is_split_by_seed(tmp_path: Path) -> None:
    boxes = {f"{number}.jpg": COCO_B for number in range(10)}
    coco(tmp_path / "labels_my-project.json", boxes)
    images(*(tmp_path / "images" / name for name in boxes))
    dataset = read(tmp_path, val_fraction=0.3)
    assert sizes(dataset) == {"train": 7, "val": 3}
    assert "3 images, held out by name and seed" in notes(dataset)["split"]
    again, other = read(tmp_path, val_fraction=0.3), read(tmp_path, val_fraction=0.3, split_seed=1)
    assert by_name(again, "val") == by_name(dataset, "val") != by_name(other, "val")


def test_trainval_alone_is_split_and_test_kept(tmp_path: Path) -> None:
    for number in range(6):
        voc(tmp_path / "Annotations" / f"{number}.xml", VOC_B)
        image(tmp_path / "JPEGImages" / f"{number}.jpg")
    write(tmp_path / "ImageSets" / "Main" / "trainval.txt", "0\n1\n2\n3\n")
    write(tmp_path / "ImageSets" / "Main" / "test.txt", "4\n5\n")
    assert sizes(read(tmp_path, val_fraction=0.25)) == {"train": 3, "val": 1, "test": 2}


def test_test_stands_in_for_val(tmp_path: Path) -> None:
    voc_pairs(tmp_path)
    (tmp_path / "valid").rename(tmp_path / "test")
    dataset = read(tmp_path)
    assert sizes(dataset) == {"train": 1, "val": 1}
    assert "validating on test" in notes(dataset)["split"]


def test_held_out_images_alone_can_be_evaluated(tmp_path: Path) -> None:
    coco_official(tmp_path)
    (tmp_path / "annotations" / "instances_train2017.json").unlink()
    dataset = read(tmp_path)
    assert sizes(dataset) == {"train": 0, "val": 1}
    assert [finding.severity for finding in dataset.notes] == ["error"]


def test_crowds_and_difficult_objects_are_to_be_ignored(tmp_path: Path) -> None:
    path = coco(tmp_path / "coco" / "train.json", {"a.jpg": COCO_A})
    content = json.loads(path.read_text())
    content["annotations"][1]["iscrowd"] = 1
    write(path, json.dumps(content))
    coco(tmp_path / "coco" / "val.json", {"a.jpg": COCO_A})
    voc(tmp_path / "voc" / "train" / "a.xml", VOC_A, more="<difficult>1</difficult>")
    voc(tmp_path / "voc" / "val" / "a.xml", VOC_A)
    images(tmp_path / "coco" / "a.jpg", tmp_path / "voc" / "train" / "a.jpg", tmp_path / "voc" / "val" / "a.jpg")
    assert by_name(read(tmp_path / "coco"), "train")["a"].ignore.tolist() == [False, True]
    assert by_name(read(tmp_path / "voc"), "train")["a"].ignore.tolist() == [True, True]
    assert by_name(read(tmp_path / "voc"), "train")["a"].class_counts() == {}


def test_the_first_category_of_roboflow_stays_where_it_is_used(tmp_path: Path) -> None:
    categories = [{"id": 0, "name": "pets"}, {"id": 1, "name": "cat", "supercategory": "pets"}]
    coco(tmp_path / "train.json", {"a.jpg": [(0, (1, 1, 5, 5))]}, categories=categories)
    coco(tmp_path / "val.json", {"a.jpg": []}, categories=categories)
    image(tmp_path / "a.jpg")
    assert names(read(tmp_path)) == ["pets", "cat"]


def test_outlines_of_yolo_become_the_boxes_around_them(tmp_path: Path) -> None:
    yolo_folders(tmp_path)
    write(tmp_path / "labels" / "train" / "a.txt", "1 0.25 0.5 0.5 0.25 0.75 0.5 0.5 0.75\n")
    dataset = read(tmp_path)
    assert by_name(dataset, "train")["a"] == Boxes.of([[16, 12, 48, 36]], [1], SIZE)
    assert "1 polygon converted to its bounding box" in notes(dataset)["polygon"]


def test_classes_that_yaml_would_take_for_something_else(tmp_path: Path) -> None:
    yolo_folders(tmp_path)
    write(tmp_path / "data.yaml", YAML.replace("[cat, dog]", "[no, 1.0, null, 2024-01-01]"))
    assert names(read(tmp_path)) == ["no", "1.0", "null", "2024-01-01"]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffnames: [cat, dog]\ntrain: images/train\nval: images/val\n",
        "{train: images/train, val: images/val, names: [cat, dog]}",
        '\ufeff---\n{\n  "names": ["cat", "dog"],\n  "train": "images/train", "val": "images/val"\n}\n',
    ],
)
def test_every_way_of_writing_data_yaml(text: str, tmp_path: Path) -> None:
    yolo_folders(tmp_path)
    write(tmp_path / "data.yaml", text)
    assert names(read(tmp_path)) == ["cat", "dog"]


def test_yolo_numbers_may_have_gaps(tmp_path: Path) -> None:
    yolo_folders(tmp_path)
    write(tmp_path / "data.yaml", YAML.replace("[cat, dog]", "{1: dog, 0: cat, 9: owl}"))
    write(tmp_path / "labels" / "val" / "b.txt", "9 0.5 0.5 0.5 0.5")
    dataset = read(tmp_path)
    assert names(dataset) == ["cat", "dog", "owl"]
    assert by_name(dataset, "val")["b"].labels.tolist() == [2]


@pytest.mark.parametrize("text", ["# my pets\ncat\n#\ndog\n\n", "0 cat\n1: dog", "\ufeff 00, cat\r\n01. dog\r\n"])
def test_comments_and_numbers_in_a_file_of_names(text: str, tmp_path: Path) -> None:
    yolo_names(tmp_path / "yolo")
    voc_pairs(tmp_path / "voc")
    for root in (tmp_path / "yolo", tmp_path / "voc"):
        write(root / "classes.txt", text)
        assert names(read(root)) == ["cat", "dog"]


def test_names_that_look_like_something_else(tmp_path: Path) -> None:
    yolo_names(tmp_path)
    write(tmp_path / "classes.txt", "#hashtag\n0 cat\n")
    assert names(read(tmp_path)) == ["#hashtag", "0 cat"]
    for split, name in (("train", "# 1"), ("val", "2 euro")):
        voc(tmp_path / "voc" / split / "a.xml", [(name, (1, 1, 9, 9))])
        image(tmp_path / "voc" / split / "a.jpg")
    write(tmp_path / "voc" / "classes.txt", "# 1\n2 euro\n")
    assert names(read(tmp_path / "voc")) == ["# 1", "2 euro"]


def test_classes_txt_orders_the_classes_of_voc(tmp_path: Path) -> None:
    voc_pairs(tmp_path)
    write(tmp_path / "classes.txt", "owl\ndog\n")
    dataset = read(tmp_path)
    assert names(dataset) == ["owl", "dog"]
    assert by_name(dataset, "train")["a"].labels.tolist() == [1]
    assert "1 box of classes that are not among those named" in notes(dataset)["unknown-class"]


def test_voc_pairs_by_name_and_else_by_what_the_file_says(tmp_path: Path) -> None:
    voc(tmp_path / "Annotations" / "sub" / "a.xml", VOC_A, name="C:\\photos\\a.png")
    voc(tmp_path / "Annotations" / "1.xml", VOC_B, name="road b.jpg")
    images(
        tmp_path / "images" / "sub" / "a.jpg", tmp_path / "images" / "sub" / "a.png", tmp_path / "images" / "road b.jpg"
    )
    write(tmp_path / "ImageSets" / "train.txt", "sub/a")
    write(tmp_path / "ImageSets" / "val.txt", "1 1")
    dataset = read(tmp_path)
    assert [sample.path.name for sample in dataset.splits["train"]] == ["a.png"]
    assert [sample.path.name for sample in dataset.splits["val"]] == ["road b.jpg"]


def test_bccd() -> None:
    root = Path(__file__).parents[3] / "shared" / "data" / "bccd"
    if not root.is_dir():
        pytest.skip("../shared/data/bccd is not here")
    dataset = box_reader.read(root, ReadOptions())
    assert sizes(dataset) == {"train": 205, "val": 87, "test": 72}
    assert names(dataset) == ["Platelets", "RBC", "WBC"]
    assert sum(len(sample.target) for samples in dataset.splits.values() for sample in samples) == 4888 - 2
    assert [finding.kind for finding in dataset.notes] == ["degenerate-box"]
    assert {path.name for path in dataset.notes[0].paths} == {"BloodImage_00338.xml", "BloodImage_00343.xml"}


def test_a_folder_around_a_dataset_of_voc_is_told(tmp_path: Path) -> None:
    place = tmp_path / "VOCdevkit" / "VOC2007"
    for name in "ab":
        image(place / "JPEGImages" / f"{name}.jpg")
        voc(place / "Annotations" / f"{name}.xml", [("cat", (1, 1, 9, 9))])
    write(place / "ImageSets" / "Main" / "trainval.txt", "a\nb\n")
    with pytest.raises(DataError, match=r"contains one with its own split lists: give .*VOC2007"):
        read(tmp_path)
    assert names(read(place)) == ["cat"]
