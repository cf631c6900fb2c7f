"""The reader of class folders: laws of the split, then every layout and every mistake."""

import os
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from work import calls

from mobilevit.datasets import class_folders
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.sample import Dataset
from mobilevit.datasets.splitting import evenly, split_by_seed
from mobilevit.errors import DataError, UsageError
from mobilevit.images import folders


def read(root: Path, val_fraction: float = 0.2, split_seed: int = 0) -> Dataset:
    return class_folders.read(root, ReadOptions(val_fraction, split_seed))


def inside(dataset: Dataset, split: str) -> list[str]:
    return [sample.path.relative_to(dataset.root).as_posix() for sample in dataset.splits[split]]


SIZES = st.dictionaries(st.sampled_from("abcde"), st.integers(1, 40), min_size=1)
FRACTIONS = st.floats(0.01, 0.99)


def groups_of(sizes: dict[str, int], root: Path = Path("root")) -> dict[str, list[Path]]:
    return {name: [root / name / f"{number}.jpg" for number in range(count)] for name, count in sizes.items()}


@settings(max_examples=40, deadline=None)
@given(SIZES, FRACTIONS, st.integers(0, 99))
def test_split_gives_each_image_to_one_side_and_keeps_every_class_in_training(sizes, fraction, seed):
    groups = groups_of(sizes)
    train, val = split_by_seed(groups, Path("root"), fraction=fraction, seed=seed)
    for name, paths in groups.items():
        assert sorted(train[name] + val[name]) == sorted(paths)
        assert train[name]
        assert bool(val[name]) == (len(paths) > 1)
        assert abs(len(val[name]) - fraction * len(paths)) <= 1


@settings(max_examples=40, deadline=None)
@given(SIZES, FRACTIONS, st.integers(0, 99), st.randoms())
def test_split_depends_on_names_and_seed_alone(sizes, fraction, seed, random):
    groups = groups_of(sizes)
    shuffled = {
        name: random.sample(paths, len(paths)) for name, paths in random.sample(list(groups.items()), len(groups))
    }
    moved = groups_of(sizes, Path("/another/place"))
    _, val = split_by_seed(groups, Path("root"), fraction=fraction, seed=seed)
    _, val_shuffled = split_by_seed(shuffled, Path("root"), fraction=fraction, seed=seed)
    _, val_moved = split_by_seed(moved, Path("/another/place"), fraction=fraction, seed=seed)
    for name in groups:
        assert set(val[name]) == set(val_shuffled[name])
        assert [path.name for path in val[name]] == [path.name for path in val_moved[name]]


def test_split_differs_between_seeds_and_between_classes():
    groups = groups_of({"a": 50, "b": 50})
    chosen = {seed: split_by_seed(groups, Path("root"), fraction=0.2, seed=seed)[1] for seed in (0, 1)}
    assert chosen[0]["a"] != chosen[1]["a"]
    assert [path.name for path in chosen[0]["a"]] != [path.name for path in chosen[0]["b"]]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 7.0])
def test_split_refuses_a_share_outside_its_range(fraction):
    with pytest.raises(UsageError, match="between 0 and 1"):
        ReadOptions(val_fraction=fraction)


@given(st.integers(0, 50), st.integers(1, 50))
def test_an_even_choice_is_in_order_without_repeats_and_spans_all(total, most):
    chosen = evenly(range(total), most)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(total, most)
    if len(chosen) > 1:
        assert (chosen[0], chosen[-1]) == (0, total - 1)


def test_split_is_the_same_wherever_one_stands(names_only, monkeypatch):
    root = names_only({"a": 20, "b": 20})
    from_afar = inside(read(root), "val")
    monkeypatch.chdir(root)
    assert inside(read(Path()), "val") == from_afar
    monkeypatch.chdir(root.parent)
    assert inside(read(Path(root.name)), "val") == from_afar


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_reads_split_folders_under_every_name(names_only, val):
    root = names_only({"train/dog": 3, "train/cat": 2, f"{val}/cat": 1, f"{val}/dog": 1})
    dataset = read(root)
    assert class_folders.recognizes(root)
    assert [label.id for label in dataset.classes] == ["cat", "dog"]
    assert inside(dataset, "train") == ["train/cat/000.jpg", "train/cat/001.jpg"] + [
        f"train/dog/00{number}.jpg" for number in range(3)
    ]
    assert [sample.target for sample in dataset.splits["val"]] == [0, 1]
    assert list(dataset.splits) == ["train", "val"]


def test_keeps_val_and_test_where_both_are(names_only):
    dataset = read(names_only({"test/a": 1, "test/b": 1, "train/a": 4, "train/b": 4, "val/a": 2, "val/b": 2}))
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 8, "val": 4, "test": 2}


def test_test_stands_in_for_a_missing_val(names_only):
    dataset = read(names_only({"train/a": 4, "train/b": 4, "test/a": 2, "test/b": 2}))
    assert inside(dataset, "val") == ["test/a/000.jpg", "test/a/001.jpg", "test/b/000.jpg", "test/b/001.jpg"]
    assert list(dataset.splits) == ["train", "val"]


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_splits_one_folder_of_classes(names_only, prefix):
    dataset = read(names_only({f"{prefix}a": 10, f"{prefix}b": 20}), val_fraction=0.3)
    counts = {split: Counter(sample.target for sample in samples) for split, samples in dataset.splits.items()}
    assert counts == {"train": {0: 7, 1: 14}, "val": {0: 3, 1: 6}}
    assert not set(inside(dataset, "train")) & set(inside(dataset, "val"))


def test_a_class_may_be_called_train(names_only):
    dataset = read(names_only({"car": 5, "plane": 5, "train": 5}))
    assert [label.id for label in dataset.classes] == ["car", "plane", "train"]


def test_images_in_nested_folders_belong_to_their_class(names_only):
    dataset = read(names_only({"train/a": 1, "train/a/more/still more": 2, "train/b": 1, "val/a": 1, "val/b": 1}))
    assert inside(dataset, "train") == [
        "train/a/000.jpg",
        "train/a/more/still more/000.jpg",
        "train/a/more/still more/001.jpg",
        "train/b/000.jpg",
    ]


def test_passes_over_what_operating_systems_leave(names_only):
    root = names_only({"a": 3, "b": 3, "__MACOSX": 2, ".hidden": 2, "a/.thumbs": 1})
    for name in (".DS_Store", "a/Thumbs.db", "a/._000.jpg", "b/desktop.ini", "a/notes.txt"):
        (root / name).touch()
    dataset = read(root)
    assert [label.id for label in dataset.classes] == ["a", "b"]
    assert sum(map(len, dataset.splits.values())) == 6


def test_takes_suffixes_in_any_case(names_only):
    root = names_only({"a": 2, "b": 2})
    (root / "a" / "x.JPEG").touch()
    (root / "a" / "y.Png").touch()
    assert sum(map(len, read(root).splits.values())) == 6


def test_follows_links_to_folders_and_ends_in_rings(names_only, tmp_path):
    root = names_only({"a": 2, "b": 2, "elsewhere": 3})
    away = tmp_path / "away"
    (root / "elsewhere").rename(away)
    (root / "c").symlink_to(away, target_is_directory=True)
    (root / "a" / "round").symlink_to(root / "a", target_is_directory=True)
    dataset = read(root)
    assert [label.id for label in dataset.classes] == ["a", "b", "c"]
    assert sum(map(len, dataset.splits.values())) == 7


def test_a_dangling_link_is_an_image_that_will_be_missed(names_only):
    root = names_only({"a": 2, "b": 2})
    (root / "a" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    assert sum(map(len, read(root).splits.values())) == 5


def test_one_class_in_two_unicode_forms_is_one_class(names_only):
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    dataset = read(names_only({f"train/{composed}": 3, "train/tea": 3, f"val/{decomposed}": 1, "val/tea": 1}))
    assert [label.id for label in dataset.classes] == [composed, "tea"]
    assert [sample.target for sample in dataset.splits["val"]] == [0, 1]


def test_wnids_get_the_names_that_people_read(names_only):
    dataset = read(names_only({"n01440764": 3, "n02102040": 3, "own": 3}))
    assert [(label.id, label.name) for label in dataset.classes] == [
        ("n01440764", "tench"),
        ("n02102040", "English springer"),
        ("own", "own"),
    ]


MISTAKES = {
    "no class folders": ({".": 3}, "no class folders, but 3 images directly in it: move them"),
    "images directly in train": ({"train": 3, "val": 2}, "train has no class folders, but 3 images"),
    "one class": ({"train/a": 3, "val/a": 1}, "one class, 'a'"),
    "empty class": (
        {"train/a": 3, "train/b": 0, "val/a": 1},
        "some class folders have no images: 'b'. Add images to them",
    ),
    "nothing anywhere": ({"a": 0, "b": 0}, "none of the class folders has images"),
    "no train": ({"val/a": 2, "test/b": 2}, "but no train folder.* give .*val with `split=all`"),
    "val of other classes": (
        {"train/Cat": 2, "train/dog": 2, "val/cat": 1, "val/dog": 1},
        "val has classes missing from train: 'cat' .train has 'Cat'.; classes missing from val: Cat",
    ),
    "empty val": ({"train/a": 2, "train/b": 2, "val/a": 0}, "val has no images"),
    "two vals": ({"train/a": 2, "train/b": 2, "val/a": 1, "valid/a": 1}, "could both be the val split"),
    "val misspelled": ({"train/a": 2, "train/b": 2, "vla/a": 1, "vla/b": 1}, "has train and 'vla', but no val"),
    "too few to split": ({"a": 1, "b": 1}, "every class .* has only one image"),
    "a folder of datasets": ({"x/train/a": 1, "x/val/a": 1, "y/train/b": 1}, "several datasets.* such as .*x"),
}


@pytest.mark.parametrize(("made", "message"), MISTAKES.values(), ids=MISTAKES)
def test_names_the_mistake(names_only, made, message):
    root = names_only(made)
    assert class_folders.recognizes(root) == any(made.values()), "whoever looks for the task must come to the message"
    with pytest.raises(DataError, match=message):
        read(root)


def test_a_missing_folder_is_told_with_the_nearest(names_only):
    root = names_only({"pets/a": 1})
    with pytest.raises(DataError, match=f"did you mean {root / 'pets'}"):
        read(root / "petz")
    with pytest.raises(DataError, match="did you mean"):
        read(root / "petz" / "train")
    with pytest.raises(DataError, match="does not exist"):
        read(Path("/nowhere/at/all"))


def test_a_file_an_archive_and_an_empty_folder_are_told(tmp_path):
    (tmp_path / "notes.txt").touch()
    (tmp_path / "images.zip").touch()
    (tmp_path / "empty").mkdir()
    for name, message in {"notes.txt": "is a file", "images.zip": "unpack it", "empty": "is empty"}.items():
        with pytest.raises(DataError, match=message):
            read(tmp_path / name)


def test_an_empty_class_says_what_lies_there_instead(names_only):
    root = names_only({"a": 3, "b": 0})
    for name in ("1.cr2", "2.CR2", "notes"):
        (root / "b" / name).touch()
    with pytest.raises(DataError, match=r"'b' \(3 files of other types: \.cr2, no suffix\)"):
        read(root)


def test_a_folder_that_goes_away_meanwhile_is_told(tmp_path):
    with pytest.raises(DataError, match="cannot be listed: No such file"):
        folders.list_folder(tmp_path / "gone")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may list every folder, and so may Windows")
def test_a_folder_that_may_not_be_listed_is_told(names_only):
    root = names_only({"a": 2, "b": 2})
    (root / "b").chmod(0)
    try:
        with pytest.raises(DataError, match="cannot be listed"):
            read(root)
    finally:
        (root / "b").chmod(0o755)


OTHER_LAYOUTS = (
    {"images": 3, "labels": 0},
    {"images/train": 3, "labels/train": 0},
    {"JPEGImages": 3, "Annotations": 0, "SegmentationClass": 2},
    {"train/images": 2, "train/masks": 2},
)


@pytest.mark.parametrize("made", OTHER_LAYOUTS)
def test_leaves_the_layouts_of_other_tasks_alone(names_only, made):
    assert not class_folders.recognizes(names_only(made))


def test_recognizes_nothing_where_there_is_nothing(tmp_path):
    assert not class_folders.recognizes(tmp_path / "missing")
    assert not class_folders.recognizes(tmp_path)


def test_twice_the_files_are_twice_the_work(names_only):
    few = names_only({f"{index}": 100 for index in range(10)}, "few")
    many = names_only({f"{index}": 100 for index in range(20)}, "many")
    assert sum(map(len, read(many).splits.values())) == 2_000
    assert calls(lambda: read(many)) < 2.5 * calls(lambda: read(few))


def test_folders_that_link_to_each_other_are_walked_in_a_bounded_time(tmp_path):
    """Every folder to every other: their paths are more than anybody can follow, their files are ten."""
    places = [tmp_path / f"{number}" for number in range(10)]
    for place in places:
        place.mkdir()
        (place / "a.jpg").touch()
    for place in places:
        for other in places:
            (place / f"to{other.name}").symlink_to(other)
    (tmp_path / "ring").symlink_to("ring")
    found = list(folders.files_below(tmp_path))
    assert {path.resolve() for path in found if path.name == "a.jpg"} == {place / "a.jpg" for place in places}
    assert len(found) < 300
    assert folders.sub_folders(tmp_path) == places
