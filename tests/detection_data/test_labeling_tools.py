"""What labeling tools write, each in its own layout, read into the same boxes; and images that are elsewhere."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_boxes import by_name, coco, image, names, notes, read, sizes, voc, write

from mobilevit.datasets import box_reader
from mobilevit.datasets.box_target import Boxes
from mobilevit.datasets.conversion import convert_data
from mobilevit.errors import DataError

SIZE = (64, 48)
A = Boxes.of([[8, 4, 24, 20], [10, 10, 64, 48]], [0, 1], SIZE)  # cat, dog
B = Boxes.of([[0, 0, 16, 12]], [1], SIZE)
YOLO_A = "0 0.25 0.25 0.25 0.3333333333\n1 0.578125 0.60416666667 0.84375 0.79166666667\n"
YOLO_B = "1 0.125 0.125 0.25 0.25\n"
STATED = {"a": [("cat", (8, 4, 24, 20)), ("dog", (10, 10, 64, 48))], "b": [("dog", (0, 0, 16, 12))]}
NAMES = "cat\ndog\n"


def labelme(path: Path, shapes: object, **changes: Any) -> Path:
    content = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"{path.stem}.jpg", "imageData": None}
    return write(path, json.dumps(content | {"imageHeight": 48, "imageWidth": 64} | changes))


def rectangle(label: str, corners: tuple[int, ...]) -> dict[str, Any]:
    left, top, right, bottom = corners
    return {"label": label, "points": [[right, bottom], [left, top]], "shape_type": "rectangle"}  # drawn backwards


def labelme_beside(root: Path) -> None:
    for split, name in (("train", "a"), ("val", "b")):
        image(root / split / "day" / f"{name}.jpg")
        labelme(root / split / "day" / f"{name}.json", [rectangle(*box) for box in STATED[name]])


def labelme_apart(root: Path) -> None:
    for split, name in (("train", "a"), ("val", "b")):
        image(root / "images" / split / f"{name}.jpg")
        path = f"..\\..\\images\\{split}\\{name}.jpg"
        labelme(root / "json" / split / f"{name}.json", [rectangle(*box) for box in STATED[name]], imagePath=path)


def cvat_yolo(root: Path) -> None:
    write(root / "obj.data", "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n")
    write(root / "obj.names", NAMES)
    for split, name, text in (("train", "a", YOLO_A), ("valid", "b", YOLO_B)):
        folder = f"obj_{split}_data"
        write(root / f"{split}.txt", f"data/{folder}/{name}.jpg\n")
        write(root / folder / f"{name}.txt", text)
        image(root / folder / f"{name}.jpg")


def roboflow_darknet(root: Path) -> None:
    for split, name, text in (("train", "a", YOLO_A), ("valid", "b", YOLO_B)):
        write(root / split / "_darknet.labels", NAMES)
        write(root / split / f"{name}.txt", text)
        image(root / split / f"{name}.jpg")


def darknet_lists(root: Path) -> None:
    write(root / "classes.txt", NAMES)
    for split, name, text in (("train", "a", YOLO_A), ("valid", "b", YOLO_B)):
        write(root / f"{split}.txt", f"C:\\darknet\\pets\\pool\\{name}.JPG\n")
        write(root / "pool" / f"{name}.txt", text)
        image(root / "pool" / f"{name}.jpg")


def yolo_beside_in_images(root: Path) -> None:
    write(root / "data.yaml", "train: images/train\nval: images/val\nnames: [cat, dog]\n")
    for split, name, text in (("train", "a", YOLO_A), ("val", "b", YOLO_B)):
        write(root / "images" / split / f"{name}.txt", text)
        image(root / "images" / split / f"{name}.jpg")


def yolo_other_case(root: Path) -> None:
    write(root / "data.yaml", "train: images/train\nval: images/val\nnames: [cat, dog]\n")
    for split, name, text in (("train", "a", YOLO_A), ("val", "b", YOLO_B)):
        write(root / "Labels" / split / f"{name.upper()}.TXT", text)
        image(root / "images" / split / f"{name}.jpg")


def yolo_nested_images(root: Path) -> None:
    write(root / "data.yaml", "train: images/train\nval: images/val\nnames: [cat, dog]\n")
    for split, name, text in (("train", "a", YOLO_A), ("val", "b", YOLO_B)):
        write(root / "labels" / split / "one" / "images" / f"{name}.txt", text)
        image(root / "images" / split / "one" / "images" / f"{name}.jpg")


def yolo_lists_of_another_machine(root: Path) -> None:
    write(root / "data.yaml", "path: /home/me/pets\ntrain: train.txt\nval: val.txt\nnames: [cat, dog]\n")
    for split, name, text in (("train", "a", YOLO_A), ("val", "b", YOLO_B)):
        write(root / f"{split}.txt", f"/home/me/pets/images/{split}/{name}.jpg\n")
        write(root / "labels" / split / f"{name}.txt", text)
        image(root / "images" / split / f"{name}.jpg")


def table(path: Path, name: str, *, header: str, separator: str = ",", encoding: str = "utf-8") -> None:
    rows = [header.split(",")]
    rows += [[f"{name}.jpg", "64", "48", label, *map(str, corners)] for label, corners in STATED[name]]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=separator).writerows(rows)


def roboflow_csv(root: Path) -> None:
    for split, name in (("train", "a"), ("valid", "b")):
        table(root / split / "_annotations.csv", name, header="filename,width,height,class,xmin,ymin,xmax,ymax")
        image(root / split / f"{name}.jpg")


def other_tables(root: Path) -> None:
    """As spreadsheets save them."""
    for split, name in (("train", "a"), ("test", "b")):
        header = "Image_Path,Width,Height,Label,X Min,Y Min,X Max,Y Max"
        table(root / f"{split}_labels.csv", name, header=header, separator=";", encoding="utf-16")
        image(root / "images" / split / f"{name}.jpg")


def via_region(label: str, corners: tuple[int, ...]) -> dict[str, Any]:
    left, top, right, bottom = corners
    shape = {"name": "rect", "x": left, "y": top, "width": right - left, "height": bottom - top}
    return {"shape_attributes": shape, "region_attributes": {"class": label, "remark": "seen well"}}


def via_splits(root: Path) -> None:
    for split, name in (("train", "a"), ("val", "b")):
        regions = {str(number): via_region(*box) for number, box in enumerate(STATED[name])}
        record = {f"{name}.jpg123": {"filename": f"{name}.jpg", "size": 123, "regions": regions}}
        write(root / split / "via_region_data.json", json.dumps(record))
        image(root / split / f"{name}.jpg")


def via_projects(root: Path) -> None:
    for split, name in (("train", "a"), ("val", "b")):
        record = {"filename": f"{name}.jpg", "size": 123, "regions": [via_region(*box) for box in STATED[name]]}
        content = {"_via_settings": {"project": {"name": "pets"}}, "_via_img_metadata": {f"{name}.jpg123": record}}
        write(root / split / "via_project.json", json.dumps(content))
        image(root / split / f"{name}.jpg")


def createml(root: Path) -> None:
    for split, name in (("train", "a"), ("valid", "b")):
        boxes = [
            {
                "label": label,
                "coordinates": {"x": (x0 + x1) / 2, "y": (y0 + y1) / 2, "width": x1 - x0, "height": y1 - y0},
            }
            for label, (x0, y0, x1, y1) in STATED[name]
        ]
        content = [{"image": f"{name}.jpg", "annotations": boxes}]
        write(root / split / "_annotations.createml.json", json.dumps(content))
        image(root / split / f"{name}.jpg")


def voc_of(root: Path, annotations: str, images: str, encoding: str = "", declared: str = "") -> None:
    for split, name in (("train", "a"), ("val", "b")):
        objects = [(label, (x0 + 1, y0 + 1, x1, y1)) for label, (x0, y0, x1, y1) in STATED[name]]
        path = voc(root / annotations.format(split) / f"{name}.xml", objects, name=f"D:\\photos\\{name}.jpg")
        if encoding:
            text = f'<?xml version="1.0" encoding="{declared}"?>\n' + path.read_text()
            path.write_bytes(text.encode(encoding))
        image(root / images.format(split) / f"{name}.jpg")


def voc_annots(root: Path) -> None:
    voc_of(root, "annots/{}", "images/{}")


def voc_in_groups(root: Path) -> None:
    voc_of(root, "{}/day", "{}/day")


def voc_in_folders_of_any_name(root: Path) -> None:
    voc_of(root, "{}/boxes", "{}/photos")


def voc_utf_16(root: Path) -> None:
    voc_of(root, "{}", "{}", "utf-16", "utf-16")


def coco_of(root: Path, file_name: str, images: str) -> None:
    for split, name in (("train", "a"), ("val", "b")):
        boxes = [(3 if label == "cat" else 7, (x0, y0, x1 - x0, y1 - y0)) for label, (x0, y0, x1, y1) in STATED[name]]
        coco(root / f"{split}.json", {file_name.format(split, name): boxes})
        image(root / images.format(split, name))


def label_studio_paths(root: Path) -> None:
    coco_of(root, "..\\..\\label-studio\\media\\upload\\4\\{1}.jpg", "images/{1}.jpg")


def label_studio_urls(root: Path) -> None:
    coco_of(root, "https://example.org/bucket/my%20pets/{1}.jpg?token=x", "images/{1}.jpg")


def label_studio_local_files(root: Path) -> None:
    coco_of(root, "/data/local-files/?d=pets%2F{1}.jpg", "images/{1}.jpg")


def label_studio_prefixes(root: Path) -> None:
    coco_of(root, "upload/4/cb0618f0-{1}.jpg", "images/{1}.jpg")


def coco_of_another_machine(root: Path) -> None:
    coco_of(root, "D:\\me\\pets\\{0}\\{1}.jpg", "{0}/{1}.jpg")
    image(root / "train" / "b.jpg")  # which val does not mean
    image(root / "val" / "a.jpg")


def coco_other_case(root: Path) -> None:
    coco_of(root, "{1}.JPEG", "images/{1}.jpeg")


TOOLS = [
    *(labelme_beside, labelme_apart, cvat_yolo, roboflow_darknet, darknet_lists, yolo_beside_in_images),
    *(yolo_other_case, yolo_nested_images, yolo_lists_of_another_machine, roboflow_csv, other_tables),
    *(via_splits, via_projects, createml, voc_annots, voc_in_groups, voc_in_folders_of_any_name, voc_utf_16),
    *(label_studio_paths, label_studio_urls, label_studio_local_files, label_studio_prefixes),
    *(coco_of_another_machine, coco_other_case),
]
SAID = {  # kinds of notes, where something is not where the files say
    label_studio_paths: {"other-folder"},
    label_studio_urls: {"other-folder"},
    label_studio_local_files: {"other-folder"},
    label_studio_prefixes: {"other-name"},
    cvat_yolo: {"other-folder"},
    coco_of_another_machine: {"other-folder"},
    yolo_lists_of_another_machine: {"other-folder"},
    darknet_lists: {"other-folder"},
    coco_other_case: {"other-case"},
    yolo_other_case: {"other-case"},
    yolo_nested_images: {"other-labels"},
    yolo_beside_in_images: {"other-labels"},
    other_tables: {"other-folder", "split"},
    voc_in_folders_of_any_name: {"other-folder"},
}


@pytest.mark.parametrize("layout", TOOLS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_every_tool_says_the_same(
    layout: Callable[[Path], None], relative: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout(tmp_path)
    monkeypatch.chdir(tmp_path)
    root = Path() if relative else tmp_path
    assert box_reader.recognizes(root)
    dataset = read(root)
    assert names(dataset) == ["cat", "dog"]
    assert by_name(dataset, "train").keys() == {"a"} and by_name(dataset, "val").keys() == {"b"}
    for found, expected in ((by_name(dataset, "train")["a"], A), (by_name(dataset, "val")["b"], B)):
        assert found.size == SIZE and found.labels.tolist() == expected.labels.tolist()
        assert found.boxes == pytest.approx(expected.boxes, abs=1e-4)
    assert notes(dataset).keys() - {"not-listed", "no-annotation", "no-objects"} == SAID.get(layout, set())
    assert dataset.files and {path for path in dataset.files if not path.is_file()} == set()


def test_what_label_studio_writes_beside_yolo_is_no_coco(tmp_path: Path) -> None:
    yolo_beside_in_images(tmp_path)
    write(tmp_path / "notes.json", json.dumps({"categories": [{"id": 0, "name": "cat"}], "info": {"version": "1.0"}}))
    assert names(read(tmp_path)) == ["cat", "dog"]


def test_xml_in_labels_is_no_yolo(tmp_path: Path) -> None:
    for name in "ab":
        image(tmp_path / "images" / f"{name}.jpg")
        voc(tmp_path / "labels" / f"{name}.xml", [("cat", (1, 1, 9, 9))])
    assert names(read(tmp_path)) == ["cat"]


def test_a_dataset_of_a_tool_can_be_converted(tmp_path: Path) -> None:
    labelme_beside(tmp_path / "labelme")
    convert_data(tmp_path / "labelme", tmp_path / "coco", to="coco")
    assert by_name(read(tmp_path / "coco"), "train")["a"] == by_name(read(tmp_path / "labelme"), "train")["a"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_and_names_with_a_mark(encoding: str, tmp_path: Path) -> None:
    labelme_beside(tmp_path / "labelme")
    path = tmp_path / "labelme" / "train" / "day" / "a.json"
    path.write_bytes(path.read_text().encode(encoding))
    assert by_name(read(tmp_path / "labelme"), "train")["a"] == A
    roboflow_darknet(tmp_path / "yolo")
    for path in (tmp_path / "yolo").rglob("*.labels"):
        path.write_bytes(NAMES.encode(encoding))
    assert names(read(tmp_path / "yolo")) == ["cat", "dog"]


def test_names_in_an_encoding_that_nobody_knows(tmp_path: Path) -> None:
    roboflow_darknet(tmp_path)
    (tmp_path / "train" / "_darknet.labels").write_bytes("猫\n狗\n".encode("gbk"))
    with pytest.raises(DataError, match=r"is not UTF-8 text .*: save it as UTF-8"):
        read(tmp_path)


def test_shapes_of_labelme(tmp_path: Path) -> None:
    shapes = [
        {"label": "cat", "points": [[10, 4], [24, 30], [8, 20]], "shape_type": "polygon"},
        {"label": "dog", "points": [[20, 20], [23, 24]], "shape_type": "circle"},
        {"label": "cat", "points": [[5, 5]], "shape_type": "point"},
    ]
    labelme(tmp_path / "train" / "a.json", shapes)
    labelme(tmp_path / "val" / "b.json", shapes[:1])
    for path in ("train/a.jpg", "val/b.jpg", "val/c.jpg"):
        image(tmp_path / path)
    dataset = read(tmp_path)
    assert by_name(dataset, "train")["a"] == Boxes.of([[8, 4, 24, 30], [15, 15, 25, 25]], [0, 1], SIZE)
    assert "1 shape other than boxes, skipped: train/a.json shape 3 ('point')" in notes(dataset)["other-shape"]
    assert notes(dataset)["no-annotation"].endswith("val/c.jpg")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shapes": None}, "a.json is not a labelme file: a list 'shapes'"),
        ({"shapes": [5]}, "a.json is not a labelme file: a list 'shapes'"),
        ({"shapes": [{"label": "cat", "points": [[1, "2"]]}]}, "a.json: shape 1 has the points"),
        ({"shapes": [{"label": [], "points": [[1, 2], [3, 4]]}]}, "a.json: shape 1 has the label []"),
        ({"imageWidth": "wide"}, "a.json: the size is 'wide' x 48"),
        ({"shapes": []}, "no boxes in them"),
    ],
)
def test_labelme_that_is_wrong(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    labelme(tmp_path / "a.json", **{"shapes": [rectangle("cat", (1, 1, 9, 9))], **change})
    image(tmp_path / "a.jpg")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert said in str(caught.value)


def test_via_without_classes_has_one(tmp_path: Path) -> None:
    polygon = {"name": "polygon", "all_points_x": [1, 20, 20], "all_points_y": [1, 1, 20]}
    for split in ("train", "val"):
        region = {"shape_attributes": polygon, "region_attributes": {}}
        record = {"filename": "a.jpg", "regions": {"0": region}}
        write(tmp_path / split / "via_region_data.json", json.dumps({"a.jpg1": record}))
        image(tmp_path / split / "a.jpg")
    dataset = read(tmp_path)
    assert names(dataset) == ["object"]
    assert by_name(dataset, "train")["a"] == Boxes.of([[1, 1, 20, 20]], [0], SIZE)
    assert notes(dataset).keys() == {"polygon", "only-class"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a.jpg,cat,1,1,nine,9", "_annotations.csv, line 2: right is 'nine': a number"),
        ("a.jpg,cat,1,1", "_annotations.csv, line 2: 4 columns, fewer than the header has"),
        (",cat,1,1,9,9", "_annotations.csv, line 2: the image name is missing"),
    ],
)
def test_tables_that_are_wrong(rows: str, said: str, tmp_path: Path) -> None:
    write(tmp_path / "_annotations.csv", f"filename,class,xmin,ymin,xmax,ymax\n{rows}\n")
    image(tmp_path / "a.jpg")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert said in str(caught.value)


def test_a_table_of_normalized_coordinates(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write(tmp_path / f"{split}.csv", "ImageID,LabelName,XMin,XMax,YMin,YMax\na,cat,0.25,0.5,0.25,1\n")
    image(tmp_path / "images" / "a.jpg")
    dataset = read(tmp_path)
    assert by_name(dataset, "train")["a"] == Boxes.of([[16, 12, 32, 48]], [0], SIZE)
    assert "shares" in notes(dataset)


def packed(runs: list[int]) -> str:
    """As COCO packs the runs of a mask."""
    text = ""
    for place, run in enumerate(runs):
        value, more = run - runs[place - 2] if place > 2 else run, True
        while more:
            digit, value = value & 0x1F, value >> 5
            more = value != (-1 if digit & 0x10 else 0)
            text += chr((digit | 0x20 * more) + 48)
    return text


RUNS = [8 * 48 + 4, 16, *[32, 16] * 15, 48 * 41 - 4 - 16]  # rows 4 to 19 of the columns 8 to 23, of 64 by 48
POSE = "0 0.5 0.5 0.25 0.5 0.4 0.4 2 0.6 0.6 1\n"


def yolo(root: Path, text: str, yaml: str = "") -> Path:
    write(root / "data.yaml", f"train: images/train\nval: images/val\nnames: [cat]\n{yaml}")
    for split in ("train", "val"):
        write(root / "labels" / split / "a.txt", text)
        image(root / "images" / split / "a.jpg")
    return root


@pytest.mark.parametrize(
    ("text", "yaml", "kind"),
    [
        (POSE, "kpt_shape: [2, 3]", "keypoints"),
        ("0 0.5 0.5 0.25 0.5 0.4 0.4 0.6 0.6", "kpt_shape: [2, 2]", "keypoints"),
        ("0 0.5 0.5 0.25 0.5 0.4 0.4", "kpt_shape: [1, 2]", "keypoints"),
        (POSE + POSE.replace(" 2", " 1"), "", "keypoints"),  # by what nothing but a visibility can be
        ("0 0.5 0.5 0.25 0.5 0.9", "", "extra-column"),
        ("0 0.5 0.5 0.25 0.5 17", "", "extra-column"),
        ("0 0.5 0.5 0.25 0.5 0.9 17\n0 0.5 0.5 0.25 0.5 0.9 1", "", "extra-column"),
        ("0 0.375 0.25 0.625 0.25 0.625 0.75 0.375 0.75", "", "polygon"),  # as of turned boxes
    ],
)
def test_what_follows_a_box_of_yolo_is_no_outline(text: str, yaml: str, kind: str, tmp_path: Path) -> None:
    dataset = read(yolo(tmp_path, text, yaml))
    found = by_name(dataset, "train")["a"].boxes
    np.testing.assert_allclose(found, [[24, 12, 40, 36]], atol=1e-4)
    assert kind in notes(dataset)


UNSEEN = "0 0.5 0.5 0.25 0.5 0.4 0.4 1 0.6 0.6 0"  # a visibility of 2 would tell
FACE = "0 0.5 0.5 0.25 0.5 0.4 0.4 0.6 0.6 0.45 0.6 0.55 0.4"  # four keypoints, whose lines cross


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        (UNSEEN, [2, 3]),
        (UNSEEN + "\n" + UNSEEN.replace("0.25", "0.3"), [2, 3]),
        (UNSEEN + " 0.5 0.5 1", [3, 3]),  # an odd number of values
        ("0 0.5 0.5 0.25 0.5 0.4 0.4 0.9 0.6 0.6 0.1", [2, 3]),  # confidences, as predicted
        (FACE, [4, 2]),
        (FACE + " 0 0", [5, 2]),  # one that is not labeled
        (FACE + "\n0 0.5 0.5 0.25 0.5", [4, 2]),
        ("0 0.5 0.5 0.25 0.5 0.4 0.4", [1, 2]),
    ],
)
def test_a_pose_without_kpt_shape_is_no_outline(text: str, shape: list[int], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"a.txt, line 1: looks like a pose, .*kpt_shape: \[{shape[0]}, {shape[1]}\]"):
        read(yolo(tmp_path, text))
    dataset = read(yolo(tmp_path, text, f"kpt_shape: {shape}"))
    np.testing.assert_allclose(by_name(dataset, "train")["a"].boxes[0], [24, 12, 40, 36], atol=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        "0 0.4 0.25 0.6 0.25 0.6 0.75 0.4 0.75 0.4 0.5",  # around the middle, where it could be a box and points
        "0 0 0 1 0 1 1 0 1 0 0",  # the whole image, every third value 0 or 1
        f"{FACE}\n0 0.4 0.25 0.6 0.25 0.6 0.75",  # outlines of as many corners as they need
    ],
)
def test_outlines_are_no_poses(text: str, tmp_path: Path) -> None:
    assert "polygon" in notes(read(yolo(tmp_path, text)))


@pytest.mark.parametrize(
    ("text", "yaml", "said"),
    [
        (POSE, "kpt_shape: many", r"data.yaml: kpt_shape is 'many': two whole numbers"),
        (POSE, "kpt_shape: [6]", r"data.yaml: kpt_shape is \['6'\]: two whole numbers"),
        (POSE, "kpt_shape: [1, 6]", r"data.yaml: kpt_shape is .*: two whole numbers"),
        (POSE, "kpt_shape: [17, 3]", r"a.txt, line 1: 11 numbers, which do not fit the kpt_shape of data.yaml"),
        ("0 0.5 0.5 0.25 0.5 -0.7", "", r"a.txt, line 1: a class, a box and an angle: .* their four corners"),
        ("0 0.5 0.5 0.25 0.5 0.7\n0 0.5 0.5 0.25 0.5 1.3", "", r"a.txt, line 1: a class, a box and an angle"),
        ("0 0.4 0.2 0.6 0.2 0.6 0.7 0.4 0.7 0.9", "", r"a.txt, line 1: 10 numbers: .*such as a score"),
    ],
)
def test_rows_of_yolo_that_do_not_fit(text: str, yaml: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        read(yolo(tmp_path, text, yaml))


def test_turned_boxes_of_yolo_are_called_so(tmp_path: Path) -> None:
    said = notes(read(yolo(tmp_path, "0 0.375 0.25 0.625 0.25 0.625 0.75 0.375 0.75")))["polygon"]
    assert "labels/train/a.txt line 1 (four corners, as of a rotated box)" in said


def test_labels_in_a_folder_of_another_name_are_told(tmp_path: Path) -> None:
    yolo(tmp_path, "0 0.5 0.5 0.25 0.5")
    (tmp_path / "labels" / "val").rename(tmp_path / "labels" / "valid")
    said = notes(read(tmp_path))
    assert said["no-annotation"].endswith("images/val/a.jpg (looked for labels/val/a.txt)")
    assert "labels/valid/a.txt (of the name of images/val/a.jpg, in another folder)" in said["missing-image"]


def test_two_label_files_of_one_image(tmp_path: Path) -> None:
    yolo(tmp_path, "0 0.5 0.5 0.25 0.5")
    for name in ("A.txt", "a.TXT"):
        write(tmp_path / "labels" / "val" / name, "0 0.5 0.5 0.25 0.5")
    (tmp_path / "labels" / "val" / "a.txt").unlink()
    with pytest.raises(DataError, match=r"A.txt and .*a.TXT could both be the labels of .*a.jpg: keep one"):
        read(tmp_path)


@pytest.mark.parametrize("missing", [[], None, [0, 0, 0, 0]])
@pytest.mark.parametrize(
    "outline",
    [
        [[8, 4, 24, 4, 24, 20, 8, 20]],
        [[8, 4, 9, 5, 8, 20], [24, 4, 24, 20, 20, 20]],
        {"size": [48, 64], "counts": RUNS},
        {"size": [48, 64], "counts": packed(RUNS)},
    ],
    ids=["polygon", "polygons", "runs", "packed"],
)
def test_boxes_from_outlines_of_coco(missing: object, outline: object, tmp_path: Path) -> None:
    for split in ("train", "val"):
        path = coco(tmp_path / f"{split}.json", {"a.jpg": [(3, (8, 4, 16, 16))]})
        content = json.loads(path.read_text())
        content["annotations"][0] |= {"bbox": missing, "segmentation": outline}
        if missing is None:
            del content["annotations"][0]["bbox"]
        write(path, json.dumps(content))
    image(tmp_path / "a.jpg")
    dataset = read(tmp_path)
    assert by_name(dataset, "train")["a"] == Boxes.of([[8, 4, 24, 20]], [0], SIZE)
    assert "polygon" in notes(dataset)


def test_a_box_without_anything(tmp_path: Path) -> None:
    path = coco(tmp_path / "train.json", {"a.jpg": [(3, (8, 4, 16, 16))]})
    content = json.loads(path.read_text())
    content["annotations"][0] |= {"bbox": [], "segmentation": [["x"]]}
    write(path, json.dumps(content))
    with pytest.raises(DataError, match=r"annotation 0 has the bbox .*, or an outline in its place"):
        read(tmp_path)


def test_images_in_no_folder_of_a_split_are_told(tmp_path: Path) -> None:
    labelme_beside(tmp_path)
    image(tmp_path / "other" / "c.jpg")
    labelme(tmp_path / "other" / "c.json", [rectangle("cat", (1, 1, 9, 9))])
    dataset = read(tmp_path)
    assert sizes(dataset) == {"train": 1, "val": 1}
    assert notes(dataset)["no-split"].endswith("skipped: other/c.jpg")


@pytest.mark.parametrize("start", ["C:\\me\\pets\\", "/home/me/pets/", "../../pets/"])
def test_folders_of_another_machine_in_data_yaml(start: str, tmp_path: Path) -> None:
    yolo(tmp_path, "0 0.5 0.5 0.25 0.5")
    write(tmp_path / "data.yaml", f"train: {start}images/train\nval: {start}images/val\nnames: [cat]\n")
    dataset = read(tmp_path)
    assert sizes(dataset) == {"train": 1, "val": 1}
    assert notes(dataset)["other-folder"].endswith("found by the end of the path: images/train, images/val")


def test_labelme_files_beside_what_was_made_from_them(tmp_path: Path) -> None:
    """Then that is read, as it was before."""
    yolo(tmp_path, "0 0.5 0.5 0.25 0.5")
    for split in ("train", "val"):
        labelme(tmp_path / "images" / split / "a.json", [rectangle("dog", (1, 1, 9, 9))])
    assert names(read(tmp_path)) == ["cat"]
    assert names(read(tmp_path, data_format="labelme")) == ["dog"]
