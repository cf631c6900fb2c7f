"""Every layout of images with masks, and what is said where one is wrong."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from made_masks import write_pair
from PIL import Image

from mobilevit import tasks
from mobilevit.datasets import mask_reader
from mobilevit.datasets.mask_target import IGNORED
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.palette import PALETTE
from mobilevit.datasets.sample import Dataset
from mobilevit.errors import DataError, UsageError

Squares = Callable[[Mapping[str, int]], Path]


def read(root: Path, **options: float) -> Dataset:
    assert tasks.recognize(root).name == "segmentation"
    return mask_reader.read(root, ReadOptions(**options))  # type: ignore[arg-type]


def sizes(dataset: Dataset) -> dict[str, int]:
    return {split: len(samples) for split, samples in dataset.splits.items()}


def kinds(dataset: Dataset) -> list[str]:
    return [note.kind for note in dataset.notes]


def write(root: Path, counts: Mapping[tuple[str, str], int]) -> Path:
    """So many images in each pair of folders."""
    for number, ((images, masks), count) in enumerate(counts.items()):
        for index in range(count):
            name = f"{index:03}"
            write_pair(root / images / f"{name}.jpg", root / masks / f"{name}.png", 100 * number + index)
    return root


def test_splits_outside(squares: Squares) -> None:
    dataset = read(squares({"train": 4, "val": 2, "test": 1}))
    assert sizes(dataset) == {"train": 4, "val": 2, "test": 1}
    assert [label.id for label in dataset.classes] == ["background", "square"]
    assert not dataset.notes
    for sample in dataset.splits["val"]:
        assert sample.target.image == sample.path
        assert set(np.unique(sample.target.read())) == {0, 1, IGNORED}


def test_splits_inside(tmp_path: Path) -> None:
    root = write(tmp_path, {("images/train", "masks/train"): 3, ("images/val", "masks/val"): 2})
    assert sizes(read(root)) == {"train": 3, "val": 2}


def test_one_pair_is_split_by_names_and_seed(tmp_path: Path) -> None:
    root = write(tmp_path, {("images", "masks"): 10})
    first, again, other = read(root), read(root), read(root, split_seed=1)
    assert sizes(first) == {"train": 8, "val": 2}
    assert first.splits == again.splits != other.splits
    assert "split" in kinds(first)
    assert sizes(read(root, val_fraction=0.5)) == {"train": 5, "val": 5}


def test_test_stands_in_for_val(squares: Squares) -> None:
    dataset = read(squares({"train": 4, "test": 2}))
    assert sizes(dataset) == {"train": 4, "val": 2}
    assert kinds(dataset) == ["split"]


def test_names_of_masks(tmp_path: Path) -> None:
    """The suffix is free, "_mask" may follow, folders inside count."""
    write_pair(tmp_path / "images/a/x.y.jpg", tmp_path / "masks/a/x.y.png")
    write_pair(tmp_path / "images/b.png", tmp_path / "masks/b_mask.bmp")
    samples = [sample for part in read(tmp_path).splits.values() for sample in part]
    pairs = {(sample.path.name, sample.target.path.name) for sample in samples}
    assert pairs == {("x.y.jpg", "x.y.png"), ("b.png", "b_mask.bmp")}


def test_what_has_no_partner_is_left_out_and_named(squares: Squares) -> None:
    root = squares({"train": 4, "val": 2})
    (root / "train/masks/002.png").unlink()
    (root / "val/images/001.jpg").unlink()
    dataset = read(root)
    assert sizes(dataset) == {"train": 3, "val": 1}
    assert [(note.kind, note.paths) for note in dataset.notes] == [
        ("without-mask", (root / "train/images/002.jpg",)),
        ("without-image", (root / "val/masks/001.png",)),
    ]


def voc(root: Path, lists: Mapping[str, str]) -> Path:
    """Five images, the last without a mask; masks are palette images."""
    for index in range(5):
        write_pair(root / f"JPEGImages/{index}.jpg", root / f"SegmentationClass/{index}.png", index)
        mask = Image.open(root / f"SegmentationClass/{index}.png")
        mask.putpalette([part for color in PALETTE for part in color])
        mask.save(root / f"SegmentationClass/{index}.png")
    (root / "SegmentationClass/4.png").unlink()
    for name, text in lists.items():
        path = root / "ImageSets/Segmentation" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_voc(tmp_path: Path) -> None:
    dataset = read(voc(tmp_path, {"train.txt": "0\n1\n", "val.txt": "2\n", "trainval.txt": "0\n1\n2\n"}))
    assert sizes(dataset) == {"train": 2, "val": 1}
    assert [len(dataset.classes), dataset.classes[15].name] == [21, "person"]
    assert set(np.unique(dataset.splits["train"][0].target.read())) == {0, 1, 255}


def test_voc_masks_may_be_in_colors(tmp_path: Path) -> None:
    root = voc(tmp_path, {"train.txt": "0\n1\n", "val.txt": "2\n"})
    before = read(root).splits["train"][0].target.read()
    Image.open(root / "SegmentationClass/0.png").convert("RGB").save(root / "SegmentationClass/0.png")
    np.testing.assert_array_equal(read(root).splits["train"][0].target.read(), before)


def test_voc_lists_may_hold_paths_and_names_without_masks(tmp_path: Path) -> None:
    lists = {"train.txt": "/JPEGImages/0.jpg /SegmentationClass/0.png\n1.jpg\n\n4\n77\n", "val.txt": "2\n"}
    dataset = read(voc(tmp_path, lists))
    assert sizes(dataset) == {"train": 2, "val": 1}
    assert [len(note.paths) for note in dataset.notes if note.kind == "without-mask"] == [2]


def test_voc_without_lists_or_with_one(tmp_path: Path) -> None:
    assert sizes(read(voc(tmp_path / "a", {}))) == {"train": 3, "val": 1}
    assert sizes(read(voc(tmp_path / "b", {"trainval.txt": "0\n1\n2\n"}))) == {"train": 2, "val": 1}
    lists = {"trainval.txt": "0\n1\n2\n", "train.txt": "0\n", "test.txt": "3\n"}
    assert sizes(read(voc(tmp_path / "c", lists))) == {"train": 2, "val": 1, "test": 1}


def test_an_empty_voc_list(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.txt is empty: write one image name per line, or remove"):
        read(voc(tmp_path, {"train.txt": "\n", "val.txt": "2\n"}))


@pytest.mark.parametrize(
    ("text", "colors"),
    [
        ("sky\nroad\n", ()),
        ("\ufeffsky\r\nroad\r\n\r\n", ()),
        ("sky 0 0 0\nroad 128 64 128\n", ((0, 0, 0), (128, 64, 128))),
        ("# of the masks\nsky\n  #and more\nroad\n", ()),
        ("0 sky\n1: road\n", ()),
        ("0,sky,0,0,0\nignore 9 9 9\n1,road,128,64,128\n", ((0, 0, 0), (128, 64, 128))),
        ("sky: 0, 0, 0\nroad\t#804080\n", ((0, 0, 0), (128, 64, 128))),
        ("0 sky 0 0 0\n1 road 9 9 9\n2 ignore 255 255 255\n", ((0, 0, 0), (9, 9, 9))),
    ],
)
def test_classes_file(tmp_path: Path, text: str, colors: object) -> None:
    root = write(tmp_path, {("images", "masks"): 5})
    (root / "classes.txt").write_bytes(text.encode())
    dataset = read(root)
    assert [label.name for label in dataset.classes] == ["sky", "road"]
    assert dataset.splits["train"][0].target.coding.colors == colors


@pytest.mark.parametrize("text", ["2 wheels\nroad\n", "0 0 0 0\n1 #804080\n"])
def test_numbers_that_are_no_values_stay_in_the_names(tmp_path: Path, text: str) -> None:
    root = write(tmp_path, {("images", "masks"): 5})
    (root / "classes.txt").write_text(text)
    assert read(root).classes[0].name == ("2 wheels" if "wheels" in text else "0")


def test_names_that_begin_like_comments(tmp_path: Path) -> None:
    root = write(tmp_path, {("images", "masks"): 5})
    (root / "classes.txt").write_text("0 sky\n1 #road\n")
    assert [label.name for label in read(root).classes] == ["sky", "#road"]
    (root / "classes.txt").write_text("sky\n#road\ntree\n")
    assert any("skipped 1 comment of a single word: #road" in note.message for note in read(root).notes)


def test_a_line_may_give_the_color_to_ignore(tmp_path: Path) -> None:
    root = write(tmp_path, {("images", "masks"): 5})
    (root / "classes.txt").write_text("sky 0 0 0\nignore 224 224 192\nlong road 9 9 9\n")
    dataset = read(root)
    assert [label.name for label in dataset.classes] == ["sky", "long road"]
    assert dataset.splits["train"][0].target.coding.ignored == (224, 224, 192)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sky\n\nroad\n", "line 2: no class name"),
        ("sky\nsky\n", "names sky twice"),
        ("sky\n", "has 1 line: the background is a class too"),
        ("sky 0 0 0\nroad\n", "'road' has no color, but others do"),
        ("sky 0 0 0\nroad 0 0 0\n", "gives the color 0 0 0 to two classes: choose different colors"),
        ("sky 0 0 0\nroad 0 0 300\n", "line 2: 0 0 300 is not a color"),
        ("\n".join(map(str, range(300))), "has 300 classes: masks can store at most 255"),
        ("# sky and road\n1 sky\n2 road\n", "line 2: '1 sky' is class 0, because the lines are classes 0, 1, 2"),
        ("1 euro\n2 euro\n", "line 1: .* or, if the number is part of the name, write '0 1 euro'"),
        ("0 sky\n1 road\n256 ignore\n", "line 3: 256 cannot be ignored: mask values lie between 0 and 255"),
        ("sky\nroad\nignore 2 3\n", "line 3: 'ignore' has several values: add one, such as 'ignore 11'"),
        ("sky 0 0 0\nroad 9 8 7\nignore 2\n", "the classes have colors, so ignored pixels need a color too"),
        ("sky 0 0 0\nroad 9 8 7 255\n", "line 2: 'road 9 8 7 255': a color is three numbers: remove the fourth"),
        ("sky\n#road\n#tree\n", "1 line: .* skipped 2 comments of a single word: #road, #tree.* write .*: '1 #road'"),
        ("sky\nroad\nignore\n", "line 3: 'ignore' has no value and no color: add one, such as 'ignore 11' or"),
        ("sky 0 0 0\nroad 1 1 1\nignore 2 2 2\nignore 3 3 3", "has the line 'ignore' twice"),
        ("0 0 0 sky\n1 1 1 road\n", "line 1: the color comes first: write 'road 128 64 128'"),
        ("sky 0 0 0\n1 #804080 road\n", "line 2: the color comes first"),
        ("sky\n#804080\n", "line 2: the color comes first"),
        ("sky\nroad\n".encode("utf-16"), "looks like UTF-16: save it as UTF-8"),
        ("sky\nroad\n".encode("utf-16-le"), "looks like UTF-16: save it as UTF-8"),
        ("sky\nSpaßbad\n".encode("latin-1"), "line 2: this is not UTF-8 text: save the file as UTF-8"),
    ],
)
def test_wrong_classes_files(tmp_path: Path, text: str | bytes, words: str) -> None:
    root = write(tmp_path, {("images", "masks"): 5})
    (root / "classes.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=rf"classes\.txt.*{words}"):
        read(root)


def masks_of(root: Path, values: np.ndarray) -> Path:
    for index in range(5):
        write_pair(root / f"images/{index}.jpg", root / f"masks/{index}.png", index)
        Image.fromarray(values).save(root / f"masks/{index}.png")
    return root


def test_without_a_classes_file_values_make_classes(tmp_path: Path) -> None:
    dataset = read(masks_of(tmp_path, np.array([[0, 3, 255]], np.uint8)))
    assert [label.name for label in dataset.classes] == ["class_0", "class_1", "class_2", "class_3"]
    assert "class-names" in kinds(dataset)


def test_black_and_white_masks(tmp_path: Path) -> None:
    dataset = read(masks_of(tmp_path, np.array([[0, 255, 255]], np.uint8)))
    assert [label.name for label in dataset.classes] == ["background", "foreground"]
    np.testing.assert_array_equal(dataset.splits["train"][0].target.read(), [[0, 1, 1]])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([[[0, 0, 0], [9, 0, 0]]], np.uint8), r"use colors \(0 0 0; 9 0 0\): write .*classes.txt"),
        (np.array([[0, 700]], np.uint16), "have the values 0, 700, which are not class indices"),
        (np.zeros((2, 2), np.uint8), "contain only the value 0, so there is nothing to learn: annotate a second class"),
        (np.full((2, 2), 255, np.uint8), "contain only the value 255, so there is nothing to learn"),
    ],
)
def test_values_that_make_no_classes(tmp_path: Path, values: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(masks_of(tmp_path, values))


@pytest.mark.parametrize(
    ("suffix", "kind", "words"),
    [
        (".jpg", np.uint8, r"masks/0\.jpg is a JPEG, whose compression changes values: save masks as PNG"),
        (".tif", np.float32, r"no mask .* can be read: masks/0\.tif has floating-point values: store integers"),
    ],
)
def test_masks_of_kinds_that_make_no_classes(tmp_path: Path, suffix: str, kind: type, words: str) -> None:
    for path in sorted((masks_of(tmp_path, np.eye(8, dtype=np.uint8)) / "masks").iterdir()):
        Image.fromarray(np.asarray(Image.open(path)).astype(kind)).save(path.with_suffix(suffix))
        path.unlink()
    with pytest.raises(DataError, match=words):
        read(tmp_path)


def test_held_out_images_alone_can_be_evaluated(squares: Squares) -> None:
    dataset = read(squares({"val": 2}))
    assert sizes(dataset) == {"train": 0, "val": 2}
    assert [(note.severity, note.kind) for note in dataset.notes] == [("error", "no-train")]


def test_a_split_alone_has_the_classes_of_its_dataset(squares: Squares) -> None:
    dataset = read(squares({"train": 5, "val": 3}) / "val")
    assert [label.id for label in dataset.classes] == ["background", "square"]


def test_two_formats_that_fit(tmp_path: Path) -> None:
    root = voc(write(tmp_path, {("images", "masks"): 10}), {})
    with pytest.raises(DataError, match="`data_format=masks` or `data_format=voc`"):
        read(root)
    assert sizes(mask_reader.read(root, ReadOptions(data_format="voc"))) == {"train": 3, "val": 1}
    assert sizes(mask_reader.read(root, ReadOptions(data_format="masks"))) == {"train": 8, "val": 2}
    with pytest.raises(UsageError, match="did you mean voc"):
        mask_reader.read(root, ReadOptions(data_format="vok"))


def test_layouts_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "other/folder").mkdir(parents=True)
    with pytest.raises(DataError, match="has no folders of images and masks: expected images/ and masks/"):
        mask_reader.read(tmp_path / "other", ReadOptions())
    one = write(tmp_path / "one", {("images", "masks"): 1})
    with pytest.raises(DataError, match="one image with a mask: none can be spared"):
        read(one)
    strangers = write(tmp_path / "strangers", {("images", "masks"): 3})
    for path in (strangers / "masks").iterdir():
        path.rename(path.with_name(f"x{path.name}"))
    with pytest.raises(DataError, match=r"no image of .* has a mask of the same name\. 3 images without a mask"):
        read(strangers)
    twice = write(tmp_path / "twice", {("images", "masks"): 2})
    (twice / "masks/000.bmp").write_bytes((twice / "masks/000.png").read_bytes())
    with pytest.raises(DataError, match="could both be the mask"):
        read(twice)


def test_other_tasks_are_not_claimed(tmp_path: Path) -> None:
    for index in range(3):
        for folder in ("classes/train/cat", "classes/train/dog", "yolo/images", "objects/JPEGImages"):
            write_pair(tmp_path / folder / f"{index}.jpg", tmp_path / "aside" / f"{index}.png")
    (tmp_path / "yolo/labels").mkdir()
    (tmp_path / "objects/Annotations").mkdir()
    assert not any(mask_reader.recognizes(tmp_path / name) for name in ("classes", "yolo", "objects", "nothing"))
