"""Images that do not lie where their annotations say."""

import os
from pathlib import Path

import pytest
from made_boxes import coco, image, read

from mobilevit.datasets.image_paths import ImagePaths
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.repairs import Repairs
from mobilevit.errors import DataError

SIZE = (64, 48)


class TestImagePaths:
    """The longest end of a path that exists."""

    def find(self, root: Path, stated: str, split: str | None = None) -> tuple[str, list[str]]:
        """The image, and the kinds of what was noted."""
        notes = Repairs()
        found = ImagePaths(Listing(root), notes).find(stated, root, "there", split)
        return os.fspath(found.relative_to(root)), [finding.kind for finding in notes.findings(root)]

    @pytest.mark.parametrize(
        "stated",
        [
            "one/a.jpg",
            "./one/../one/a.jpg",
            "/home/me/one/a.jpg",
            "C:\\me\\one\\a.jpg",
            "..\\..\\one\\A.JPG",
            "http://x/one/a.jpg",
            "s3://bucket/one/a.jpg",
            "file:///home/me/one/a.jpg",
            "ONE/a.jpg",
        ],
    )
    def test_finds(self, stated: str, tmp_path: Path) -> None:
        for folder in ("one", "two"):
            image(tmp_path / folder / "a.jpg")
        found, said = self.find(tmp_path, stated)
        assert found == "one/a.jpg" and len(said) == (stated not in ("one/a.jpg", "./one/../one/a.jpg"))

    def test_several_that_fit_are_both_named(self, tmp_path: Path) -> None:
        for folder in ("one", "two"):
            image(tmp_path / folder / "a.jpg")
        with pytest.raises(DataError, match=r"'/x/a.jpg' does not exist, and could be .*one/a.jpg or .*two/a.jpg"):
            self.find(tmp_path, "/x/a.jpg")

    def test_images_of_another_split_are_none(self, tmp_path: Path) -> None:
        image(tmp_path / "train" / "a.jpg")
        assert self.find(tmp_path, "x/a.jpg", "val") == ("x/a.jpg", [])
        assert self.find(tmp_path, "x/a.jpg", "train") == ("train/a.jpg", ["other-folder"])

    def test_what_is_nowhere_stays_where_it_should_be(self, tmp_path: Path) -> None:
        image(tmp_path / "a.jpg")
        assert self.find(tmp_path, "one/b.jpg") == ("one/b.jpg", [])
        assert self.find(tmp_path, "/etc/passwd") == ("passwd", [])


def test_paths_that_lead_out_are_an_error_where_none_of_them_is_here(tmp_path: Path) -> None:
    coco(tmp_path / "train.json", {"../b.jpg": [(3, (1, 1, 5, 5))], "a.jpg": []})
    image(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"image 0: the path '../b.jpg' points outside .*: use paths inside"):
        read(tmp_path)


def test_where_images_lie_when_none_is_found(tmp_path: Path) -> None:
    coco(tmp_path / "train.json", {"a.jpg": [(3, (1, 1, 5, 5))]})
    image(tmp_path / "images" / "b.jpg")
    with pytest.raises(DataError, match=r"none of 1 image exists, .*; 1 image of other names are below it, .*b\.jpg"):
        read(tmp_path)


@pytest.mark.parametrize("folder", ["images", "copies"])
def test_images_of_coco_in_two_folders(folder: str, tmp_path: Path) -> None:
    """The one that is called images; or neither, where none is."""
    for place in ("backup", folder):
        for name in ("a.jpg", "b.jpg"):
            image(tmp_path / place / name)
    coco(tmp_path / "result.json", {"a.jpg": [(1, (1, 1, 9, 9))], "b.jpg": []})
    if folder == "images":
        assert {sample.path.parent.name for sample in read(tmp_path).splits["train"]} == {"images"}
    else:
        with pytest.raises(DataError, match=r"could be in .*backup or in .*copies: keep one, or rename it to images"):
            read(tmp_path)
