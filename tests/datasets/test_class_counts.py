"""Counts and weights of classes, and what the task says about them."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilevit.datasets import class_folders
from mobilevit.datasets.class_counts import class_counts, class_weights, imbalance, total
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.sample import Dataset, Sample
from mobilevit.errors import DataError
from mobilevit.spec import labels
from mobilevit.tasks.classification.findings import findings


def dataset_of(train: list[int], val: list[int] | None = None) -> Dataset:
    """So many images of each class."""
    splits = {"train": train, "val": val or [1] * len(train)}
    samples = {
        split: tuple(
            Sample(Path(f"root/{split}/c{index}/{number}.jpg"), index)
            for index, count in enumerate(counts)
            for number in range(count)
        )
        for split, counts in splits.items()
    }
    return Dataset(Path("root"), "classification", labels(f"c{index}" for index in range(len(train))), samples)


def kinds(dataset: Dataset) -> list[tuple[str, str]]:
    return [(finding.severity, finding.kind) for finding in findings(dataset)]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_weighted_classes_count_the_same_and_the_mean_over_images_is_one(counts):
    weights = class_weights(counts, labels(f"c{index}" for index in range(len(counts))))
    shares = [weight * count for weight, count in zip(weights, counts, strict=True)]
    assert shares == pytest.approx([sum(counts) / len(counts)] * len(counts))
    assert sum(shares) / sum(counts) == pytest.approx(1)


def test_weights_need_every_class():
    with pytest.raises(DataError, match="'c1' has no training samples"):
        class_weights([3, 0], labels(["c0", "c1"]))


def test_counts_and_imbalance():
    counts = class_counts(dataset_of([4, 1], [0, 2]), lambda target: {target: 1})
    assert counts == {"train": [4, 1], "val": [0, 2]}
    assert total([{0: 2, 2: 1}, {}, {2: 5}], 3) == [2, 0, 6]
    assert imbalance([4, 1]) == 4
    assert imbalance([4, 0]) == float("inf")


def test_a_sound_dataset_needs_no_words():
    assert findings(dataset_of([20, 30], [5, 5])) == []


def test_recommends_class_weights_from_a_ratio_of_three():
    (finding,) = findings(dataset_of([30, 90]))
    assert (finding.severity, finding.kind) == ("warning", "imbalance")
    assert "'c1' has 3.0 times" in finding.message
    assert "--class-weights" in finding.message
    assert findings(dataset_of([30, 89])) == []


def test_names_classes_that_a_split_lacks():
    (finding,) = findings(dataset_of([20, 20], [0, 3]))
    assert finding.kind == "missing-class"
    assert finding.message == "1 class without an image in val: c0"
    assert ("error", "missing-class") in kinds(dataset_of([20, 0], [3, 3]))


def test_names_small_classes():
    assert kinds(dataset_of([1, 2])) == [("warning", "single-image"), ("warning", "few-images")]


@pytest.mark.parametrize(
    ("names", "is_said"), [("0123", True), (["Left_hand", "right hand", "foot"], True), (["leftover", "right"], False)]
)
def test_says_that_characters_and_sides_must_not_be_flipped(names, is_said):
    dataset = replace(dataset_of([20] * len(names)), classes=labels(names))
    assert (kinds(dataset) == [("info", "mirror")]) == is_said


def test_says_where_val_comes_from(names_only):
    def kinds_and_words(root):
        return [(found.kind, found.message) for found in findings(class_folders.read(root, ReadOptions()))]

    ((kind, message),) = kinds_and_words(names_only({"train/cat": 20, "train/dog": 20, "test/cat": 2, "test/dog": 2}))
    assert kind == "split"
    assert "validating on test" in message
    ((kind, message),) = kinds_and_words(names_only({"test": 0}) / "train")
    assert kind == "split"
    assert "validating on 8 images, held out" in message


def test_warns_of_names_that_differ_in_case_alone(names_only):
    dataset = class_folders.read(names_only({"Cat": 20, "cat": 20, "dog ": 20, "dog": 20, "cow": 20}), ReadOptions())
    assert [found.message.split(" differ")[0] for found in findings(dataset) if found.kind == "similar-names"] == [
        "the classes 'Cat' and 'cat'",
        "the classes 'dog' and 'dog '",
    ]
