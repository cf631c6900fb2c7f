"""convert-data for masks: what any format says, every format says, to the last pixel."""

import json
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

import mobilevit
from mobilevit import tasks
from mobilevit.cli.entry import main
from mobilevit.datasets.conversion import convert_data
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.palette import PALETTE
from mobilevit.datasets.sample import Dataset
from mobilevit.errors import DataError, ImageError, OutputError, UsageError

FORMATS = ("masks", "voc", "coco", "coco-polygons")
WALK = ("coco", "voc", "coco-polygons", "masks", "coco-polygons", "coco", "masks", "voc", "masks")  # each to each other
SHAPE = (24, 36)


def write(root: Path, masks: Mapping[str, np.ndarray], names: list[str]) -> Path:
    """images/<split>, masks/<split> and classes.txt; keys are "train/a"."""
    for number, (name, values) in enumerate(masks.items()):
        for kind in ("images", "masks"):
            (root / kind / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (*values.shape, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"images/{name}.png")
        Image.fromarray(values).save(root / f"masks/{name}.png")
    (root / "classes.txt").write_text("".join(f"{number} {name}\n" for number, name in enumerate(names)))
    return root


def read(root: Path, **options: str) -> Dataset:
    return tasks.get("segmentation").read(root, ReadOptions(**options))


def said(dataset: Dataset) -> dict[str, dict[str, list[list[int]]]]:
    return {
        split: {sample.path.stem: sample.target.read().tolist() for sample in samples}
        for split, samples in dataset.splits.items()
    }


@st.composite
def made(draw: st.DrawFn) -> tuple[list[str], list[np.ndarray]]:
    names = draw(st.sampled_from([["background", "cat", "dog"], ["sky", "road"], ["_background_", "2 y", "#z"]]))
    rng, coarse = np.random.default_rng(draw(st.integers(0, 2**31))), draw(st.integers(1, 9))
    values = [*range(len(names)), 255] if draw(st.booleans()) else [*range(len(names))]
    blocks = rng.choice(values, (4, SHAPE[0] // coarse + 1, SHAPE[1] // coarse + 1)).astype(np.uint8)
    full = [np.kron(block, np.ones((coarse, coarse), np.uint8))[: SHAPE[0], : SHAPE[1]] for block in blocks]
    return names, full


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(made())
@example((["background", "cat"], [np.zeros(SHAPE, np.uint8)] * 3 + [np.ones(SHAPE, np.uint8)]))
def test_round_trips_are_exact(case: tuple[list[str], list[np.ndarray]]) -> None:
    names, masks = case
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "in"
        write(place, dict(zip(("train/a", "train/b", "val/c", "test/d"), masks, strict=True)), names)
        expected = said(read(place))
        assert expected["train"]["a"] == masks[0].tolist()
        for step, to in enumerate(WALK):
            task = "segmentation" if place.name.endswith(("coco", "coco-polygons")) else None
            convert_data(place, place := Path(folder) / f"{step}-{to}", to=to, task=task)
            found = read(place)
            assert [label.name for label in found.classes] == names
            assert said(found) == expected
            assert not found.notes


TWO = np.pad(np.full((8, 12), 1, np.uint8), ((8, 8), (12, 12)))
TWO[0, 0] = 255


def small(root: Path) -> Path:
    return write(root, {"train/one/a": TWO, "train/two/a": TWO, "val/b c": TWO}, ["background", "cat"])


def test_what_is_written(tmp_path: Path) -> None:
    small(tmp_path / "in")
    expected = {
        "masks": ["images/train/one/a.png", "masks/train/one/a.png", "masks/val/b c.png", "classes.txt"],
        "voc": ["JPEGImages/one_a.png", "SegmentationClass/two_a.png", "ImageSets/Segmentation/trainval.txt"],
        "coco": ["train/one/a.png", "annotations/instances_val.json"],
        "coco-polygons": ["val/b c.png", "annotations/instances_train.json"],
    }
    for to in FORMATS:
        converted = mobilevit.convert_data(tmp_path / "in", tmp_path / to, to=to)
        assert (converted.masks, converted.boxes, dict(converted.images)) == (3, 0, {"train": 2, "val": 1})
        files = {str(path.relative_to(tmp_path / to)) for path in (tmp_path / to).rglob("*")}
        assert set(expected[to]) <= files
        assert said(read(tmp_path / to))["val"] == {"b c": TWO.tolist()}
    with Image.open(tmp_path / "voc/SegmentationClass/one_a.png") as mask:
        assert mask.mode == "P" and mask.getpalette()[:6] == [*PALETTE[0], *PALETTE[1]]
    with Image.open(tmp_path / "masks/masks/val/b c.png") as mask:
        assert mask.mode == "L"
    assert (tmp_path / "voc/classes.txt").read_text() == "background\ncat\n"
    for to, outline in (
        ("coco", {"size": [24, 36], "counts": "P98h0"}),
        ("coco-polygons", [[24, 8, 24, 16, 12, 16, 12, 8]]),
    ):
        records = json.loads((tmp_path / to / "annotations/instances_val.json").read_text())["annotations"]
        cat, border = records
        assert (cat["category_id"], cat["bbox"], cat["area"], cat["iscrowd"]) == (2, [12, 8, 12, 8], 96, 0)
        assert (border["bbox"], border["area"], border["iscrowd"]) == ([0, 0, 1, 1], 1, 1)
        assert sorted(cat["segmentation"]) == sorted(outline) if to == "coco" else _same(cat["segmentation"], outline)


def _same(found: list[list[int]], expected: list[list[int]]) -> bool:
    """The same corners, wherever they begin."""
    corners = [[tuple(loop[place : place + 2]) for place in range(0, len(loop), 2)] for loop in (*found, *expected)]
    return len(found) == len(expected) == 1 and set(corners[0]) == set(corners[1])


def test_cocos_files_are_boxes_unless_masks_are_asked_for(tmp_path: Path) -> None:
    small(tmp_path / "in")
    convert_data(tmp_path / "in", tmp_path / "coco", to="coco")
    assert tasks.recognize(tmp_path / "coco").name == "detection"
    boxes = convert_data(tmp_path / "coco", tmp_path / "yolo", to="yolo")
    assert (boxes.boxes, boxes.masks) == (3, 0)
    assert convert_data(tmp_path / "coco", tmp_path / "again", to="masks").masks == 3
    assert convert_data(tmp_path / "coco", tmp_path / "voc", to="voc").boxes == 3
    assert convert_data(tmp_path / "coco", tmp_path / "voc2", to="voc", task="segmentation").masks == 3


def count_up(root: Path, *, bits: int = 8, color: bool = False) -> dict[str, list[tuple[int, int, int, int]]]:
    """PennFudan's folders; the values of each mask count its objects. The boxes of each."""
    boxes: dict[str, list[tuple[int, int, int, int]]] = {}
    for number in range(4):
        values = np.zeros(SHAPE, np.uint16 if bits == 16 else np.uint8)
        found = [(2 + 7 * place, 3 + place, 6 + 7 * place, 12 + place) for place in range(number + 1)]
        for place, (left, top, right, bottom) in enumerate(found):
            values[top:bottom, left:right] = (250 if bits == 16 else 1) + 3 * place
        boxes[str(number)] = found
        stored = np.array(PALETTE, np.uint8)[values] if color else values
        for folder, pixels in (("PNGImages", np.full((*SHAPE, 3), 90, np.uint8)), ("PedMasks", stored)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            ending = "_mask" if folder == "PedMasks" else ""
            pixels = pixels + np.random.default_rng(number).integers(0, 99, pixels.shape, np.uint8) * (not ending)
            Image.fromarray(pixels).save(root / folder / f"{number}{ending}.png")
    return boxes


@pytest.mark.parametrize(("bits", "color"), [(8, False), (16, False), (8, True)])
def test_instances_become_boxes_or_one_class(tmp_path: Path, bits: int, color: bool) -> None:
    boxes = count_up(tmp_path / "in", bits=bits, color=color)
    for to in ("coco", "voc", "yolo"):
        converted = convert_data(tmp_path / "in", tmp_path / to, to=to, instances="person")
        assert converted.boxes == 10
        dataset = tasks.get("detection").read(tmp_path / to, ReadOptions())
        assert [label.name for label in dataset.classes] == ["person"]
        found = {sample.path.stem: sample.target.boxes for part in dataset.splits.values() for sample in part}
        assert found.keys() == boxes.keys()
        for name, expected in boxes.items():
            np.testing.assert_allclose(sorted(found[name].tolist()), expected, atol=1e-4)
    convert_data(tmp_path / "in", tmp_path / "masks", to="masks", instances="person")
    dataset = read(tmp_path / "masks")
    assert [label.name for label in dataset.classes] == ["background", "person"]
    areas = [sample.target.counts()[1] for part in dataset.splits.values() for sample in part]
    assert sorted(areas) == [36, 72, 108, 144]


def test_what_cannot_be_converted(tmp_path: Path) -> None:
    small(tmp_path / "in")
    with pytest.raises(DataError, match="has masks, but yolo is a format for boxes"):
        convert_data(tmp_path / "in", tmp_path / "out", to="yolo")
    with pytest.raises(UsageError, match="masks is not a format for detection: it is for segmentation"):
        convert_data(tmp_path / "in", tmp_path / "out", to="masks", task="detection")
    with pytest.raises(UsageError, match="did you mean coco-polygons"):
        convert_data(tmp_path / "in", tmp_path / "out", to="polygons")  # type: ignore[arg-type]
    Image.fromarray(TWO[:5]).save(tmp_path / "in/masks/val/b c.png")
    for to in FORMATS:
        with pytest.raises(ImageError, match=r"b c\.png is 36 x 5, but its image is 36 x 24"):
            convert_data(tmp_path / "in", tmp_path / "out", to=to)  # type: ignore[arg-type]
    small(tmp_path / "named")
    (tmp_path / "named/classes.txt").write_text("background 0 0 0\nroad 1 1 1 1 1 1\n")
    for path in (tmp_path / "named/masks").rglob("*.png"):
        Image.fromarray(TWO % 2).save(path)
    with pytest.raises(OutputError, match=r"classes\.txt cannot store these class names"):
        convert_data(tmp_path / "named", tmp_path / "out", to="masks")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "named"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small(tmp_path / "in")
    assert main(["convert-data", str(tmp_path / "in"), str(tmp_path / "out"), "--to", "coco-polygons"]) == 0
    assert "3 masks of images: 2 train, 1 val" in capsys.readouterr().err
    count_up(tmp_path / "walkers")
    command = ["convert-data", str(tmp_path / "walkers"), str(tmp_path / "boxes"), "--to", "coco"]
    assert main([*command, "--instances", "person"]) == 0
    assert "10 boxes in images" in capsys.readouterr().err


def test_pets_go_round() -> None:
    root = Path(__file__).parents[3] / "shared" / "data" / "pets"
    if not root.is_dir():
        pytest.skip("../shared/data/pets is not here")
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "in"
        for kind in ("images", "masks"):
            (part / "val").mkdir(parents=True, exist_ok=True)
            (part / "val" / kind).mkdir()
            for path in sorted((root / "val" / kind).iterdir())[:12]:
                (part / "val" / kind / path.name).write_bytes(path.read_bytes())
        (part / "classes.txt").write_bytes((root / "classes.txt").read_bytes())
        places = [part, *(Path(folder) / to for to in ("coco", "masks", "coco-polygons", "voc"))]
        for source, target in pairwise(places):
            convert_data(source, target, to=target.name, task="segmentation")  # type: ignore[arg-type]
        assert said(read(places[-1]))["val"] == said(read(part))["val"]


def test_masks_are_not_made_of_boxes(tmp_path: Path) -> None:
    for name in "ab":
        Image.new("RGB", (64, 48)).save(tmp_path / f"{name}.jpg")
        (tmp_path / f"{name}.txt").write_text("0 0.5 0.5 0.25 0.5")
    (tmp_path / "classes.txt").write_text("cat\n")
    for to in ("masks", "coco-polygons"):
        with pytest.raises(
            DataError, match=r"cannot be made from boxes: outlines are needed.* written as coco, voc, yolo"
        ):
            convert_data(tmp_path, tmp_path.parent / "out", to=to)  # type: ignore[arg-type]
