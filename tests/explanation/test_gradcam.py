"""Grad-CAM: what it adds up to, and that it finds the place that decides."""

import pytest
import torch
from torch import Tensor, nn

from mobilevit.explanation.gradcam import grad_cam, heat
from mobilevit.models.mobilevit import MobileViT
from mobilevit.models.variants import XXS


@pytest.fixture(scope="module")
def model() -> MobileViT:
    torch.manual_seed(0)
    return MobileViT(XXS, num_classes=5).eval()


def of_class(index: int):  # type: ignore[no-untyped-def]
    return lambda raw: raw[0, index]


@pytest.mark.parametrize("size", [(64, 64), (96, 160), (224, 224)])
def test_at_the_last_convolution_the_map_adds_up_to_the_logit(model: MobileViT, size: tuple[int, int]) -> None:
    """Mean pooling and a linear layer follow, so there Grad-CAM is no approximation."""
    signed, raw = grad_cam(model, torch.rand(1, 3, *size), model.final, of_class(3))
    torch.testing.assert_close(signed.sum() + model.classifier.bias[3], raw[0, 3])


def test_the_model_is_left_as_it_was(model: MobileViT) -> None:
    image = torch.rand(1, 3, 64, 64)
    before = model(image)
    _, raw = grad_cam(model, image, model.final, of_class(0))
    assert torch.equal(raw, before)
    assert not model.final._forward_hooks
    assert all(parameter.grad is None for parameter in model.parameters())


def test_works_where_gradients_are_switched_off_around_it(model: MobileViT) -> None:
    with torch.no_grad():
        signed, _ = grad_cam(model, torch.rand(1, 3, 64, 64), model.backbone.stages[-1], of_class(0))
    assert signed.shape == (2, 2)


class Brightest(nn.Module):
    """Class 0 is the mean of red, class 1 of green: a model whose reasons are known."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x).mean(dim=(2, 3))


@pytest.mark.parametrize(("index", "place"), [(0, (1, 2)), (1, (3, 0))])
def test_finds_the_place_that_decides(index: int, place: tuple[int, int]) -> None:
    image = torch.zeros(1, 3, 32, 32)
    image[0, 0, 8:16, 16:24] = 1  # red
    image[0, 1, 24:32, 0:8] = 1  # green
    model = Brightest()
    signed, _ = grad_cam(model, image, model.pool, of_class(index))
    assert divmod(int(signed.argmax()), 4) == place
    assert (signed > 0).sum() == 1


def test_any_scalar_of_any_output_can_be_explained() -> None:
    """As dense tasks need it: the score of one class over one part of a map."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1))
    signed, raw = grad_cam(model, torch.rand(1, 3, 6, 5), model[0], lambda raw: raw[0, 1, 2:4].mean())
    assert signed.shape == (6, 5)
    assert raw.shape == (1, 2, 6, 5)


def test_heat_is_between_zero_and_one() -> None:
    assert heat(torch.tensor([[-2.0, 1.0], [0.0, 4.0]])).tolist() == [[0, 0.25], [0, 1]]
    assert heat(torch.tensor([[-2.0, 0.0]])).tolist() == [[0, 0]]
