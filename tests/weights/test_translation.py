from collections.abc import Callable

import numpy as np
import official
import pytest
import torch
from torch import Tensor

from mobilevit.errors import WeightsError
from mobilevit.models.table import build
from mobilevit.weights.blank import blank
from mobilevit.weights.layouts import Layout
from mobilevit.weights.recognition import Recognized, recognize
from mobilevit.weights.translation import flip_channels, from_ours, to_ours

Filled = Callable[..., dict[str, Tensor]]

# logits of the official code, float64, for weights filled by the rule in conftest: image side, first three logits
OFFICIAL = {
    "mobilevit_xxs": (160, (0.14379576, 0.17823586, -0.03853848)),
    "mobilevit_xs": (160, (0.17825753, 0.19377066, 0.08150153)),
    "mobilevit_s": (160, (0.26318613, 0.02316368, 0.12324002)),
}


@pytest.mark.parametrize(("architecture", "layout"), official.layouts())
def test_there_and_back_changes_nothing(filled: Filled, architecture: str, layout: Layout) -> None:
    ours, written = filled(architecture), Recognized(layout, architecture, official.num_classes(architecture))
    foreign = from_ours(ours, written)
    recognized = recognize({key: tuple(tensor.shape) for key, tensor in foreign.items()})
    assert recognized == written
    back = to_ours(foreign, recognized)
    assert list(back) == list(ours)
    assert all(torch.equal(back[key], ours[key]) for key in ours)


@pytest.mark.parametrize("layout", ["cvnets", "timm", "transformers"])
@pytest.mark.parametrize("architecture", OFFICIAL)
def test_the_model_gives_the_official_logits_from_every_layout(
    filled: Filled, architecture: str, layout: Layout
) -> None:
    foreign = filled(architecture, layout)
    state = to_ours(foreign, recognize({key: tuple(tensor.shape) for key, tensor in foreign.items()}))
    model = build(architecture, 1000).eval()
    model.load_state_dict(state)
    image_size, logits = OFFICIAL[architecture]
    image = torch.from_numpy(np.random.RandomState(0).random_sample((1, 3, image_size, image_size))).float()
    with torch.inference_mode():
        torch.testing.assert_close(model(image)[0, :3], torch.tensor(logits), rtol=0, atol=2e-6)


def test_flipping_twice_changes_nothing_and_once_is_a_flip_of_the_image(filled: Filled) -> None:
    state = filled(num_classes=7)
    again = flip_channels(flip_channels(state))
    assert all(torch.equal(again[key], state[key]) for key in state)
    image = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        plain, flipped = _model(state)(image), _model(flip_channels(state))(image.flip(1))
    torch.testing.assert_close(plain, flipped, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_stored_in_another_precision_it_becomes_float32(filled: Filled, dtype: torch.dtype) -> None:
    stored = {key: tensor.to(dtype) if tensor.is_floating_point() else tensor for key, tensor in filled().items()}
    state = to_ours(stored, Recognized("ours", "mobilevit_xxs", 1000))
    assert {tensor.dtype for tensor in state.values()} == {torch.float32, torch.int64}


def test_counters_of_batches_may_be_missing(filled: Filled) -> None:
    foreign = {key: tensor for key, tensor in filled(layout="timm").items() if "num_batches" not in key}
    state = to_ours(foreign, recognize({key: tuple(tensor.shape) for key, tensor in foreign.items()}))
    assert state["final.norm.num_batches_tracked"] == 0
    assert len(state) == 311


def test_whole_numbers_and_values_that_are_not_finite_are_refused(filled: Filled) -> None:
    recognized = Recognized("ours", "mobilevit_xxs", 1000)
    state = filled()
    with pytest.raises(WeightsError, match=r"classifier\.bias is stored as torch\.int8"):
        to_ours({**state, "classifier.bias": state["classifier.bias"].to(torch.int8)}, recognized)
    with pytest.raises(WeightsError, match=r"classifier\.bias holds values that are not finite"):
        to_ours({**state, "classifier.bias": state["classifier.bias"] / 0}, recognized)


def test_a_blank_model_has_shapes_only() -> None:
    model = blank("mobilevit_s", 5)
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"meta"}


def _model(state: dict[str, Tensor]) -> torch.nn.Module:
    model = build("mobilevit_xxs", len(state["classifier.bias"])).eval()
    model.load_state_dict(state)
    return model
