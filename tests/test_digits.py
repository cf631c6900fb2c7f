"""The handwritten digits as an image folder, and scattered over images with boxes and masks."""

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mobilevit import digit_scenes, tasks
from mobilevit.datasets.options import ReadOptions
from mobilevit.digits import write_digits
from mobilevit.errors import MissingExtraError, OutputError

pytest.importorskip("sklearn", reason='needs the extra "demo"')


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("digits"))


def test_every_digit_once_a_fifth_of_each_held_out(digits: Path) -> None:
    names = [path.name for path in digits.rglob("*.png")]
    assert len(names) == len(set(names)) == 1797
    for digit in range(10):
        held_out = len(list((digits / "val" / str(digit)).iterdir()))
        trained = len(list((digits / "train" / str(digit)).iterdir()))
        assert held_out == round(0.2 * (held_out + trained))


def test_dark_on_light_64_px(digits: Path) -> None:
    for path in list(digits.rglob("*.png"))[::60]:
        image = Image.open(path)
        assert image.size == (64, 64)
        pixels = np.asarray(image)
        assert pixels.min() < 60
        assert pixels.max() > 245
        assert np.median(pixels[:, [0, -1]]) > 200  # the margin is paper


def test_the_seed_decides(digits: Path, tmp_path: Path) -> None:
    again, other = write_digits(tmp_path / "again"), write_digits(tmp_path / "other", seed=1)
    assert contents(again) == contents(digits)
    assert contents(other).keys() != contents(digits).keys()
    assert set(contents(other).values()) == set(contents(digits).values())


@pytest.fixture
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digit_scenes, "IMAGES", {"train": 12, "val": 5})


@pytest.mark.usefixtures("few_scenes")
def test_boxes_lie_around_the_ink_of_their_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same crowd both writers draw the same scenes: a box holds its digit, up to its border, and no other."""
    monkeypatch.setattr(digit_scenes, "CUT_OUT", digit_scenes.BOXED)
    boxes, masks = tasks.get("detection"), tasks.get("segmentation")
    boxed = boxes.read(digit_scenes.write_boxes(tmp_path / "boxes"), ReadOptions())
    masked = masks.read(digit_scenes.write_masks(tmp_path / "masks"), ReadOptions())
    assert not boxed.notes
    assert [label.name for label in masked.classes] == ["background", *(label.name for label in boxed.classes)]
    for split, count in (("train", 12), ("val", 5)):
        assert len(boxed.splits[split]) == len(masked.splits[split]) == count
        for with_boxes, with_mask in zip(boxed.splits[split], masked.splits[split], strict=True):
            assert with_boxes.path.read_bytes() == with_mask.path.read_bytes()
            mask = masks.load_target(with_mask.target)
            assert len(with_boxes.target) >= 1
            left_over = mask.copy()
            for (left, top, right, bottom), label in zip(
                with_boxes.target.boxes.astype(int), with_boxes.target.labels, strict=True
            ):
                inside = mask[top:bottom, left:right]
                assert set(np.unique(inside)) <= {0, label + 1}
                assert (inside == label + 1).any(axis=0)[[0, -1]].all()
                assert (inside == label + 1).any(axis=1)[[0, -1]].all()
                left_over[top:bottom, left:right] = 0
            assert not left_over.any()


@pytest.mark.usefixtures("few_scenes")
def test_the_seed_decides_the_scenes(tmp_path: Path) -> None:
    first, again, other = (
        contents(digit_scenes.write_masks(tmp_path / name, seed=seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first)
    assert len(set(first.values())) == len(first), "no scene of val is one of training"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        write_digits(tmp_path / "file")


def test_without_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any) -> Any:
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingExtraError, match=r"mobilevit\[demo\]"):
        write_digits(tmp_path)
    assert list(tmp_path.iterdir()) == []
