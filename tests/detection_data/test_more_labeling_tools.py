"""What further labeling tools write: VIA's tables, CVAT's own XML and Label Studio's own JSON."""

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_boxes import by_name, image, names, notes, read, write

from mobilevit.datasets import box_reader
from mobilevit.datasets.box_target import Boxes
from mobilevit.errors import DataError

SIZE = (64, 48)
A = Boxes.of([[8, 4, 24, 20], [10, 10, 64, 48]], [0, 1], SIZE)  # cat, dog
B = Boxes.of([[0, 0, 16, 12]], [1], SIZE)
STATED = {"a": [("cat", (8, 4, 24, 20)), ("dog", (10, 10, 64, 48))], "b": [("dog", (0, 0, 16, 12))]}
VIA_HEADER = [
    *("filename", "file_size", "file_attributes", "region_count", "region_id"),
    *("region_shape_attributes", "region_attributes"),
]


def via_table(path: Path, rows: list[list[str]], encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows([VIA_HEADER, *rows])
    return path


def via_row(name: str, shape: Mapping[str, Any], label: str = "cat") -> list[str]:
    return [f"{name}.jpg", "123", "{}", "1", "0", json.dumps(shape), json.dumps({"class": label})]


def rect(corners: tuple[int, ...]) -> dict[str, Any]:
    left, top, right, bottom = corners
    return {"name": "rect", "x": left, "y": top, "width": right - left, "height": bottom - top}


def via_tables(root: Path) -> None:
    for split, name in (("train", "a"), ("val", "b")):
        rows = [via_row(name, rect(corners), label) for label, corners in STATED[name]]
        via_table(root / split / "via_region_data.csv", rows, "utf-8-sig")
        image(root / split / f"{name}.jpg")


def cvat(path: Path, images: Mapping[str, str], more: str = "") -> Path:
    """By the name of each image what is in its element."""
    meta = "<version>1.1</version><meta><task><labels><label><name>cat</name></label></labels></task></meta>"
    shown = "".join(
        f'<image id="{number}" name="{name}" width="64" height="48"{more}>{content}</image>'
        for number, (name, content) in enumerate(images.items())
    )
    return write(path, f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>{meta}{shown}</annotations>')


def cvat_box(label: str, corners: tuple[float, ...], more: str = "") -> str:
    sides = zip(("xtl", "ytl", "xbr", "ybr"), corners, strict=True)
    return (
        f'<box label="{label}" occluded="0" {" ".join(f"{side}={chr(34)}{v}{chr(34)}" for side, v in sides)} {more}/>'
    )


def cvat_folders(root: Path) -> None:
    for split, name in (("train", "a"), ("val", "b")):
        cvat(root / split / "annotations.xml", {f"{name}.jpg": "".join(cvat_box(*box) for box in STATED[name])})
        image(root / split / "images" / f"{name}.jpg")


def cvat_subsets(root: Path) -> None:
    """Of a project: the images say of which split they are."""
    shown = {
        name: f'<image name="{name}.jpg" subset="{split}" width="64" height="48">'
        f"{''.join(cvat_box(*box) for box in STATED[name])}</image>"
        for name, split in (("a", "Train"), ("b", "Validation"))
    }
    write(root / "annotations.xml", f"<annotations>{''.join(shown.values())}</annotations>")
    for name in "ab":
        image(root / "images" / f"{name}.jpg")


def studio_region(label: str, corners: tuple[float, ...], **more: Any) -> dict[str, Any]:
    left, top, right, bottom = corners
    shares = {"x": left / 0.64, "y": top / 0.48, "width": (right - left) / 0.64, "height": (bottom - top) / 0.48}
    return {**shares, "rotation": 0, "rectanglelabels": [label], **more}


def studio_result(value: Mapping[str, Any], kind: str = "rectanglelabels", identity: str = "r") -> dict[str, Any]:
    size = {"original_width": 64, "original_height": 48, "image_rotation": 0}
    return {**size, "value": value, "id": identity, "from_name": "label", "to_name": "image", "type": kind}


def studio_task(image: str, results: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    annotation = {"id": 7, "result": results, "was_canceled": False, "ground_truth": False}
    return {"id": 1, "annotations": [annotation], "predictions": [], "data": {"image": image}, **more}


def studio_uploads(root: Path) -> None:
    for split, name in (("train", "a"), ("val", "b")):
        results = [studio_result(studio_region(*box), identity=box[0]) for box in STATED[name]]
        results.append(studio_result({"choices": ["sunny"]}, "choices") | {"original_width": None})
        del results[-1]["original_width"]
        task = studio_task(f"/data/upload/1/cb0618f0-{name}.jpg", results, file_upload=f"cb0618f0-{name}.jpg")
        write(root / split / "project-1.json", json.dumps([task]))
        image(root / split / "images" / f"{name}.jpg")


def studio_local_files(root: Path) -> None:
    for split, name in (("train", "a"), ("val", "b")):
        results = [studio_result(studio_region(*box)) for box in STATED[name]]
        task = studio_task("", results)
        task["data"] = {"scan": f"/data/local-files/?d=pets/{name}.jpg", "remark": "seen well"}
        write(root / split / "export.json", json.dumps([task], indent=1))
        image(root / split / f"{name}.jpg")


def studio_min(root: Path) -> None:
    for split, name in (("train", "a"), ("val", "b")):
        regions = [studio_region(*box, original_width=64, original_height=48) for box in STATED[name]]
        task = {"image": f"https://example.org/{name}.jpg?token=x", "id": 1, "label": regions, "annotator": 1}
        write(root / split / "min.json", json.dumps([task]))
        image(root / split / f"{name}.jpg")


TOOLS = (via_tables, cvat_folders, cvat_subsets, studio_uploads, studio_local_files, studio_min)
SAID = {
    cvat_folders: {"other-folder"},
    cvat_subsets: {"other-folder"},
    studio_uploads: {"other-name"},
    studio_local_files: {"other-folder"},
    studio_min: {"other-folder"},
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
    assert notes(dataset).keys() == SAID.get(layout, set())


TURNED = (16 - 6, 24 - 10, 16 + 6, 24 + 10)  # what a box of 20 x 12 around (16, 24) covers after a quarter turn
CVAT_SHAPES = {
    cvat_box("cat", (6, 18, 26, 30), 'rotation="90.0"'): TURNED,
    '<polygon label="cat" points="10.00,4.00;24,30;8,20.0"/>': (8, 4, 24, 30),
    '<ellipse label="cat" cx="16" cy="24" rx="10" ry="6" rotation="90"/>': TURNED,
    '<mask label="cat" rle="1, 2" left="3" top="4" width="5" height="6"/>': (3, 4, 8, 10),
}


@pytest.mark.parametrize("shape", CVAT_SHAPES)
def test_shapes_of_cvat(shape: str, tmp_path: Path) -> None:
    cvat(tmp_path / "annotations.xml", dict.fromkeys(("á 1.jpg", "b.jpg"), shape + '<points points="1,2"/><tag/>'))
    for name in ("á 1", "b"):
        image(tmp_path / f"{name}.jpg")
    dataset = read(tmp_path)
    for sample in (*dataset.splits["train"], *dataset.splits["val"]):
        np.testing.assert_allclose(sample.target.boxes, [CVAT_SHAPES[shape]], atol=1e-4)
    assert "shape 2 (points)" in notes(dataset)["other-shape"]


STUDIO_SHAPES = {
    "box": (studio_region("cat", (8, 4, 24, 20)), (8, 4, 24, 20)),
    "turned": (studio_region("cat", (20, 4, 40, 16), rotation=90), (8, 4, 20, 24)),  # about its first corner
    "polygon": (
        {"points": [[25, 25], [50, 25], [50, 75]], "polygonlabels": ["cat"], "closed": True},
        (16, 12, 32, 36),
    ),
    "ellipse": ({"x": 50, "y": 50, "radiusX": 25, "radiusY": 25, "ellipselabels": ["cat"]}, (16, 12, 48, 36)),
}


@pytest.mark.parametrize("shape", STUDIO_SHAPES)
def test_shapes_of_label_studio(shape: str, tmp_path: Path) -> None:
    value, corners = STUDIO_SHAPES[shape]
    bare = {key: some for key, some in value.items() if not key.endswith("labels")}
    brush = studio_result({"format": "rle", "rle": [1], "brushlabels": ["cat"]}, "brushlabels", "s")
    results = [studio_result(bare, "rectangle"), studio_result(value), brush]
    tasks = [studio_task(f"{name}.jpg", results) | {"id": name} for name in "ab"]
    write(tmp_path / "project.json", json.dumps(tasks))
    for name in "ab":
        image(tmp_path / f"{name}.jpg")
    dataset = read(tmp_path)
    for sample in (*dataset.splits["train"], *dataset.splits["val"]):
        np.testing.assert_allclose(sample.target.boxes, [corners], atol=1e-4)
    assert "region 2 (brushlabels" in notes(dataset)["other-shape"]


GOOD = studio_region("cat", (8, 4, 24, 20))


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (studio_task("a.jpg", [studio_result(GOOD | {"x": "1"})]), "task 1: region 1 has the x, y, width, height '1',"),
        (studio_task("a.jpg", [studio_result(GOOD | {"x": float("nan")})]), "percentages are expected"),
        (studio_task("a.jpg", [studio_result(GOOD | {"rectanglelabels": ["a", "b"]})]), "exactly one is expected"),
        (studio_task("a.jpg", [studio_result(GOOD) | {"original_width": 0}]), "original size 0 x 48"),
        (studio_task("a.jpg", [studio_result(GOOD) | {"image_rotation": 90}]), "rotated by 90 degrees"),
        (studio_task("a.jpg", [studio_result(GOOD)], data={"text": "x"}), "the path of one image is expected"),
        (studio_task("a.jpg", [studio_result([])]), "task 1 has the value []"),  # type: ignore[arg-type]
        (studio_task("a.jpg", [], annotations=2, file_upload="a"), "task 1 has the annotations 2"),
        (
            studio_task("a.jpg", []) | {"annotations": [{"result": [studio_result(GOOD)]}] * 2},
            "mark one as ground truth",
        ),
        (5, "a list of tasks is expected"),
    ],
)
def test_label_studio_that_is_wrong(task: object, said: str, tmp_path: Path) -> None:
    write(tmp_path / "project.json", json.dumps([studio_task("b.jpg", [studio_result(GOOD)]), task]))
    for name in "ab":
        image(tmp_path / f"{name}.jpg")
    with pytest.raises(DataError) as caught:
        read(tmp_path, data_format="label-studio")
    assert str(tmp_path / "project.json") in str(caught.value) and said in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"a.jpg": '<box label="cat" xtl="one"/>'}, "image 'a.jpg': shape 1 (box) has the xtl 'one'"),
        ({"a.jpg": '<polygon label="cat" points="1,2;3"/>'}, "has the points '1,2;3'"),
        ({"a.jpg": '<box label="cat" xtl="1" ytl="1" xbr="9" ybr="9" rotation="nan"/>'}, "has the rotation nan"),
        ({"a.jpg": "<tag/>"}, "no boxes in them"),
        ({}, "an <image> for each image"),
    ],
)
def test_cvat_that_is_wrong(content: dict[str, str], said: str, tmp_path: Path) -> None:
    cvat(tmp_path / "annotations.xml", content)
    image(tmp_path / "a.jpg")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert said in str(caught.value)


def test_tracks_of_cvat_are_told(tmp_path: Path) -> None:
    write(tmp_path / "annotations.xml", '<annotations><track id="0" label="cat"><box frame="0"/></track></annotations>')
    image(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r'annotations.xml is "CVAT for video".*export the task as "CVAT for images"'):
        read(tmp_path)


def test_images_of_via_without_a_region(tmp_path: Path) -> None:
    polygon = {"name": "polygon", "all_points_x": [8, 24, 8], "all_points_y": [4, 4, 20]}
    rows = [via_row("a", polygon), via_row("b", {}), via_row("c", polygon)]
    via_table(tmp_path / "train.csv", rows)
    for name in "abc":
        image(tmp_path / f"{name}.jpg")
    dataset = read(tmp_path)
    found = {sample.path.stem: sample.target for some in dataset.splits.values() for sample in some}
    assert found["a"] == found["c"] == Boxes.of([[8, 4, 24, 20]], [0], SIZE) and not len(found["b"])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (["a.jpg", "", "{}", "1", "0", "{'name': 'rect'}", "{}"], "line 2: '{'name': 'rect'}' is not a JSON object"),
        (["", "", "{}", "1", "0", "{}", "{}"], "line 2: the image name is missing"),
        (["a.jpg", "", "{}", "1", "0", '{"name": "rect", "x": null}', "{}"], "image 'a.jpg': region 1 has the x, y"),
    ],
)
def test_tables_of_via_that_are_wrong(row: list[str], said: str, tmp_path: Path) -> None:
    via_table(tmp_path / "via.csv", [row])
    image(tmp_path / "a.jpg")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"obj.data": "train = train.txt\nnames = obj.names\n", "Obj.Names": "dog\ncat\n"}, "cat.txt"),
        ({"Classes.txt": "dog\ncat\n"}, "cat.txt"),
        ({"CLASSES.TXT": "dog\ncat\n"}, "annotations.xml"),
    ],
)
def test_files_of_names_whatever_their_case(files: dict[str, str], name: str, tmp_path: Path) -> None:
    for place, text in files.items():
        write(tmp_path / place, text)
    for number in range(2):
        path = image(tmp_path / f"{number}.jpg")
        if name.endswith(".txt"):
            write(path.with_suffix(".txt"), "0 0.5 0.5 0.25 0.5")
    if "obj.data" in files:
        write(tmp_path / "train.txt", "0.jpg\n1.jpg\n")
    if name.endswith(".xml"):
        cvat(tmp_path / name, dict.fromkeys(("0.jpg", "1.jpg"), cvat_box("cat", (1, 1, 9, 9))))
    assert names(read(tmp_path)) == ["dog", "cat"]
