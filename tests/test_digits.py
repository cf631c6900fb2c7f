"""The handwritten digits as a picture folder."""

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

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
        picture = Image.open(path)
        assert picture.size == (64, 64)
        pixels = np.asarray(picture)
        assert pixels.min() < 60
        assert pixels.max() > 245
        assert np.median(pixels[:, [0, -1]]) > 200  # the margin is paper


def test_the_seed_decides(digits: Path, tmp_path: Path) -> None:
    again, other = write_digits(tmp_path / "again"), write_digits(tmp_path / "other", seed=1)
    assert contents(again) == contents(digits)
    assert contents(other).keys() != contents(digits).keys()
    assert set(contents(other).values()) == set(contents(digits).values())


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
