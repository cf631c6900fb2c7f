import official
import pytest

from mobilevit.errors import WeightsError
from mobilevit.models.table import MODELS
from mobilevit.weights.layouts import Layout
from mobilevit.weights.recognition import Recognized, expected, recognize


@pytest.mark.parametrize("num_classes", [0, 1, 37, 1000])
@pytest.mark.parametrize(("architecture", "layout"), official.layouts())
def test_what_is_expected_is_recognized(architecture: str, layout: Layout, num_classes: int) -> None:
    if num_classes == 0 and MODELS[architecture].task != "classification":
        return  # only a classifier can do without classes
    recognized = Recognized(layout, architecture, num_classes)
    assert recognize(expected(recognized)) == recognized


def test_a_detector_of_nothing_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"recognized as ssdlite_mobilevit_xxs .*, 1 class,"):
        recognize(expected(Recognized("ours", "ssdlite_mobilevit_xxs", 0)))


def test_the_ablation_without_fusion_is_recognized() -> None:
    recognized = Recognized("cvnets", "mobilevit_xs", 1000, fuse_input=False)
    assert recognize(expected(recognized)) == recognized


def test_every_kind_of_difference_is_listed_with_its_count_and_the_nearest_name() -> None:
    found = expected(Recognized("cvnets", "mobilevit_xs", 1000))
    del found["layer_3.0.block.red_1x1.block.norm.weight"]
    found["layer_3.0.block.red_1x1.block.norm.wieght"] = (64,)
    found["layer_1.0.block.exp_1x1.block.conv.weight"] = (64, 16, 3, 3)
    found |= {f"extra.{index}": (1,) for index in range(7)}
    with pytest.raises(WeightsError) as caught:
        recognize(found)
    text = str(caught.value)
    assert "mobilevit_xs in cvnets layout" in text
    assert "8 unknown" in text and "and 3 more" in text
    assert "norm.wieght (did you mean layer_3.0.block.red_1x1.block.norm.weight?)" in text
    assert "1 missing: layer_3.0.block.red_1x1.block.norm.weight" in text
    assert "1 misshapen: layer_1.0.block.exp_1x1.block.conv.weight is 64x16x3x3, not 64x16x1x1" in text


@pytest.mark.parametrize(
    ("found", "what"),
    [
        ({}, "none"),
        ({"a.weight": (1,)}, "a.weight"),
        ({"encoder.conv_1.block.conv.weight": (16, 3, 3, 3)}, "detection or segmentation"),
        ({"mobilevitv2.conv_stem.convolution.weight": (16, 3, 3, 3)}, "MobileViTv2"),
        ({"optimizer.0.exp_avg": (16,), "model.final.norm.bias": (3,)}, "best.safetensors"),
        ({"x" * 10_000: (1,)}, "xxx..."),
    ],
)
def test_something_else_is_said_to_be_so(found: dict[str, tuple[int, ...]], what: str) -> None:
    with pytest.raises(WeightsError, match="not a MobileViT") as caught:
        recognize(found)
    assert what in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("key", ["heads.0.predict.weight", "heads.5.predict.bias"])
@pytest.mark.parametrize("shape", [(), (3,), (0, 320), (511, 512, 1, 1), (10**12, 512, 1, 1)])
def test_no_shape_of_a_detectors_head_leads_astray(key: str, shape: tuple[int, ...]) -> None:
    found = {**expected(Recognized("ours", "ssdlite_mobilevit_xs", 80)), key: shape}
    with pytest.raises(WeightsError, match=r"heads|classes"):
        recognize(found)


@pytest.mark.parametrize("shape", [(), (10,), (0, 320), (10, 321), (10**12, 320)])
def test_no_shape_of_a_classifier_leads_astray(shape: tuple[int, ...]) -> None:
    found = {**expected(Recognized("ours", "mobilevit_xxs", 10)), "classifier.weight": shape}
    with pytest.raises(WeightsError, match="classifier"):
        recognize(found)
