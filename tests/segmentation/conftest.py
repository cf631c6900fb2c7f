"""Small datasets of images with masks that tests make."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from made_masks import write_pair

Squares = Callable[[Mapping[str, int]], Path]


@pytest.fixture
def squares(tmp_path: Path) -> Squares:
    """Makes train/images, train/masks, ... and classes.txt; so many images in each split."""

    def make(counts: Mapping[str, int]) -> Path:
        root = tmp_path / "squares"
        for number, (split, count) in enumerate(counts.items()):
            for index in range(count):
                images, masks = root / split / "images", root / split / "masks"
                write_pair(images / f"{index:03}.jpg", masks / f"{index:03}.png", 1000 * number + index)
        (root / "classes.txt").write_text("background\nsquare\n")
        return root

    return make
