"""What is said about an image, as figures, as a mask and as a drawing."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mobilevit import class_tables
from mobilevit.datasets.mask_target import Coding, Mask
from mobilevit.datasets.palette import PALETTE
from mobilevit.errors import UsageError, WeightsError
from mobilevit.spec import ModelSpec, labels
from mobilevit.tasks.base import ResultOptions
from mobilevit.tasks.segmentation.drawing import BACKGROUND, color_of, smooth
from mobilevit.tasks.segmentation.result import Segmentation
from mobilevit.tasks.segmentation.task import SegmentationTask

CLASSES = labels(["background", "cat", "dog"])
TASK = SegmentationTask()


def result(limits: ResultOptions = ResultOptions()) -> Segmentation:  # noqa: B008 (frozen)
    """A quarter of the image is a cat, an eighth a dog."""
    classes = np.zeros((1, 8, 8), np.int32)
    classes[0, :4, :4] = 1
    classes[0, 4:6, :4] = 2
    spec = ModelSpec("deeplabv3_mobilevit_xxs", "segmentation", CLASSES)
    return TASK.decode({"class_map": classes}, spec, limits)[0]


def test_the_model_gives_the_likeliest_class() -> None:
    logits = torch.randn((2, 5, 6, 7))
    raw = type("Raw", (), {"logits": logits, "auxiliary": None})()
    classes = TASK.postprocess(raw)["class_map"]
    assert classes.dtype == torch.int32
    torch.testing.assert_close(logits.gather(1, classes.long()[:, None])[:, 0], logits.amax(dim=1))


def test_areas() -> None:
    said = result().of("cat.jpg", (160, 80))
    assert [(area.class_name, area.pixels, area.fraction) for area in said.areas] == [
        ("background", 8000, 0.625),
        ("cat", 3200, 0.25),
        ("dog", 1600, 0.125),
    ]
    assert said.row() == {"image": "cat.jpg", "largest": "background 62.5%", "then": "cat 25.0%, dog 12.5%"}
    assert json.loads(json.dumps(said.to_dict()))["areas"][1] == {
        "value": 1, "class_id": "cat", "class_name": "cat", "pixels": 3200, "fraction": 0.25
    }  # fmt: skip
    assert [record["class_name"] for record in said.records()] == ["background", "cat", "dog"]
    assert sum(np.bincount(said.classes.ravel())[1:]) == 4800
    assert result().areas[0].pixels == 40  # of an image whose size is not known


def test_limits() -> None:
    assert len(result(ResultOptions(top_k=1)).areas) == 1
    with pytest.raises(UsageError, match="leave out --score-threshold"):
        result(ResultOptions(score_threshold=0.5))
    many = ModelSpec("deeplabv3_mobilevit_xxs", "segmentation", labels(map(str, range(257))))
    with pytest.raises(WeightsError, match="257 classes: masks can tell 256 apart"):
        TASK.decode({"class_map": np.zeros((1, 2, 2), np.int32)}, many)


def test_a_mask_is_a_palette_image_whose_indices_are_the_classes(tmp_path: Path) -> None:
    said = result().of("cat.jpg", (33, 21))
    said.mask().save(tmp_path / "cat.png")
    with Image.open(tmp_path / "cat.png") as saved:
        assert (saved.mode, saved.size) == ("P", (33, 21))
        np.testing.assert_array_equal(np.asarray(saved), said.classes)
        assert saved.convert("RGB").getpixel((0, 0)) == PALETTE[1]
    again = Mask(tmp_path / "cat.png", tmp_path / "cat.jpg", Coding((0, 1, 2)))
    np.testing.assert_array_equal(again.read(), said.classes)


def test_the_palette_is_pascal_vocs() -> None:
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192)}
    assert {index: PALETTE[index] for index in known} == known
    assert len(set(PALETTE)) == 256


@pytest.mark.parametrize("size", [(20, 15), (321, 200), (200, 321), (2000, 900), (7, 700)])
@pytest.mark.parametrize("with_truth", [False, True])
def test_drawings_of_all_sizes(tmp_path: Path, size: tuple[int, int], with_truth: bool) -> None:
    image = Image.new("RGB", size, "#808080")
    values = np.zeros(size[::-1], np.uint8)
    values[: size[1] // 2] = 1
    Image.fromarray(values).save(tmp_path / "m.png")
    truth = Mask(tmp_path / "m.png", tmp_path / "m.jpg", Coding((0, 1, 2))) if with_truth else None
    drawn = TASK.draw(image, result().of("m.jpg", size), truth, CLASSES)
    assert drawn.mode == "RGB"
    assert max(drawn.size) <= 1280 * 2 + 400
    assert min(drawn.size) >= 60
    assert image.getextrema() == ((128, 128),) * 3  # untouched


def test_classes_are_tinted_and_the_background_is_not() -> None:
    drawn = TASK.draw(Image.new("RGB", (400, 400), "#808080"), result().of("a", (400, 400)))
    assert drawn.getpixel((350, 50)) == (128, 128, 128)
    expected = tuple(round((128 + part) / 2) for part in color_of(1, CLASSES))
    assert drawn.getpixel((100, 100)) == pytest.approx(expected, abs=1)
    roads = labels(["road", "sky"])
    assert "road" not in BACKGROUND
    assert color_of(0, roads) == color_of(1, CLASSES)


def test_mistakes_are_striped(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((400, 600), np.uint8)).save(tmp_path / "m.png")
    truth = Mask(tmp_path / "m.png", tmp_path / "m.jpg", Coding((0, 1, 2)))
    image = Image.new("RGB", (600, 400), "#808080")
    wrong = TASK.draw(image, result().of("a", (600, 400)), truth, CLASSES)
    pixels = np.asarray(wrong.crop((50, 100, 250, 180))).astype(int)
    assert (pixels.max(axis=2) < 80).any() and (pixels.min(axis=2) > 180).any()  # black and white
    below = np.asarray(wrong.crop((50, 520, 250, 700)))
    assert (below == 128).all()  # the truth has no class there


def test_targets_on_a_sheet_of_samples(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 60), 1, np.uint8)).save(tmp_path / "m.png")
    truth = Mask(tmp_path / "m.png", tmp_path / "m.jpg", Coding((0, 1, 2)))
    drawn = TASK.draw_target(Image.new("RGB", (30, 20), "#808080"), truth, CLASSES)
    assert drawn.size == (30, 20)
    assert drawn.getpixel((15, 10)) != (128, 128, 128)


def test_edges_are_smoothed_where_a_map_grows_and_classes_stay_classes() -> None:
    coarse = np.zeros((16, 16), np.uint8)
    coarse[np.tril_indices(16)] = 20
    grown = smooth(coarse, (160, 160))
    assert set(np.unique(grown)) == {0, 20}
    np.testing.assert_array_equal(grown[5::10, 5::10][np.tril_indices(16, -1)], 20)
    np.testing.assert_array_equal(smooth(coarse, (8, 8)), coarse[1::2, 1::2])


def test_more_classes_than_the_legend_names() -> None:
    voc = class_tables.voc21()
    coarse = np.arange(21, dtype=np.uint8)[None].repeat(21, axis=0)
    drawn = TASK.draw(Image.new("RGB", (500, 300)), Segmentation(coarse, voc).of("a", (500, 300)))
    assert drawn.height > 340
