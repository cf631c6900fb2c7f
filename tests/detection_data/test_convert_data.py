"""convert-data: what any format says, every format says; nothing is written over, nothing half."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from made_boxes import coco, image, names, read, sizes, voc, write

import mobilevit
from mobilevit.cli.entry import main
from mobilevit.datasets.box_target import Boxes
from mobilevit.datasets.conversion import convert_data
from mobilevit.datasets.sample import Dataset
from mobilevit.errors import DataError, OutputError, UsageError
from mobilevit.tasks import checking
from mobilevit.text import printable

FORMATS = ("coco", "voc", "yolo")
WALK = ("voc", "coco", "yolo", "voc", "yolo", "coco")  # from coco: every step from one format to another
SIZE = (64, 48)

# Corners in 256ths of a pixel, two pixels or more apart: VOC cannot hold boxes of one pixel or less.
STARTS = st.tuples(st.integers(0, 61 * 256), st.integers(0, 45 * 256))
SIDES = st.tuples(st.integers(2 * 256, 64 * 256), st.integers(2 * 256, 48 * 256))
NAMES = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=12).map(
    lambda text: " ".join(text.split())
)


@st.composite
def boxes(draw: st.DrawFn, classes: int) -> Boxes:
    found = {}
    for (left, top), (width, height), label, ignore in draw(
        st.lists(st.tuples(STARTS, SIDES, st.integers(0, classes - 1), st.booleans()), max_size=4)
    ):
        corners = left / 256, top / 256, min(64, (left + width) / 256), min(48, (top + height) / 256)
        found[corners, label] = ignore
    rows, labels = [corners for corners, _ in found], [label for _, label in found]
    return Boxes.of(rows, labels, SIZE, list(found.values()))


@st.composite
def datasets(draw: st.DrawFn) -> tuple[list[str], list[Boxes]]:
    classes = draw(st.lists(NAMES.filter(is_writable), min_size=1, max_size=3, unique=True))
    return classes, draw(st.lists(boxes(len(classes)), min_size=4, max_size=4))


def is_writable(name: str) -> bool:
    """Not one that is read without some of its characters, or with these spelled out; see `annotation.class_name`."""
    return bool(name) and printable(name) == name and not any(letter in "\ufffe\uffff" for letter in name)


def write_as_coco(root: Path, classes: Sequence[str], targets: Sequence[Boxes]) -> None:
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, start=1)]
    for split, ids in (("train", (0, 1)), ("val", (2,)), ("test", (3,))):
        annotations = [
            {"id": len(ids), "image_id": number, "category_id": label + 1, "iscrowd": int(ignore)}
            | {"bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]]}
            for number in ids
            for box, label, ignore in zip(
                targets[number].boxes.tolist(), targets[number].labels.tolist(), targets[number].ignore, strict=True
            )
        ]
        images = [{"id": number, "file_name": f"{number}.png"} for number in ids]
        coco(root / f"{split}.json", {}, images=images, annotations=annotations, categories=categories)
        for number in ids:
            image(root / f"{number}.png", SIZE)


def said(dataset: Dataset) -> Mapping[str, Mapping[str, Boxes]]:
    """The boxes of each image of each split, in an order of their own."""
    return {split: {sample.path.name: sample.target for sample in samples} for split, samples in dataset.splits.items()}


def counted(images: Mapping[str, Mapping[str, Boxes]]) -> Mapping[str, Mapping[str, Boxes]]:
    return {split: {name: one.counted() for name, one in some.items()} for split, some in images.items()}


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(datasets())
@example((["no", "a: b # c", "<x>&amp;"], [Boxes.of([[0, 0, 64, 48]], [2], SIZE)] * 4))
@example((["\x85", "🏴\u200d☠️", "'\"\\"], [Boxes.of([], [], SIZE)] * 3 + [Boxes.of([[1, 2, 3, 4]], [1], SIZE)]))
def test_round_trips_are_equal(made: tuple[list[str], list[Boxes]]) -> None:
    """From each format to each other one; from YOLO on without the boxes to ignore."""
    classes, targets = made
    classes = [name for name in (" ".join(one.split()) for one in classes) if name] or ["x"]
    if len(classes) < len(made[0]):
        targets = [one.relabeled([0] * len(made[0])) for one in targets]
        targets = [Boxes.of([], [], SIZE) if len(one) > 1 else one for one in targets]
    if not any(len(one.counted()) for one in targets):
        targets[0] = Boxes.of([[1, 2, 30, 40]], [0], SIZE)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_as_coco(root / "in", classes, targets)
        source = read(root / "in")
        assert said(source)["train"] == {"0.png": targets[0], "1.png": targets[1]}
        expected, place = said(source), root / "in"
        for step, to in enumerate(WALK):
            convert_data(place, place := root / str(step), to=to)
            expected = counted(expected) if to == "yolo" else expected
            found = read(place)
            assert names(found) == classes
            assert said(found) == expected
            assert {finding.kind for finding in found.notes} <= {"no-objects"}


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.suffix for path in sorted(root.rglob("*")) if path.is_file()}


def small(root: Path) -> Path:
    """Two images of one name in two folders, one name in two kinds, one image of nothing, in COCO."""
    boxes = {"one/a.png": [(3, (1, 2, 30, 20))], "two/a.png": [(7, (5, 6, 7, 8))], "two/A.jpg": [], "b\n.png": []}
    coco(root / "train.json", boxes)
    coco(root / "val.json", {"c.png": [(3, (1, 2, 3, 4))]})
    for name in (*boxes, "c.png"):
        image(root / name)
    return root


@pytest.mark.parametrize("to", FORMATS)
def test_images_of_the_same_name(to: str, tmp_path: Path) -> None:
    source = read(small(tmp_path / "in"))
    convert_data(tmp_path / "in", tmp_path / "out", to=to)
    dataset = read(tmp_path / "out")
    assert sizes(dataset) == {"train": 4, "val": 1}
    targets = sorted(sample.target.boxes.tolist() for sample in dataset.splits["train"])
    assert targets == sorted(sample.target.boxes.tolist() for sample in source.splits["train"])
    written = [str(sample.path) for sample in dataset.splits["train"]]
    assert any(path.endswith("two/A-2.jpg") for path in written) and any(path.endswith("b_.png") for path in written)


def test_what_is_written(tmp_path: Path) -> None:
    small(tmp_path / "in")
    expected = {
        "coco": ["annotations/instances_train.json", "annotations/instances_val.json", "train/one/a.png", "val/c.png"],
        "voc": [
            *("Annotations/one/a.xml", "Annotations/c.xml", "ImageSets/Main/train.txt", "ImageSets/Main/trainval.txt"),
            *("ImageSets/Main/val.txt", "JPEGImages/one/a.png", "JPEGImages/c.png", "classes.txt"),
        ],
        "yolo": ["data.yaml", "images/train/one/a.png", "labels/train/one/a.txt", "labels/val/c.txt"],
    }
    for to, files in expected.items():
        converted = mobilevit.convert_data(tmp_path / "in", tmp_path / to, to=to)
        assert converted.folder == tmp_path / to and converted.boxes == 3
        assert converted.images == {"train": 4, "val": 1}
        assert set(files) <= tree(tmp_path / to).keys()
    assert (tmp_path / "voc" / "JPEGImages" / "c.png").read_bytes() == (tmp_path / "in" / "c.png").read_bytes()
    assert "<xmin>2</xmin>" in (tmp_path / "voc" / "Annotations" / "c.xml").read_text()
    assert (tmp_path / "yolo" / "labels" / "val" / "c.txt").read_text().startswith("0 0.0390625 ")
    assert "names:\n  0: cat\n  1: dog\n" in (tmp_path / "yolo" / "data.yaml").read_text()
    content = json.loads((tmp_path / "coco" / "annotations" / "instances_val.json").read_text())
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0, "segmentation": []}
    assert content["annotations"] == [box]


def test_the_check_counts_as_many_boxes_as_are_written(tmp_path: Path) -> None:
    """Those of an image that is cut short among them, and not those of one that says no size."""
    box = [(3, (5, 5, 20, 20))]
    for split in ("train", "val"):
        coco(tmp_path / "in" / f"{split}.json", {"a.jpg": box, "cut.jpg": box, "empty.jpg": box})
    whole = image(tmp_path / "in" / "a.jpg").read_bytes()
    (tmp_path / "in" / "cut.jpg").write_bytes(whole[:-40])
    (tmp_path / "in" / "empty.jpg").touch()
    report = checking.check(tmp_path / "in")
    assert len(report.broken) == 2
    converted = convert_data(tmp_path / "in", tmp_path / "out", to="coco")
    assert converted.boxes == sum(map(sum, report.class_counts.values())) == 4


def test_a_link_takes_no_room(tmp_path: Path) -> None:
    small(tmp_path / "in")
    convert_data(tmp_path / "in", tmp_path / "copy", to="yolo")
    assert (tmp_path / "in" / "c.png").stat().st_nlink == 1
    convert_data(tmp_path / "in", tmp_path / "linked", to="yolo", link=True)
    assert (tmp_path / "linked" / "images" / "val" / "c.png").samefile(tmp_path / "in" / "c.png")


def test_what_a_format_cannot_hold_is_counted(tmp_path: Path) -> None:
    for split in ("train", "val"):
        boxes = [("cat", (1, 1, 9, 9)), ("cat", (3, 3, 20, 20))]
        voc(tmp_path / "in" / split / "a.xml", boxes, more="<difficult>1</difficult>")
        voc(tmp_path / "in" / split / "b.xml", boxes)
        write(tmp_path / "in" / split / "c.jpg", "no image")
        voc(tmp_path / "in" / split / "c.xml", boxes)
        for name in "ab":
            image(tmp_path / "in" / split / f"{name}.jpg")
    converted = convert_data(tmp_path / "in", tmp_path / "out", to="yolo")
    assert converted.boxes == 4 and converted.images == {"train": 2, "val": 2}
    messages = [finding.message for finding in converted.findings]
    assert "4 boxes marked as ignored, which YOLO cannot express, skipped" in messages
    assert any(message.startswith("2 images that cannot be read, skipped: train/c.jpg") for message in messages)


def test_thin_boxes_and_voc(tmp_path: Path) -> None:
    coco(tmp_path / "in" / "train.json", {"a.png": [(3, (1, 1, 1, 20)), (3, (1, 1, 1.5, 20))]})
    coco(tmp_path / "in" / "val.json", {"b.png": [(3, (1, 1, 20, 20))]})
    image(tmp_path / "in" / "a.png")
    image(tmp_path / "in" / "b.png")
    converted = convert_data(tmp_path / "in", tmp_path / "out", to="voc")
    assert converted.findings[-1].message == "1 box of one pixel or less, which VOC cannot store, skipped"
    assert np.allclose(said(read(tmp_path / "out"))["train"]["a.png"].boxes, [[1, 1, 2.5, 21]])


def test_held_out_images_alone(tmp_path: Path) -> None:
    coco(tmp_path / "in" / "annotations" / "instances_val2017.json", {"b.png": [(3, (1, 1, 20, 20))]})
    image(tmp_path / "in" / "val2017" / "b.png")
    for to in FORMATS:
        convert_data(tmp_path / "in", tmp_path / to, to=to)
        assert sizes(read(tmp_path / to)) == {"train": 0, "val": 1}


def test_places_that_are_taken_are_left_alone(tmp_path: Path) -> None:
    small(tmp_path / "in")
    write(tmp_path / "full" / "mine.txt", "mine")
    write(tmp_path / "file", "mine")
    before = tree(tmp_path)
    for name in ("full", "file"):
        with pytest.raises(OutputError, match="exists and is not empty"):
            convert_data(tmp_path / "in", tmp_path / name, to="yolo")
    with pytest.raises(UsageError, match="lies inside"):
        convert_data(tmp_path / "in", tmp_path / "in" / "out", to="yolo")
    with pytest.raises(UsageError, match="unknown format 'yolov8': did you mean yolo"):
        convert_data(tmp_path / "in", tmp_path / "out", to="yolov8")  # type: ignore[arg-type]
    with pytest.raises(OutputError, match="cannot create the folder"):
        convert_data(tmp_path / "in", tmp_path / "file" / "out", to="yolo")
    assert tree(tmp_path) == before
    (tmp_path / "empty").mkdir()
    convert_data(tmp_path / "in", tmp_path / "empty", to="yolo")
    assert (tmp_path / "empty" / "data.yaml").is_file()


def test_nothing_is_left_of_a_conversion_that_failed(tmp_path: Path) -> None:
    small(tmp_path / "in")

    def interrupt(done: int, total: int) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_data(tmp_path / "in", tmp_path / "out", to="voc", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    with pytest.raises(DataError):
        convert_data(tmp_path / "in" / "one", tmp_path / "out", to="voc")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small(tmp_path / "in")
    assert main(["convert-data", str(tmp_path / "in"), str(tmp_path / "out"), "--to", "yolo", "--from", "coco"]) == 0
    said = capsys.readouterr().err
    assert f"wrote {tmp_path / 'out'}" in said and "3 boxes in images: 4 train, 1 val" in said
    assert "note: 2 images without objects" in said
    assert main(["convert-data", str(tmp_path / "in"), str(tmp_path / "out"), "--to", "voc"]) == 1
    assert main(["convert-data", str(tmp_path / "in"), str(tmp_path / "out"), "--to", "tfrecord"]) == 2


def test_bccd_goes_round() -> None:
    root = Path(__file__).parents[3] / "shared" / "data" / "bccd"
    if not root.is_dir():
        pytest.skip("../shared/data/bccd is not here")
    with tempfile.TemporaryDirectory() as folder:
        places = [root, *(Path(folder) / to for to in ("yolo", "coco", "voc"))]
        for source, target in pairwise(places):
            convert_data(source, target, to=target.name)  # type: ignore[arg-type]
        assert said(read(places[-1])) == said(read(root))
        assert names(read(places[-1])) == names(read(root))
