"""Small datasets of images that tests make."""

from collections.abc import Callable
from pathlib import Path

import pytest
from made_images import smooth_image

Tree = Callable[[dict[str, int]], Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Makes folders of images, so many in each, all different: tree({"train/cat": 3}) is the root."""

    def make(folders: dict[str, int]) -> Path:
        root = tmp_path / "images"
        root.mkdir(exist_ok=True)
        for seed, (folder, count) in enumerate(folders.items()):
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                smooth_image(1000 * seed + number).save(root / folder / f"{number:03}.jpg", quality=90)
        return root

    return make


@pytest.fixture
def names_only(tmp_path: Path) -> Tree:
    """Like `tree`, of empty files: enough for whoever opens none."""

    def make(folders: dict[str, int], name: str = "names") -> Path:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        for folder, count in folders.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                (root / folder / f"{number:03}.jpg").touch()
        return root

    return make
