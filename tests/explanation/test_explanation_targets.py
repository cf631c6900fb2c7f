"""What is explained: a class, an object, a region; and the number behind it is the one that was asked for."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mobilevit.errors import UsageError
from mobilevit.explanation import explain
from mobilevit.inference import Predictor
from mobilevit.spec import labels
from mobilevit.weights.creating import create, spec_of

CLASSES = labels(["background", "cat", "dog"])


@pytest.fixture(scope="module")
def image() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def detector() -> nn.Module:
    torch.manual_seed(0)
    return create("ssdlite_mobilevit_xxs", classes=CLASSES[1:])


@pytest.fixture(scope="module")
def segmenter() -> nn.Module:
    torch.manual_seed(0)
    return create("deeplabv3_mobilevit_xxs", classes=CLASSES)


def test_an_object_is_where_prediction_puts_it(detector: nn.Module, image: Image.Image) -> None:
    everything = Predictor(detector, device="cpu", image_size=160, score_threshold=0.0)(image)[0].objects
    for number in (1, 2, 9):
        target = explain(detector, image, image_size=160, number=number, device="cpu").attributions.target
        left, top, right, bottom = everything[number - 1].box_xyxy
        rows, columns = (np.flatnonzero(target.region.any(axis=axis)) for axis in (1, 0))
        found = columns[0] / 2, rows[0] * 90 / 320, (columns[-1] + 1) / 2, (rows[-1] + 1) * 90 / 320
        assert found == pytest.approx((left, top, right, bottom), abs=1)
        assert target.bars[target.bar][1] == pytest.approx(everything[number - 1].score, abs=1e-5)


def test_the_score_is_that_of_the_objects_anchor(detector: nn.Module, image: Image.Image) -> None:
    """Softmax of the logits at that anchor is the score that people read."""
    target = explain(detector, image, image_size=160, class_name="dog", device="cpu").attributions.target
    raw = detector.eval()(torch.zeros(1, 3, 160, 160))
    marked = raw._replace(scores=torch.arange(raw.scores.numel(), dtype=torch.float32).reshape(raw.scores.shape))
    assert float(target.score(marked)) == 2, "dog is the third column, the background the first"
    assert target.name == "dog"


def test_nothing_sure_enough_to_be_shown(image: Image.Image) -> None:
    torch.manual_seed(0)
    untrained = create("ssdlite_mobilevit_xxs", num_classes=20)
    target = explain(untrained, image, image_size=160, device="cpu").attributions.target
    assert target.heading.endswith("too unsure to be shown: an object takes more than 30%")


def test_a_region_is_where_the_class_is(segmenter: nn.Module, image: Image.Image) -> None:
    attributions = explain(segmenter, image, image_size=128, device="cpu").attributions
    result = Predictor(segmenter, device="cpu", image_size=128)(image)[0]
    value = [label.name for label in CLASSES].index(attributions.target.name)
    assert np.mean(attributions.target.region == (result.coarse == value)) > 0.999
    assert attributions.heat.shape == (8, 8)
    assert attributions.target.name != "background" or len(result.areas) == 1


def test_the_background_is_explained_when_asked_for(segmenter: nn.Module, image: Image.Image) -> None:
    present = [area.class_name for area in Predictor(segmenter, device="cpu", image_size=128)(image)[0].areas]
    for name in present:
        assert explain(segmenter, image, image_size=128, class_name=name).attributions.target.name == name
    for absent in {label.name for label in CLASSES} - set(present):
        with pytest.raises(UsageError, match=f"no pixel of this image is {absent}"):
            explain(segmenter, image, image_size=128, class_name=absent)


def test_parts_that_are_not_there(detector: nn.Module, segmenter: nn.Module, image: Image.Image) -> None:
    for number in (0, -1, 10_000):
        with pytest.raises(UsageError, match=f"there is no object {number}"):
            explain(detector, image, image_size=160, number=number)
    classifier = create("mobilevit_xxs", num_classes=3)
    for model in (segmenter, classifier):
        with pytest.raises(UsageError, match="knows no objects"):
            explain(model, image, image_size=128, number=2)
    assert spec_of(classifier).task == "classification"
