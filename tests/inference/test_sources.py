"""What a user may call images, and what becomes of each kind that is none."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilevit.errors import ImageError
from mobilevit.images.fetching import fetch
from mobilevit.images.sources import expand


def names(*given: object) -> list[str]:
    return [source.name for source in expand(list(given))]  # type: ignore[arg-type]


def test_a_folder_is_the_images_below_it_by_name(photos: Path) -> None:
    expected = [str(photos / name) for name in ("0.png", "1.png", "2.png", "3.png", "4.png", "more/5.png")]
    assert names(photos) == names(str(photos)) == expected


def test_a_pattern_is_what_it_matches(photos: Path) -> None:
    assert names(f"{photos}/[01].png") == [str(photos / "0.png"), str(photos / "1.png")]
    assert names(f"{photos}/**/5.png") == [str(photos / "more" / "5.png")]
    [nothing] = expand(f"{photos}/*.gif")
    with pytest.raises(ImageError, match=r"\*\.gif: no file matches"):
        nothing.image()


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a[1].png")
    [source] = expand(str(tmp_path / "a[1].png"))
    assert source.image().size == (4, 4)


def test_images_in_memory(photos: Path) -> None:
    array = np.zeros((4, 6, 3), np.uint8)
    given = [array, Image.fromarray(array), (photos / "0.png").read_bytes()]
    assert [source.image().size for source in expand(given)] == [(6, 4), (6, 4), (80, 64)]
    assert [source.image().size for source in expand(array)] == [(6, 4)], "one array is one image"


def test_standard_input(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO((photos / "0.png").read_bytes())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content))
    [source] = expand("-")
    assert source.name == "<stdin>"
    assert source.image().size == (80, 64)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nowhere.jpg", "nowhere.jpg does not exist"),
        (Path("nowhere.jpg"), "nowhere.jpg does not exist"),
        ("empty", "empty: no images in this folder"),
        ("ftp://127.0.0.1/a.jpg", "only http and https"),
        ("file:///etc/passwd", "only http and https"),
        (42, "int"),
        (None, "NoneType"),
        (b"", "0 bytes"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
    ],
)
def test_what_is_no_image_says_so_when_it_is_read(
    given: object, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    [source] = expand(given)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match=message):
        source.image()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may list every folder, and so may Windows")
def test_a_folder_that_may_not_be_listed(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    [source] = expand(tmp_path / "closed")
    with pytest.raises(ImageError, match="cannot be listed"):
        source.image()


def test_an_address(web: str) -> None:
    [source] = expand(f"{web}/image.png")
    assert source.name == f"{web}/image.png"
    assert source.image().size == (80, 64)
    assert fetch(f"{web}/moved") == fetch(f"{web}/image.png")


def test_an_address_of_something_else_is_named(web: str) -> None:
    [source] = expand(f"{web}/text")
    with pytest.raises(ImageError, match=f"{web}/text: "):
        source.image()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/nothing", "the server answers 404"),
        ("/loop", "redirects more than 5 times"),
        ("/to-file", "only http and https"),
        ("/to-ftp", "only http and https"),
        ("/large", "more than 1 MB"),
        ("/slow", "not complete after"),
        ("/short", "was lost after 10 bytes"),
    ],
)
def test_trouble_on_the_web_ends_within_its_limits(web: str, path: str, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        fetch(web + path, seconds=0.5, silence_seconds=0.5, max_bytes=2**20)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a.jpg", "http://", "http://[::1/a.jpg", "https://no such host/"])
def test_a_url_that_cannot_be_reached(url: str) -> None:
    with pytest.raises(ImageError, match="cannot be reached"):
        fetch(url, silence_seconds=2)


def test_an_empty_name_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "here.png")
    monkeypatch.chdir(tmp_path)
    (source,) = expand("")
    with pytest.raises(ImageError, match="empty"):
        source.image()


def test_a_name_that_no_file_can_have_stops_nothing_else(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    (photos / "ring.png").symlink_to("ring.png")
    (photos / "round").symlink_to("other")
    (photos / "other").symlink_to("round")
    bad = ["x" * 300, "y" * 300 + "*.png", "a/" * 3000, "nul\0.png", "ring.png", "round", "~nobody-of-this-name/a.png"]
    sources = list(expand([*bad, Path("x" * 300), "0.png"]))
    assert len(sources) == len(bad) + 2
    for source in sources[:-1]:
        with pytest.raises(ImageError):
            source.image()
    assert sources[-1].image().size == (80, 64)
    assert str(photos / "ring.png") in names(photos)


def test_a_file_whose_name_begins_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (3, 3)).save(tmp_path / "~name.png")
    Image.new("RGB", (5, 5)).save(home / "a.png")
    given = ["~name.png", Path("~name.png"), "~/a.png"]
    assert [source.image().size for source in expand(given)] == [(3, 3), (3, 3), (5, 5)]
    [missing] = expand("~nobody-of-this-name/a.png")
    with pytest.raises(ImageError, match="does not exist"):
        missing.image()


def test_folders_that_link_to_each_other_are_listed_once(tmp_path: Path) -> None:
    """Twelve folders, each with links to all others: by their paths there are 12! ways through them."""
    folders = [tmp_path / "all" / f"{number:02}" for number in range(12)]
    for folder in folders:
        folder.mkdir(parents=True)
        Image.new("RGB", (2, 2)).save(folder / "a.png")
    for folder in folders:
        for other in folders:
            (folder / f"to-{other.name}").symlink_to(other, target_is_directory=True)
        (folder / "up").symlink_to(tmp_path, target_is_directory=True)
    assert names(tmp_path / "all") == [str(folder / "a.png") for folder in folders]
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("first", "second"):
        (outside / name).symlink_to(tmp_path / "all", target_is_directory=True)
    assert names(outside) == [str(outside / "first" / folder.name / "a.png") for folder in folders]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may list every folder, and so may Windows")
def test_a_closed_folder_inside_is_told_and_the_others_go_on(photos: Path) -> None:
    (photos / "closed").mkdir(mode=0)
    sources = list(expand(photos))
    assert len(sources) == 7
    with pytest.raises(ImageError, match="closed cannot be listed"):
        sources[-1].image()


def test_whatever_holds_an_image_is_one_image(photos: Path) -> None:
    content = (photos / "0.png").read_bytes()
    with (photos / "0.png").open("rb") as file:
        for one in (bytearray(content), memoryview(content), io.BytesIO(content), file):
            for given in (one, [one]):
                [source] = expand(given)  # type: ignore[arg-type]
                assert source.image().size == (80, 64)
        [source] = expand(file)
        assert source.name == str(photos / "0.png")
    with os.scandir(photos) as entries:
        [source] = expand(next(entry for entry in entries if entry.name == "0.png"))
    assert source.image().size == (80, 64)


def test_closed_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    [source] = expand("-")
    with pytest.raises(ImageError, match="standard input is closed"):
        source.image()
