"""Anchors from the data: such as fit it better than the paper's, whatever the order of the images."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilevit.datasets.box_target import Boxes
from mobilevit.datasets.sample import Dataset, Sample
from mobilevit.models.anchor_sizes import PAPER_SIZES, AnchorSizes, are_valid
from mobilevit.models.ssdlite import SSDLite
from mobilevit.models.variants import XXS
from mobilevit.spec import labels
from mobilevit.tasks.detection.fitting import fitted, reach_findings, unreached


def images_of(sides: np.ndarray, seed: int = 0, size: tuple[int, int] = (800, 600)) -> list[Boxes]:
    """Ten boxes an image, of these (width, height) in pixels, anywhere in it."""
    rng = np.random.default_rng(seed)
    made = []
    for part in np.array_split(sides, max(1, len(sides) // 10)):
        starts = rng.random(part.shape) * (np.array(size) - part)
        made.append(Boxes.of(np.concatenate([starts, starts + part], axis=1), np.zeros(len(part)), size))
    return made


@given(seed=st.integers(0, 10**6), count=st.integers(0, 400), spread=st.floats(0.05, 1.0))
@settings(deadline=None, max_examples=30)
def test_every_dataset_has_valid_anchors(seed: int, count: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    sides = np.exp(rng.normal(np.log(rng.uniform(10, 500)), spread, (count, 2))).clip(2, (800, 600))
    sizes = fitted(images_of(sides, seed))
    assert are_valid(sizes)
    assert all(0 < side <= 1.2708 for level in sizes for size in level for side in size)


def test_the_order_of_images_does_not_matter() -> None:
    sides = np.exp(np.random.default_rng(3).normal(4, 0.5, (500, 2)))
    made = images_of(sides)
    assert fitted(made) == fitted(made[::-1])


def test_levels_without_enough_boxes_keep_the_paper_s() -> None:
    assert fitted([]) == PAPER_SIZES
    small = fitted(images_of(np.full((200, 2), 40.0) + np.random.default_rng(0).uniform(-5, 5, (200, 2))))
    assert small[0] != PAPER_SIZES[0]
    assert small[1:] == PAPER_SIZES[1:]


def test_a_rare_shape_gets_an_anchor_of_its_own() -> None:
    common, rare = np.full((400, 2), (100.0, 90.0)), np.full((20, 2), (30.0, 28.0))
    sizes = np.array(fitted(images_of(np.concatenate([common, rare])))[0]) * (800, 600)
    assert np.abs(sizes - (30, 28)).sum(axis=1).min() < 0.5
    assert np.abs(sizes - (100, 90)).sum(axis=1).min() < 0.5


def test_boxes_to_be_ignored_do_not_count() -> None:
    sides = np.full((200, 2), 40.0)
    crowds = [Boxes.of(one.boxes, one.labels, one.size, np.ones(len(one))) for one in images_of(sides)]
    assert fitted(crowds) == PAPER_SIZES
    assert unreached(crowds, 1, PAPER_SIZES, 320) == [None]


def test_what_cannot_be_reached() -> None:
    tiny, middling = images_of(np.full((100, 2), 20.0)), images_of(np.full((50, 2), (160.0, 120.0)))
    both = [*(Boxes.of(one.boxes, one.labels + 1, one.size) for one in tiny), *middling]
    [of_middling, of_tiny, of_none] = unreached(both, 3, PAPER_SIZES, 320)
    assert (of_middling, of_tiny, of_none) == (0.0, 1.0, None)
    fit = fitted(both)
    assert unreached(both, 3, fit, 320)[1] < 1.0
    assert unreached(both, 3, fit, 640)[1] < unreached(both, 3, fit, 320)[1]


@pytest.mark.parametrize("image_size", [256, 320, 352])
@pytest.mark.parametrize("sizes", [PAPER_SIZES, fitted(images_of(np.full((100, 2), 60.0)))])
def test_the_anchors_are_those_of_the_model(image_size: int, sizes: AnchorSizes) -> None:
    """A box that is one of the model's own anchors is reached; so `unreached` knows where they are."""
    model = SSDLite(XXS, 1, anchors=sizes).eval()
    with torch.no_grad():
        anchors = model(torch.zeros(1, 3, image_size, image_size)).anchors
    inside = anchors[::97].numpy()
    boxes = np.concatenate([inside[:, :2] - inside[:, 2:] / 2, inside[:, :2] + inside[:, 2:] / 2], axis=1)
    target = Boxes.of(boxes * 1000, np.zeros(len(boxes)), (1000, 1000))
    assert unreached([target], 1, sizes, image_size) == [0.0]


def test_check_says_what_would_help() -> None:
    samples = tuple(Sample(None, target) for target in images_of(np.full((100, 2), 25.0)))  # type: ignore[arg-type]
    dataset = Dataset(None, "detection", labels(["mite"]), {"train": samples, "val": ()})  # type: ignore[arg-type]
    [finding] = reach_findings(dataset, 320)
    assert "mite" in finding.message and "--anchors data" in finding.message
    large = tuple(Sample(None, target) for target in images_of(np.full((100, 2), 150.0)))  # type: ignore[arg-type]
    assert not list(reach_findings(Dataset(None, "detection", labels(["moth"]), {"train": large}), 320))  # type: ignore[arg-type]
